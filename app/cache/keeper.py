"""The cache commands: what is stored of the documents and why. What changes it is started here and
done by app/cache/jobs.py. Chunks come from the database, entries from the store."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal

from app.cache.jobs import PAGE, payload_of
from app.cache.types import ChunkCache, DocumentCache
from app.db.cache_targets import CacheTargets
from app.db.job_rows import JobRow, NewJob
from app.db.jobs import Jobs
from app.db.rows import CacheScope, CacheTargetRow
from app.decoder.service import DecoderService
from kvstore.keys import content_id
from kvstore.types import Segment

ENCODINGS = {"head", "primed"}

Verb = Literal["warm", "pin", "unpin", "evict", "purge"]


@dataclass(frozen=True, slots=True)
class CacheKeeper:
    """`admission` is the setting kv_admission, which decides what is stored when."""

    targets: CacheTargets
    decoder: DecoderService
    jobs: Jobs
    admission: str

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

    async def start(self, verb: Verb, scope: CacheScope) -> JobRow:
        """A job that computes what is missing, pins or unpins what is stored, drops what is not
        pinned from disk and memory, or forgets in every tier, pinned or not. Documents stay and can
        be warmed again."""
        collection_id = scope.id if scope.kind == "collection" else None
        payload, total = payload_of(verb, scope), await self.targets.count(scope)
        return await self.jobs.enqueue(NewJob("cache", collection_id, payload, total=total))

    async def shrink(self, target_bytes: int) -> JobRow:
        """A job that drops the least valuable entries until the disk tier holds no more."""
        return await self.jobs.enqueue(
            NewJob("cache", payload={"verb": "shrink", "to_bytes": target_bytes}, total=1)
        )

    async def verify(self) -> JobRow:
        """A job that reads every entry and puts aside what is damaged."""
        return await self.jobs.enqueue(NewJob("cache", payload={"verb": "verify"}))

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
