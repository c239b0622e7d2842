"""A decoder that streams scripted text; the facade of app/decoder/service.py."""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from app.decoder.types import (
    ChunkReuseStatus,
    DecodeEvent,
    DecodeRequest,
    Finished,
    Passage,
    PrecomputeReport,
    Prefilled,
    PurgeReport,
    TokenText,
    Voted,
    VoteEvent,
    VotePrefilled,
)
from app.errors import LineFull, QuestionTooLong
from kvstore.policies import find_policy
from kvstore.types import (
    PrefillReport,
    ReuseOptions,
    SegmentReport,
    StoreStats,
    TierStats,
    TokenCounts,
)
from kvstore.vote import BranchReport

PREFIX_TOKENS = 10
WORD = re.compile(r"\s*\S+\s*")


class FakeDecoder:
    """One token a word. The first passage counts as exact, the others as reused."""

    name = "Fake-1B"
    dtype = "float32"
    identity = "fake"
    namespace = "fake"

    def __init__(self, answer: str = "Yes.", *, context_len: int = 2048, pause: float = 0) -> None:
        self.script = answer
        self.context_len = context_len
        self.pause = pause  # seconds before each word
        self.error: Exception | None = None
        self.is_full = False
        self.requests: list[DecodeRequest] = []
        self.votes: dict[str, str] = {}  # word of a passage: what that passage's source answers
        self.rounds: list[list[DecodeRequest]] = []
        self.cancelled = 0
        self.watch = None
        self.stored: set[tuple[int, ...]] = set()

    def chunk_reuse(self) -> ChunkReuseStatus:
        return ChunkReuseStatus(True, "proven")

    def count(self, text: str) -> int:
        return len(text.split())

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return tuple(zlib.crc32(word.encode()) % 50_000 for word in f"{label} {text}".split())

    def check_reuse(self, options: ReuseOptions) -> None:
        if options.policy is not None:
            find_policy(options.policy)

    def check_room(self) -> None:
        if self.is_full:
            raise LineFull("32 questions are waiting; try again in a moment")

    def check_fits(self, request: DecodeRequest) -> None:
        needed = self.count(request.question) + PREFIX_TOKENS + request.params.max_tokens
        if needed > self.context_len:
            raise QuestionTooLong(f"The question needs {needed} tokens of {self.context_len}.")

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest:
        room = self.context_len - request.params.max_tokens - PREFIX_TOKENS
        room -= self.count(request.question)
        kept = []
        for passage in request.passages:
            room -= len(passage.token_ids)
            if room < 0:
                break
            kept.append(passage)
        return replace(request, passages=tuple(kept))

    def warm(self, passages: Sequence[Passage]) -> list[bool]:
        return [passage.token_ids in self.stored for passage in passages]

    async def answer(self, request: DecodeRequest) -> AsyncIterator[DecodeEvent]:
        self.requests.append(request)
        try:
            yield Prefilled(self._report(request), 12.5, 50.0, 0.25)
            words = WORD.findall(self.script)
            for word in words[: request.params.max_tokens]:
                await asyncio.sleep(self.pause)
                yield TokenText(word)
            if self.error is not None:
                raise self.error
            cut = len(words) > request.params.max_tokens
            yield Finished("length" if cut else "stop", min(len(words), request.params.max_tokens))
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise

    async def likelihoods(self, requests: Sequence[DecodeRequest]) -> list[float]:
        """All alike."""
        return [-1.0] * len(requests)

    async def vote(self, requests: Sequence[DecodeRequest]) -> AsyncIterator[VoteEvent]:
        """What `votes` holds for the first word it shares with a passage's text, else the script;
        later requests first, as answers come in any order."""
        self.rounds.append(list(requests))
        try:
            reports = [self._report(request) for request in requests]
            branches = tuple(BranchReport(r.segments, r.tokens) for r in reports)
            yield VotePrefilled(branches, 12.5, 50.0 * len(requests), 0.25)
            for place, request in reversed(list(enumerate(requests))):
                await asyncio.sleep(self.pause)
                said = self._said(request)
                yield Voted(place, said, "stop", len(WORD.findall(said)))
            if self.error is not None:
                raise self.error
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise

    def _said(self, request: DecodeRequest) -> str:
        ids = set(request.passages[0].token_ids)
        for word, answer in self.votes.items():
            if ids & set(self.encode_passage("", word)):
                return answer
        return self.script

    def _report(self, request: DecodeRequest) -> PrefillReport:
        lengths = [len(passage.token_ids) for passage in request.passages]
        question = self.count(request.question)
        chunks = tuple(
            SegmentReport(
                "chunk",
                length,
                "reused" if place else "exact",
                0,
                "ram",
                "primed" if place else "head",
                "hit",
            )
            for place, length in enumerate(lengths)
        )
        segments = (
            SegmentReport("prefix", PREFIX_TOKENS, "exact", 0, "ram", None, "hit"),
            *chunks,
            SegmentReport("question", question, "computed", 0, None, None, "question"),
        )
        exact = PREFIX_TOKENS + sum(lengths[:1])
        counts = TokenCounts(
            prompt=exact + sum(lengths[1:]) + question,
            exact_prefix=exact,
            reused=sum(lengths[1:]),
            recomputed=0,
            fresh=question,
        )
        timings = {"lookup": 0.5, "load": 1.0, "rotate": 0.5, "probe": 0.5, "prefill": 10.0}
        return PrefillReport(request.reuse.mode, "question", 0.05, "ok", segments, counts, timings)

    async def precompute(
        self, passages: Sequence[Passage], *, evict: bool = False
    ) -> PrecomputeReport:
        passage_ids = [passage.token_ids for passage in passages]
        fresh = [ids for ids in passage_ids if ids not in self.stored]
        self.stored.update(fresh)
        num_tokens = sum(len(ids) for ids in fresh)
        return PrecomputeReport(len(fresh), len(passage_ids) - len(fresh), 0, num_tokens)

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:
        gone = [ids for ids in token_ids if ids in self.stored]
        self.stored.difference_update(gone)
        return PurgeReport(2 * len(gone), 1000 * sum(len(ids) for ids in gone))

    def store_stats(self) -> StoreStats:
        counters = {"hits_ram": 3, "hits_disk": 1, "misses": 2, "corrupt": 0, "evicted": 0}
        tier = TierStats("ram", 1000, 2000, len(self.stored), 1)
        return StoreStats((tier,), counters)

    async def close(self) -> None:
        pass
