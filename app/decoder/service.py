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
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

from app.decoder.aftercare import mend, missed, noted
from app.decoder.ballot import count_votes
from app.decoder.cost import PrefillCost
from app.decoder.loop import decode
from app.decoder.sending import Event, send_all
from app.decoder.template import PromptTemplate
from app.decoder.turn import Turn, to_segment
from app.decoder.types import (
    ChunkReuseStatus,
    DecodeEvent,
    DecodeRequest,
    Passage,
    PrecomputeReport,
    Prefilled,
    PurgeReport,
    VoteEvent,
    VotePrefilled,
)
from app.decoder.watch import NO_LOT, Lot, ReuseWatch
from app.errors import LineFull, QuestionTooLong
from kvstore.full_check import AnswerRecorder, Drift, check_steps
from kvstore.plain import PlainEngine
from kvstore.policies import find_policy
from kvstore.precompute import Precomputed
from kvstore.purging import Purged
from kvstore.reuse import ReuseEngine
from kvstore.store import KVStore
from kvstore.types import PrefillReport, ReuseOptions, Segment, StoreStats
from kvstore.upkeep import StoreUpkeep

logger = logging.getLogger(__name__)

AFTER_ANSWER_S = 0.2  # citations and the last event are on their way; a check can wait for them
MAX_WAITING = 32  # questions in line; more are refused instead of timing out one by one
MAX_BRANCHES = 16  # prompts of one vote: at 400 tokens each 300 MB of fp32 KV for the bundled model

