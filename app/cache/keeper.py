"""The cache commands: what is stored of the documents and why, warm, pin, evict, verify, purge.

Chunks come from the database, entries from the store. What changes entries holds the gate a batch
at a time, so that no document goes or is taken in half-way.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field

from app.cache.jobs import Advance, Job, JobBoard, Outcome
from app.cache.types import ChunkCache, DocumentCache, PinReport
from app.db.cache_targets import CacheTargets
from app.db.rows import CacheScope, CacheTargetRow
from app.decoder.service import DecoderService
from app.decoder.types import Passage, PurgeReport
from kvstore.keys import content_id
from kvstore.purging import TierPurge
from kvstore.types import Segment
from kvstore.upkeep import Evicted, Verified

PAGE = 200  # chunks read at once
WARM_BATCH = 8  # chunks; a few seconds of the decoder, and a delete waits for one
VERIFY_BATCH = 16  # entries between two looks at the clock of others
ENCODINGS = {"head", "primed"}


@dataclass(frozen=True, slots=True)
class CacheKeeper:
    """`admission` is the setting kv_admission, which decides what is stored when."""

    targets: CacheTargets
    decoder: DecoderService
    jobs: JobBoard
    admission: str
    gate: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def documents(self, scope: CacheScope) -> list[DocumentCache]:
        """One row a document, by id."""
        found: dict[int, DocumentCache] = {}
        async for rows in self._pages(scope, PAGE):
            contents = {row.chunk_id: content_id(row.token_ids) for row in rows}
            kept = await asyncio.to_thread(self.decoder.upkeep.kept, list(contents.values()))
            for row in rows:
                before = found.get(row.document_id) or DocumentCache(
                    row.document_id, row.document, 0, 0, 0, 0, 0
                )
                now = kept[contents[row.chunk_id]]
                found[row.document_id] = DocumentCache(
                    row.document_id,
                    row.document,
                    before.chunks + 1,
                    before.stored + int(now.entries > 0),
                    before.entries + now.entries,
                    before.bytes + now.num_bytes,
                    before.pinned + now.pinned,
                )
        return list(found.values())

    async def explain(self, scope: CacheScope, after: int, limit: int) -> list[ChunkCache]:
        """Entry by entry, why each chunk has or has not what a prompt could use."""
        rows = await self.targets.page(scope, after, limit)
        return [await self._explain(row) for row in rows]

    async def pin(self, scope: CacheScope, pinned: bool) -> PinReport:
        """Entries that are pinned stay until they are unpinned or purged, also over restarts."""
        chunks = entries = without = 0
        async for rows in self._pages(scope, PAGE):
            contents = _contents(rows)
            kept = await asyncio.to_thread(self.decoder.upkeep.kept, contents)
            entries += await asyncio.to_thread(self.decoder.upkeep.pin, contents, pinned)
            without += sum(not kept[content].entries for content in contents)
            chunks += len(rows)
        return PinReport(chunks, entries, without)

    def warm(self, scope: CacheScope) -> Job:
        """Compute what is missing. Broken off and started again, it goes on where it was."""

        async def work(advance: Advance) -> Outcome:
            return await self._warm(scope, advance)

        return self.jobs.start("cache.warm", work)

    def evict(self, scope: CacheScope) -> Job:
        """Drop from disk and memory what is not pinned."""

        async def work(advance: Advance) -> Outcome:
            return await self._evict(scope, advance)

        return self.jobs.start("cache.evict", work)

    def shrink(self, target_bytes: int) -> Job:
        """Drop the least valuable entries until the disk tier holds no more than that."""

        async def work(advance: Advance) -> Outcome:
            advance(0, 1)
            gone = await asyncio.to_thread(self.decoder.upkeep.shrink, target_bytes)
            advance(1, 1)
            return _evicted(gone)

        return self.jobs.start("cache.evict", work)

    def verify(self) -> Job:
        """Read every entry; put aside what is damaged."""
        return self.jobs.start("cache.verify", self._verify)

    def purge(self, scope: CacheScope) -> Job:
        """Forget in every tier, pinned or not. Documents stay and can be warmed again."""

        async def work(advance: Advance) -> Outcome:
            return await self._purge(scope, advance)

        return self.jobs.start("cache.purge", work)

    async def _warm(self, scope: CacheScope, advance: Advance) -> Outcome:
        total, done, after = await self.targets.count(scope), 0, 0
        counts: Counter[str] = Counter()
        reason = None
        advance(0, total)
        while reason is None:
            async with self.gate:
                rows = await self.targets.page(scope, after, WARM_BATCH)
                if not rows:
                    break
                passages = [Passage(row.chunk_id, row.token_ids, row.primers) for row in rows]
                report = await self.decoder.precompute(passages)
                if not report.left:
                    await self.targets.mark([row.chunk_id for row in rows], is_cached=True)
            counts.update(stored=report.stored, already=report.already, tokens=report.num_tokens)
            reason, after, done = report.reason, rows[-1].chunk_id, done + len(rows)
            advance(min(done, total), total)
        left = max(0, total - counts["stored"] - counts["already"])
        return {name: counts[name] for name in ("stored", "already", "tokens")} | {
            "left": left if reason else 0,
            "reason": reason,
        }

    async def _evict(self, scope: CacheScope, advance: Advance) -> Outcome:
        total, done = await self.targets.count(scope), 0
        sums = Evicted(0, 0, 0)
        advance(0, total)
        async for rows in self._pages(scope, PAGE):
            async with self.gate:
                gone = await asyncio.to_thread(self.decoder.upkeep.evict, _contents(rows))
                await self.targets.mark([row.chunk_id for row in rows], is_cached=False)
            sums = Evicted(
                sums.entries + gone.entries,
                sums.num_bytes + gone.num_bytes,
                sums.kept_pinned + gone.kept_pinned,
            )
            done += len(rows)
            advance(min(done, total), total)
        return _evicted(sums)

    async def _verify(self, advance: Advance) -> Outcome:
        upkeep = self.decoder.upkeep
        total, done = await asyncio.to_thread(upkeep.num_to_verify), 0
        report = Verified({})
        steps = upkeep.verify(report)

        def some() -> int:
            return sum(1 for _ in zip(range(VERIFY_BATCH), steps, strict=False))

        advance(0, total)
        while count := await asyncio.to_thread(some):
            done += count
            advance(done, max(done, total))
        return {"tiers": {name: dict(found) for name, found in report.outcomes.items()}}

    async def _purge(self, scope: CacheScope, advance: Advance) -> Outcome:
        total = await self.targets.count(scope)
        advance(0, total)
        reports: list[PurgeReport] = []
        done = 0
        if scope.kind == "tenant":
            async with self.gate:
                reports.append(await self.decoder.purge_tenant())
        async for rows in self._pages(scope, PAGE):
            async with self.gate:
                if scope.kind != "tenant":
                    reports.append(await self.decoder.purge([row.token_ids for row in rows]))
                await self.targets.mark([row.chunk_id for row in rows], is_cached=False)
            done += len(rows)
            advance(min(done, total), total)
        return _purged(reports)

    async def _pages(self, scope: CacheScope, size: int) -> AsyncIterator[list[CacheTargetRow]]:
        after = 0
        while rows := await self.targets.page(scope, after, size):
            yield rows
            after = rows[-1].chunk_id

    async def _explain(self, row: CacheTargetRow) -> ChunkCache:
        chunk = Segment("chunk", row.token_ids, row.primers)
        entries = await asyncio.to_thread(self.decoder.upkeep.explain, chunk)
        there = {entry.encoding for entry in entries if entry.is_current}
        return ChunkCache(
            chunk_id=row.chunk_id,
            document_id=row.document_id,
            label=row.label,
            num_tokens=len(row.token_ids),
            entries=tuple(entries),
            missing=None if there >= ENCODINGS else self._why_missing(row, entries != []),
        )

    def _why_missing(self, row: CacheTargetRow, has_some: bool) -> str:
        if not self.decoder.chunk_reuse().allowed:
            return "model_not_allowed"
        if has_some:
            return "other_model_or_neighbours"
        if row.is_cached:
            return "evicted_expired_or_purged"
        if row.state in {"received", "chunked", "indexed"}:
            return "not_ingested_yet"
        return {"second_use": "waits_for_second_use", "never": "admission_never"}.get(
            self.admission, "disk_budget_or_purged"
        )


def _contents(rows: Sequence[CacheTargetRow]) -> list[str]:
    return [content_id(row.token_ids) for row in rows]


def _evicted(gone: Evicted) -> Outcome:
    return {"entries": gone.entries, "bytes": gone.num_bytes, "kept_pinned": gone.kept_pinned}


def _purged(reports: Sequence[PurgeReport]) -> Outcome:
    """Sums over batches; an entry behind chunks of two batches counts where it went."""
    by_tier: dict[str, TierPurge] = {}
    for report in reports:
        for tier in report.tiers:
            before = by_tier.get(tier.tier, TierPurge(tier.tier))
            by_tier[tier.tier] = TierPurge(
                tier.tier,
                before.entries + tier.entries,
                before.num_bytes + tier.num_bytes,
                tier.failed or before.failed,
            )
    return {
        "entries": sum(report.entries for report in reports),
        "bytes": sum(report.bytes for report in reports),
        "complete": all(report.complete for report in reports),
        "tiers": [asdict(tier) for tier in by_tier.values()],
    }
