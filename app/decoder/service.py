"""DecoderService: the decoder as the rest of app sees it. One model, one worker thread.

Questions and chunk encoding take turns on that thread, a packed batch at a time, so that an answer
waits for one batch at most. No HTTP, no SQL.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from app.decoder.cost import PrefillCost
from app.decoder.loop import decode
from app.decoder.template import PromptTemplate
from app.decoder.types import (
    ChunkReuseStatus,
    DecodeEvent,
    DecodeRequest,
    Passage,
    PrecomputeReport,
    Prefilled,
    PurgeReport,
)
from app.errors import QuestionTooLong, ServerBusy
from kvstore.plain import PlainEngine
from kvstore.precompute import Precomputed
from kvstore.reuse import ReuseEngine
from kvstore.store import KVStore
from kvstore.types import Segment, StoreStats

logger = logging.getLogger(__name__)

MAX_WAITING = 32  # questions in line; more are refused instead of timing out one by one


@dataclass(frozen=True, slots=True)
class LoadedModel:
    name: str
    identity: str  # digest under which KV is stored (kvstore.keys)
    dtype: str
    context_len: int
    template: PromptTemplate
    end_ids: frozenset[int]


class DecoderService:
    def __init__(
        self,
        loaded: LoadedModel,
        engine: ReuseEngine | PlainEngine,
        store: KVStore,
        status: ChunkReuseStatus,
        cost: PrefillCost,
    ) -> None:
        self.name = loaded.name
        self.identity = loaded.identity
        self.dtype = loaded.dtype
        self.context_len = loaded.context_len
        self._loaded = loaded
        self._template = loaded.template
        self._engine = engine
        self._store = store
        self._status = status
        self._cost = cost
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="decoder")
        self._waiting = 0

    def chunk_reuse(self) -> ChunkReuseStatus:
        return self._status

    def count(self, text: str) -> int:
        return len(self._template.tokenizer.encode_text(text))

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return self._template.encode_passage(label, text)

    def check_fits(self, request: DecodeRequest) -> None:
        """Raise QuestionTooLong when the question leaves no room for a passage and an answer."""
        room = self._room_for_passages(request)
        if room < 0:
            raise QuestionTooLong(
                f"the question and its history are {-room} tokens too long for the model's context "
                f"of {self.context_len} tokens; shorten the question or ask for a shorter answer"
            )

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        """Drop the last passages until prompt and answer fit the context."""
        room = self._room_for_passages(request)
        kept = []
        for passage in request.passages:
            room -= len(passage.token_ids)
            if room < 0:
                break
            kept.append(passage)
        return replace(request, passages=tuple(kept))

    async def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """Prefilled, then text, then Finished. Closing the generator stops the model."""
        self.check_fits(request)
        if self._waiting >= MAX_WAITING:
            raise ServerBusy(f"{self._waiting} questions are waiting; try again in a moment")
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[DecodeEvent | BaseException | None] = asyncio.Queue()
        cancelled = threading.Event()

        def send(event: DecodeEvent | BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, event)

        self._waiting += 1
        job = loop.run_in_executor(
            self._worker, self._run, request, time.perf_counter(), cancelled, send
        )
        try:
            while (event := await queue.get()) is not None:
                if isinstance(event, BaseException):
                    raise event
                yield event
        finally:
            cancelled.set()
            self._waiting -= 1
            await asyncio.shield(job)

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        """Store both encodings of the chunks, while the disk budget lasts."""
        engine = self._engine
        if isinstance(engine, PlainEngine):
            return PrecomputeReport(0, 0, len(passages), 0, self._status.reason)
        loop = asyncio.get_running_loop()
        chunks = [_to_segment(passage) for passage in passages]
        batches = engine.precompute(chunks)
        reports: list[Precomputed] = []
        while (report := await loop.run_in_executor(self._worker, next, batches, None)) is not None:
            reports.append(report)
            if report.reason is not None:
                break
        stored = sum(r.stored for r in reports)
        already = sum(r.already for r in reports)
        return PrecomputeReport(
            stored=stored,
            already=already,
            left=len(set(chunks)) - stored - already,
            num_tokens=sum(r.num_tokens for r in reports),
            reason=reports[-1].reason if reports else None,
        )

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        """Remove every stored entry of these chunks from every tier, other models' too."""
        loop = asyncio.get_running_loop()
        purged = await loop.run_in_executor(self._worker, self._store.purge, list(token_ids))
        return PurgeReport(purged.entries, purged.num_bytes, purged.complete)

    def store_stats(self) -> StoreStats:
        """May ask a shared tier: not for the event loop."""
        return self._store.stats()

    async def close(self) -> None:
        """Wait for the running job, then let go of the worker."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._worker, self._store.close)
        self._worker.shutdown(wait=True)

    def _room_for_passages(self, request: DecodeRequest) -> int:
        question = self._template.encode_question(request.question, request.history)
        used = len(self._template.frame.prefix) + len(question) + request.params.max_tokens
        return self.context_len - used

    def _segments(self, request: DecodeRequest) -> list[Segment]:
        question = self._template.encode_question(request.question, request.history)
        return [
            Segment("prefix", self._template.frame.prefix),
            *(_to_segment(passage) for passage in request.passages),
            Segment("question", question),
        ]

    def _run(
        self,
        request: DecodeRequest,
        submitted: float,
        cancelled: threading.Event,
        send: Callable[[DecodeEvent | BaseException | None], None],
    ) -> None:
        """In the worker thread: send every event, then None; an error goes the same way."""
        try:
            for event in self._events(request, submitted, cancelled):
                send(event)
        except Exception as error:
            send(error)
        finally:
            send(None)

    def _events(
        self, request: DecodeRequest, submitted: float, cancelled: threading.Event
    ) -> Iterator[DecodeEvent]:
        if cancelled.is_set():
            return
        started = time.perf_counter()
        segments = self._segments(request)
        num_tokens = sum(len(s.token_ids) for s in segments)
        prefilled = self._engine.prefill(
            segments, request.reuse, capacity=num_tokens + request.params.max_tokens
        )
        yield Prefilled(
            report=prefilled.report,
            prefill_ms=(time.perf_counter() - started) * 1000,
            full_prefill_ms_estimate=self._cost.estimate_ms(num_tokens),
            queue_ms=(started - submitted) * 1000,
        )
        yield from decode(
            prefilled.logits,
            prefilled.extend,
            self._template.tokenizer,
            request.params,
            self._loaded.end_ids,
            cancelled.is_set,
        )
        if isinstance(self._engine, ReuseEngine):
            self._engine.repair(segments, prefilled.report)
            self._engine.learn(segments, prefilled.report)


def _to_segment(passage: Passage) -> Segment:
    return Segment("chunk", passage.token_ids, passage.primers)
