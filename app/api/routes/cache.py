"""What the KV store holds and what it saved."""

from dataclasses import asdict

from anyio import to_thread
from fastapi import APIRouter, Query

from app.answer.wire import JsonObject
from app.api.deps import ContainerDep
from app.api.schemas import CacheView, ChunkReuseView, TierView, iso_time
from app.db.rows import Bucket, OverviewRow, RunTokens, TtftSample
from kvstore.types import StoreStats

MAX_HOURS = 24 * 90

router = APIRouter(prefix="/api/v1", tags=["cache"])


@router.get("/cache")
async def get_cache(container: ContainerDep) -> CacheView:
    decoder = container.decoder
    stats = await to_thread.run_sync(decoder.store_stats)
    return CacheView(
        model=decoder.name,
        dtype=decoder.dtype,
        chunk_reuse=ChunkReuseView.model_validate(decoder.chunk_reuse()),
        tiers=_tiers(stats),
        counters=stats.counters,
        load_bytes_per_s=stats.load_bytes_per_s,
    )


@router.get("/admin/overview")
async def get_overview(
    container: ContainerDep, hours: int = Query(24, ge=1, le=MAX_HOURS)
) -> JsonObject:
    row = await container.runs.overview(hours)
    tiers = _tiers(await to_thread.run_sync(container.decoder.store_stats))
    return _overview(row) | {"tiers": [tier.model_dump() for tier in tiers]}


def _tiers(stats: StoreStats) -> list[TierView]:
    return [TierView.model_validate(tier) for tier in stats.tiers]


def _overview(row: OverviewRow) -> JsonObject:
    return {
        "window_hours": row.window_hours,
        "runs": row.runs,
        "documents": row.documents,
        "chunks": row.chunks,
        "tokens": _prompt_tokens(row.tokens),
        "saved_ms_estimate": row.saved_ms_estimate,
        "series": [_bucket(bucket) for bucket in row.series],
        "ttft": {"reuse": _sample(row.reuse), "off": _sample(row.off)},
    }


def _prompt_tokens(tokens: RunTokens) -> dict[str, int]:
    return {
        "exact_prefix": tokens.exact_prefix,
        "reused": tokens.reused,
        "recomputed": tokens.recomputed,
        "fresh": tokens.fresh,
    }


def _bucket(bucket: Bucket) -> JsonObject:
    return asdict(bucket) | {"start": iso_time(bucket.start)}


def _sample(sample: TtftSample) -> JsonObject:
    return asdict(sample)
