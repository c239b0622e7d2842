"""The cache commands that take long, as jobs: bounded steps that go on after a restart.

Where one is, is in its row: `result` holds the counts so far, and `after`, the last chunk or entry
that was dealt with. A process that dies repeats at most the step in hand.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import cast

from app.db.cache_targets import CacheTargets
from app.db.job_rows import JobRow, JobStep
from app.db.rows import CacheScope, CacheTargetRow, Json, ScopeKind
from app.decoder.service import DecoderService
from app.decoder.types import Passage, PurgeReport
from app.errors import CacheStepFailed
from kvstore.errors import KVStoreError
from kvstore.keys import content_id
from kvstore.upkeep import Evicted, Verified

PAGE = 200  # chunks of a step that only removes
WARM_BATCH = 8  # chunks; a few seconds of the decoder, and a delete waits for one
PURGE_AGAIN_S = 30.0  # where a shared tier could not be asked
VERIFY_S = 1.0  # of reading entries a step; listing them first takes some hundredths

Counts = dict[str, int]


class CacheHandler:
    """Handles jobs of the kind `cache`. Their payload is `verb` and, by verb, a scope or
    `to_bytes`. `gate` is the pipeline's: no document goes or is taken in half-way."""

    kind = "cache"

    def __init__(self, targets: CacheTargets, decoder: DecoderService, gate: asyncio.Lock) -> None:
        self._targets = targets
        self._decoder = decoder
        self._gate = gate
        self._steps: Mapping[str, Callable[[JobRow], Awaitable[JobStep]]] = {
            "warm": self._warm,
            "pin": self._pin,
            "unpin": self._pin,
            "evict": self._evict,
            "shrink": self._shrink,
            "verify": self._verify,
            "purge": self._purge,
        }

    async def step(self, job: JobRow) -> JobStep:
        """Raises CacheStepFailed where a tier cannot be read or written."""
        try:
            return await self._steps[str(job.payload["verb"])](job)
        except KVStoreError as error:
            raise CacheStepFailed(str(error)) from error

    async def give_up(self, job: JobRow, reason: str) -> bool:  # noqa: ARG002
        """What was done stays done; the rest is nothing to go on with."""
        return False

    async def _warm(self, job: JobRow) -> JobStep:
        """Compute what is missing of some chunks."""
        so_far = _counts(job, "stored", "already", "tokens")
        reason = None
        async with self._gate:
            rows = await self._page(job, WARM_BATCH)
            if rows:
                passages = [Passage(row.chunk_id, row.token_ids, row.primers) for row in rows]
                report = await self._decoder.precompute(passages)
                if not report.left:
                    await self._targets.mark([row.chunk_id for row in rows], is_cached=True)
                so_far["stored"] += report.stored
                so_far["already"] += report.already
                so_far["tokens"] += report.num_tokens
                reason = report.reason
        if rows and reason is None:
            return _went_on(job, so_far, rows)
        left = max(0, job.total - so_far["stored"] - so_far["already"]) if reason else 0
        done = None if reason else job.total
        return JobStep(is_done=True, result=so_far | {"left": left, "reason": reason}, done=done)

    async def _pin(self, job: JobRow) -> JobStep:
        """Entries that are pinned stay until they are unpinned or purged, also over restarts.
        `without` counts chunks that have nothing to pin yet."""
        so_far = _counts(job, "chunks", "entries", "without")
        rows = await self._page(job, PAGE)
        if not rows:
            return JobStep(is_done=True, result=so_far, done=job.total)
        upkeep, contents = self._decoder.upkeep, contents_of(rows)
        kept = await asyncio.to_thread(upkeep.kept, contents)
        changed = await asyncio.to_thread(upkeep.pin, contents, job.payload["verb"] == "pin")
        without = sum(not kept[content].entries for content in contents)
        now = {"chunks": len(rows), "entries": changed, "without": without}
        return _went_on(job, _added(so_far, now), rows)

    async def _evict(self, job: JobRow) -> JobStep:
        """Drop what is not pinned of some chunks from disk and memory."""
        so_far = _counts(job, "entries", "bytes", "kept_pinned")
        async with self._gate:
            rows = await self._page(job, PAGE)
            if not rows:
                return JobStep(is_done=True, result=so_far, done=job.total)
            gone = await asyncio.to_thread(self._decoder.upkeep.evict, contents_of(rows))
            await self._targets.mark([row.chunk_id for row in rows], is_cached=False)
        return _went_on(job, _added(so_far, _evicted(gone)), rows)

    async def _shrink(self, job: JobRow) -> JobStep:
        """Drop the least valuable entries until the disk tier holds no more than `to_bytes`."""
        target = job.payload["to_bytes"]
        assert isinstance(target, int)
        gone = await asyncio.to_thread(self._decoder.upkeep.shrink, target)
        return JobStep(is_done=True, result=_evicted(gone), total=1, done=1)

    async def _verify(self, job: JobRow) -> JobStep:
        """Read entries for a second; put aside what is damaged."""
        upkeep, so_far = self._decoder.upkeep, dict(job.result or {})
        report = Verified(_outcomes(so_far))

        def read_some() -> tuple[int, list[str]]:
            ends, names = time.monotonic() + VERIFY_S, []
            for name in upkeep.verify(report, after=str(so_far.get("after", ""))):
                names.append(name)
                if time.monotonic() >= ends:
                    break
            return job.total or upkeep.num_to_verify(), names

        total, names = await asyncio.to_thread(read_some)
        tiers = {name: dict(found) for name, found in report.outcomes.items()}
        if not names:
            return JobStep(is_done=True, result={"tiers": tiers}, total=job.done, done=job.done)
        done = job.done + len(names)
        result = {"tiers": tiers, "after": names[-1]}
        return JobStep(stage="verify", result=result, total=max(done, total), done=done)

    async def _purge(self, job: JobRow) -> JobStep:
        """Forget some chunks in every tier, pinned or not; a whole tenant's entries at once. While
        a tier cannot be asked the same step is tried again: what it holds would come back."""
        is_tenant = _scope(job).kind == "tenant"
        is_again = (job.result or {}).get("complete") is False
        report = PurgeReport(0, 0)
        async with self._gate:
            if is_tenant and (job.result is None or is_again):
                report = await self._decoder.purge_tenant()
            rows = await self._page(job, PAGE)
            if rows and not is_tenant:
                report = await self._decoder.purge([row.token_ids for row in rows])
            await self._targets.mark([row.chunk_id for row in rows], is_cached=False)
        so_far = _purged(job.result or {}, report)
        if not report.complete:
            return JobStep(stage="purge", result=so_far, retry_in_s=PURGE_AGAIN_S)
        if rows:
            return _went_on(job, so_far, rows)
        return JobStep(is_done=True, result=so_far, done=job.total)

    async def _page(self, job: JobRow, size: int) -> list[CacheTargetRow]:
        after = (job.result or {}).get("after", 0)
        assert isinstance(after, int)
        return await self._targets.page(_scope(job), after, size)


