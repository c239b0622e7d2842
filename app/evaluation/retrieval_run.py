"""What `larder eval retrieval` runs: a set, its vectors, the systems one after the other."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import torch

from app.db.datadir import DataDir
from app.db.ranking_record import RankingRecord, write_ranking
from app.decoder.load import resolve_model
from app.decoder.template import PromptTemplate
from app.decoder.tokenizer import TextTokenizer
from app.evaluation.chunking_quality import evaluate
from app.evaluation.decoder_reranking import decoder_reranker
from app.evaluation.retrieval_quality import Row, measure, summarise, tune
from app.evaluation.retrieval_sets import RetrievalSet, load_corpora, load_retrieval_set
from app.evaluation.retrieval_systems import open_systems
from app.evaluation.vector_cache import VectorCache
from app.settings import Settings
from retrieval.embedding import load_embedder
from retrieval.protocols import PassageTokenizer

# (what is done, how many there are): returns what to call after each some of them.
Track = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True, slots=True)
class Asked:
    dataset: Path
    file_format: str
    systems: Sequence[str]
    questions: int  # 0 for all
    cache: Path | None
    is_tuning: bool
    seed: int


class ModelTokenizer:
    """The decoder's tokenizer without the decoder. A `retrieval.protocols.PassageTokenizer`."""

    def __init__(self, directory: Path) -> None:
        self._template = PromptTemplate.load(directory, TextTokenizer(directory))

    def count(self, text: str) -> int:
        return len(self._template.tokenizer.encode_text(text))

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return self._template.encode_passage(label, text)


def passage_tokenizer(settings: Settings) -> PassageTokenizer:
    return ModelTokenizer(resolve_model(settings)[0])


def read_set(settings: Settings, asked: Asked) -> RetrievalSet:
    tokenizer = passage_tokenizer(settings)
    judged = load_retrieval_set(asked.dataset, asked.file_format, tokenizer)
    return judged.sample(asked.questions, asked.seed)


async def run(settings: Settings, asked: Asked, judged: RetrievalSet, track: Track) -> list[Row]:
    """Rows of all systems; with `is_tuning` those of the tuned weight, which is written down."""
    torch.set_num_threads(settings.num_threads)
    embedder = load_embedder(settings.embedder)
    texts = [passage.indexed for passage in judged.passages]
    vectors = VectorCache(embedder, asked.cache).encode(texts, track("passages", len(texts)))
    async with AsyncExitStack() as stack:
        decoder = None
        if "hybrid_decoder" in asked.systems:
            stored = track("stored passages", len(judged.passages))
            decoder = stack.enter_context(decoder_reranker(settings, judged, stored))
        systems = await stack.enter_async_context(
            open_systems(settings, judged, embedder, vectors, decoder)
        )
        if asked.is_tuning:
            done = track("questions", len(judged.questions))
            tuned = await tune(systems, judged.questions, lambda: done(1))
            record = RankingRecord(
                embedder.identity, tuned.dense_weight, judged.name, tuned.questions
            )
            write_ranking(DataDir.create(settings.data_dir).root, record)
            return tuned.rows
        searches = {name: systems.search(name) for name in asked.systems}
        results = {}
        for name, search in searches.items():
            done = track(name, len(judged.questions))
            results[name] = await measure(search, judged.questions, lambda done=done: done(1))  # type: ignore[misc]
    return summarise(results)


def run_chunking(
    settings: Settings,
    dataset: Path,
    splitters: Sequence[str],
    retrieved: int,
    cache: Path | None,
    track: Track,
) -> list[Row]:
    torch.set_num_threads(settings.num_threads)
    corpora = load_corpora(dataset)
    tokenizer = passage_tokenizer(settings)
    embedder = load_embedder(settings.embedder)
    vectors = VectorCache(embedder, cache)
    done = track("splitters", len(splitters))
    return evaluate(corpora, splitters, tokenizer, embedder, vectors, retrieved, done)