Result = TypeVar("Result")


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
        watch: ReuseWatch | None = None,
    ) -> None:
        self.name = loaded.name
        self.identity = loaded.identity
        self.namespace = store.namespace
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
        self.watch = watch
        self._checks: set[asyncio.Task[None]] = set()
        reuses = isinstance(engine, ReuseEngine)
        self.upkeep = StoreUpkeep(store, loaded.template.frame if reuses else None)
        # Told, in the worker thread and after the answer, which passages were not stored.
        self.on_missed: Callable[[Sequence[Passage]], None] | None = None
        # Told likewise of what was computed in full, where variants are wanted.
        self.on_computed: Callable[[DecodeRequest], None] | None = None

    @property
    def is_idle(self) -> bool:
        """No question is being answered or waits."""
        return self._waiting == 0

    def chunk_reuse(self) -> ChunkReuseStatus:
        off = self.watch.sentence() if self.watch else None
        return replace(self._status, allowed=False, reason=off) if off else self._status

    def count(self, text: str) -> int:
        return len(self._template.tokenizer.encode_text(text))

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return self._template.encode_passage(label, text)

    def check_reuse(self, options: ReuseOptions) -> None:
        """Raises InvalidReuse for a policy that is unknown, or that lacks what it needs here."""
        if isinstance(self._engine, ReuseEngine):
            self._engine.check(options)
        elif options.policy is not None:
            find_policy(options.policy)

    def check_room(self) -> None:
        """Raise LineFull where as many questions wait as may."""
        if self._waiting >= MAX_WAITING:
            raise LineFull(f"{self._waiting} questions are waiting; try again in a moment")

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

    def warm(self, passages: Sequence[Passage]) -> list[bool]:
        """Which of these could be reused from this machine's tiers."""
        engine = self._engine
        if not isinstance(engine, ReuseEngine):
            return [False] * len(passages)
        return [engine.is_warm(to_segment(passage)) for passage in passages]

    async def answer(self, request: DecodeRequest) -> AsyncGenerator[DecodeEvent, None]:
        """Prefilled, then text, then Finished. Closing the generator stops the model."""
        self.check_fits(request)
        turn = Turn(request, *self._draw(request))
        try:
            async with aclosing(self._stream(partial(self._events, turn))) as events:
                async for event in events:
                    yield event
        finally:
            self._look_back(turn)

    async def vote(self, requests: Sequence[DecodeRequest]) -> AsyncGenerator[VoteEvent, None]:
        """Answer 1 to `MAX_BRANCHES` requests side by side, exactly, whatever their policies say:
        VotePrefilled, then each answer as it is finished. Closing it stops the model."""
        if not 0 < len(requests) <= MAX_BRANCHES:
            raise ValueError(f"a vote has 1 to {MAX_BRANCHES} branches, not {len(requests)}")
        for request in requests:
            self.check_fits(request)
        async with aclosing(self._stream(partial(self._votes, requests))) as events:
            async for event in events:
                yield event

    async def likelihoods(self, requests: Sequence[DecodeRequest]) -> list[float]:
        """Mean log likelihood of each question's tokens behind its passages, exactly."""
        prompts = [self._segments(request) for request in requests]
        return await self._in_worker(partial(self._engine.likelihoods, prompts))

    async def _stream(
        self, run: Callable[[float, threading.Event], Iterator[Event]]
    ) -> AsyncGenerator[Event, None]:
        """What `run` yields in the worker thread, given when it was submitted and whether to stop.
        Closing the generator waits until the worker has stopped."""
        self.check_room()
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Event | BaseException | None] = asyncio.Queue()
        cancelled = threading.Event()

        def send(event: Event | BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, event)

        self._waiting += 1
        job = loop.run_in_executor(
            self._worker, send_all, run(time.perf_counter(), cancelled), send
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

    async def precompute(
        self, passages: Sequence[Passage], *, evict: bool = False
    ) -> PrecomputeReport:
        """Store both encodings of the chunks, while the disk budget lasts; with `evict` less
        valuable entries make room."""
        engine = self._engine
        if isinstance(engine, PlainEngine):
            return PrecomputeReport(0, 0, len(passages), 0, self._status.reason)
        chunks = [to_segment(passage) for passage in passages]
        batches = engine.precompute(chunks, evict=evict)
        reports: list[Precomputed] = []
        while (report := await self._in_worker(partial(next, batches, None))) is not None:
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

    async def capture(self, request: DecodeRequest) -> int:
        """Keep this prompt's chunks as variants, as slow as a full prefill; returns how many."""
        engine = self._engine
        if isinstance(engine, PlainEngine):
            return 0
        return await self._in_worker(partial(engine.capture, self._segments(request)))

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        """Remove every stored entry of these chunks from every tier, other models' too."""
        return await self._removed(partial(self._store.purge, list(token_ids)))

    async def purge_tenant(self) -> PurgeReport:
        """Remove all that is stored for the tenant; what prompts begin with is computed again."""
        return await self._removed(self._purge_tenant)

    async def _in_worker(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work)

    async def _removed(self, purge: Callable[[], Purged]) -> PurgeReport:
        purged = await self._in_worker(purge)
        return PurgeReport(purged.entries, purged.num_bytes, purged.complete, purged.tiers)

    def store_stats(self) -> StoreStats:
        """May ask a shared tier: not for the event loop."""
        return self._store.stats()

    async def close(self) -> None:
        """Wait for the running job, then let go of the worker. Checks are given up."""
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        await self._in_worker(self._store.close)
        self._worker.shutdown(wait=True)

    def _draw(self, request: DecodeRequest) -> tuple[Lot, str | None]:
        """What the watch wants of a request, and why its chunks may not be reused. One that states
        policy or ratio itself says nothing about what others get."""
        if self.watch is None or request.reuse.mode != "auto":
            return NO_LOT, None
        if refusal := self.watch.refusal(request.collection_id):
            return NO_LOT, refusal
        return (self.watch.draw() if request.reuse == ReuseOptions() else NO_LOT), None

    def _look_back(self, turn: Turn) -> None:
        """After the answer: keep what was drawn for, in a task of its own."""
        watch = self.watch
        if watch is None or turn.first_token_ms is None:
            return
        if turn.recorder is not None or turn.lot.arm is not None:
            check = asyncio.create_task(self._check(watch, turn))
            self._checks.add(check)
            check.add_done_callback(self._checks.discard)

    async def _check(self, watch: ReuseWatch, turn: Turn) -> None:
        request, first_token_ms = turn.request, turn.first_token_ms
        assert first_token_ms is not None
        try:
            if turn.lot.arm is not None:
                await watch.note_arm(request.collection_id, turn.lot.arm, first_token_ms)
            if turn.recorder is None:
                return
            await asyncio.sleep(AFTER_ANSWER_S)
            if self._waiting or len(self._checks) > 1:
                watch.note_skipped()
                return
            drift = await self._compare(turn, turn.recorder)
            await watch.note_drift(request.collection_id, drift, first_token_ms)
        except Exception:  # nobody waits for it, and the answer has been given
            logger.exception("an answer could not be checked against a full prefill")

    async def _compare(self, turn: Turn, recorder: AnswerRecorder) -> Drift:
        """Step by step on the worker: questions that come meanwhile go first."""
        assert isinstance(self._engine, ReuseEngine)
        steps = check_steps(self._engine.runner, turn.prompt, recorder.tokens, recorder.logits())
        while True:
            drift: Drift | None = await self._in_worker(partial(next, steps))
            if drift is not None:
                return drift

    def _purge_tenant(self) -> Purged:
        purged = self._store.purge_namespace()
        if isinstance(self._engine, ReuseEngine):
            self._engine.prepare()
        return purged

    def _tell(self, request: DecodeRequest, report: PrefillReport) -> None:
        not_stored = missed(request, report)
        if not_stored and self.on_missed is not None:
            self.on_missed(not_stored)
        engine, tell = self._engine, self.on_computed
        teaches = isinstance(engine, ReuseEngine) and engine.teaches(report, request.reuse)
        if tell is not None and teaches:
            tell(request)

    def _room_for_passages(self, request: DecodeRequest) -> int:
        question = self._question(request)
        used = len(self._template.frame.prefix) + len(question) + request.params.max_tokens
        return self.context_len - used

    def _segments(self, request: DecodeRequest) -> list[Segment]:
        return [
            Segment("prefix", self._template.frame.prefix),
            *(to_segment(passage) for passage in request.passages),
            Segment("question", self._question(request)),
        ]

    def _question(self, request: DecodeRequest) -> tuple[int, ...]:
        tags = [passage.tag for passage in request.passages if passage.tag]
        return self._template.encode_question(request.question, request.history, tags)

    def _events(
        self, turn: Turn, submitted: float, cancelled: threading.Event
    ) -> Iterator[DecodeEvent]:
        request = turn.request
        if cancelled.is_set():
            return
        started = time.perf_counter()
        segments = self._segments(request)
        num_tokens = sum(len(s.token_ids) for s in segments)
        prefilled = self._engine.prefill(
            segments, turn.options, capacity=num_tokens + request.params.max_tokens
        )
        turn.note(segments, prefilled, (time.perf_counter() - submitted) * 1000)
        told = Prefilled(
            report=turn.told(prefilled.report),
            prefill_ms=(time.perf_counter() - started) * 1000,
            full_prefill_ms_estimate=self._cost.estimate_ms(num_tokens),
            queue_ms=(started - submitted) * 1000,
        )
        yield noted(self._store, request.reuse.mode, told)
        yield from decode(
            prefilled.logits,
            turn.recorder.extend if turn.recorder else prefilled.extend,
            self._template.tokenizer,
            request.params,
            self._loaded.end_ids,
            cancelled.is_set,
        )
        prefilled.release()
        if isinstance(self._engine, ReuseEngine):
            mend(self._engine, segments, prefilled.report)
            self._tell(request, prefilled.report)

    def _votes(
        self, requests: Sequence[DecodeRequest], submitted: float, cancelled: threading.Event
    ) -> Iterator[VoteEvent]:
        if cancelled.is_set():
            return
        started = time.perf_counter()
        most = max(request.params.max_tokens for request in requests)
        prompts = [self._segments(request) for request in requests]
        ballot = self._engine.vote(prompts, requests[0].reuse, max_tokens=most)
        lengths = [report.tokens.prompt for report in ballot.reports]
        told = VotePrefilled(
            reports=ballot.reports,
            prefill_ms=(time.perf_counter() - started) * 1000,
            full_prefill_ms_estimate=sum(map(self._cost.estimate_ms, lengths)),
            queue_ms=(started - submitted) * 1000,
        )
        yield noted(self._store, requests[0].reuse.mode, told)
        params = [request.params for request in requests]
        tokenizer, ends = self._template.tokenizer, self._loaded.end_ids
        yield from count_votes(ballot, params, tokenizer, ends, cancelled.is_set)
        if isinstance(self._engine, ReuseEngine):
            for segments, report in zip(prompts, ballot.reports, strict=True):
                mend(self._engine, segments, report)
