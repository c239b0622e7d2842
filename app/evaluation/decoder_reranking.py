"""The decoder as reranker over a retrieval set, every passage stored before, as ingestion does."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from app.decoder.reranker import DecoderReranker
from app.decoder.types import DecodeRequest
from app.evaluation.bench_model import open_bench
from app.evaluation.retrieval_sets import RetrievalSet
from app.settings import Settings
from kvstore.config import ReuseConfig
from kvstore.types import Segment
from retrieval.protocols import Reranker

RAM_BYTES = 4 * 10**9
BATCH = 32  # passages stored at once


@dataclass(frozen=True, slots=True)
class _Passage:
    chunk_id: int
    token_ids: tuple[int, ...]


class _Passages:
    """By place in the set: the evaluation's chunk ids are known only later."""

    def __init__(self, token_ids: Sequence[tuple[int, ...]]) -> None:
        self._token_ids = token_ids

    async def passages(self, chunk_ids: Sequence[int]) -> list[_Passage]:
        return [_Passage(place, self._token_ids[place]) for place in chunk_ids]


class _Decoder:
    def __init__(self, ask: Callable[[Sequence[DecodeRequest]], list[float]]) -> None:
        self._ask = ask

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        return request  # passages of a set are short

    async def likelihoods(self, requests: Sequence[DecodeRequest]) -> list[float]:
        return await asyncio.to_thread(self._ask, requests)


class PlaceReranker:
    """A reranker of places in the set, for chunk ids."""

    def __init__(self, inner: Reranker, place_of: Mapping[int, int]) -> None:
        self._inner = inner
        self._place_of = place_of

    async def scores(self, question: str, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        places = {self._place_of[chunk_id]: chunk_id for chunk_id in chunk_ids}
        found = await self._inner.scores(question, list(places))
        return {places[place]: score for place, score in found.items()}


@contextmanager
def decoder_reranker(
    settings: Settings, judged: RetrievalSet, advance: Callable[[int], None]
) -> Iterator[Reranker]:
    """Scores places of the set; `advance` is called as its passages are stored."""
    with open_bench(settings, dtype="float32", ram_bytes=RAM_BYTES) as bench:
        template, engine = bench.template, bench.engine(ReuseConfig(encodings=("head",)))
        token_ids = [template.encode_passage(p.label, p.text) for p in judged.passages]
        engine.prepare()
        for first in range(0, len(token_ids), BATCH):
            batch = token_ids[first : first + BATCH]
            for _ in engine.precompute([Segment("chunk", ids) for ids in batch], evict=True):
                pass
            advance(len(batch))

        def ask(requests: Sequence[DecodeRequest]) -> list[float]:
            prompts = [
                [
                    Segment("prefix", template.frame.prefix),
                    *(Segment("chunk", passage.token_ids) for passage in request.passages),
                    Segment("question", template.encode_question(request.question)),
                ]
                for request in requests
            ]
            return engine.likelihoods(prompts)

        yield DecoderReranker(_Decoder(ask), _Passages(token_ids))