def payload_of(verb: str, scope: CacheScope) -> Json:
    return {"verb": verb, "scope": scope.kind, "id": scope.id}


def contents_of(rows: Sequence[CacheTargetRow]) -> list[str]:
    return [content_id(row.token_ids) for row in rows]


def _scope(job: JobRow) -> CacheScope:
    kind = cast(ScopeKind, job.payload["scope"])  # as `payload_of` wrote it
    return CacheScope(kind, _number(job.payload, "id"))


def _went_on(job: JobRow, result: Json, rows: Sequence[CacheTargetRow]) -> JobStep:
    done, after = job.done + len(rows), rows[-1].chunk_id
    return JobStep(
        stage=str(job.payload["verb"]),
        result={**result, "after": after},
        total=max(job.total, done),
        done=done,
    )


def _number(found: Json, name: str) -> int:
    value = found.get(name, 0)
    return value if isinstance(value, int) else 0


def _counts(job: JobRow, *names: str) -> Counts:
    return {name: _number(job.result or {}, name) for name in names}


def _added(counts: Counts, more: Counts) -> Counts:
    return {name: count + more[name] for name, count in counts.items()}


def _evicted(gone: Evicted) -> Counts:
    return {"entries": gone.entries, "bytes": gone.num_bytes, "kept_pinned": gone.kept_pinned}


def _outcomes(result: Json) -> dict[str, Counter[str]]:
    tiers = result.get("tiers")
    return {n: Counter(counts) for n, counts in tiers.items()} if isinstance(tiers, dict) else {}


def _purged(so_far: Json, report: PurgeReport) -> Json:
    """Sums over steps; an entry behind chunks of two steps counts where it went. Whether a tier
    could be asked is told of the last step: no other one follows until it could."""
    listed = so_far.get("tiers")
    tiers = {tier["tier"]: tier for tier in listed} if isinstance(listed, list) else {}
    for now in map(asdict, report.tiers):
        before = tiers.get(now["tier"], {})
        sums = {name: _number(before, name) + now[name] for name in ("entries", "num_bytes")}
        tiers[now["tier"]] = now | sums
    return {
        "entries": _number(so_far, "entries") + report.entries,
        "bytes": _number(so_far, "bytes") + report.bytes,
        "complete": report.complete,
        "tiers": list(tiers.values()),
    } | {name: so_far[name] for name in ("after",) if name in so_far}
