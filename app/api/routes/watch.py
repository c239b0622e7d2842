"""What the production watch saw of chunk reuse, and lifting what it switched off."""

from dataclasses import asdict

from fastapi import APIRouter

from app.answer.wire import JsonObject
from app.api.deps import ContainerDep
from app.api.schemas import SuspensionView, WatchView
from app.db.rows import WatchSummaryRow
from app.decoder.watch import ReuseWatch

router = APIRouter(prefix="/api/v1/cache", tags=["cache"])

NOTHING = {"active": False, "checked": 0}


@router.get("/watch")
async def get_watch(container: ContainerDep) -> WatchView:
    watch = container.decoder.watch
    if watch is None:
        return WatchView.model_validate(NOTHING)
    return _view(watch, await container.watch.summary(container.decoder.identity))


@router.post("/watch/reset")
async def reset_watch(container: ContainerDep) -> JsonObject:
    """Chunk reuse is allowed again, and what was seen so far counts no more."""
    watch = container.decoder.watch
    return {"lifted": await watch.reset() if watch is not None else 0}


def _view(watch: ReuseWatch, seen: WatchSummaryRow) -> WatchView:
    return WatchView(
        active=True,
        share=watch.shares.watch,
        holdout_share=watch.shares.holdout,
        limit=watch.limit,
        checked=seen.checked,
        kl_mean=seen.kl_mean,
        kl_max=seen.kl_max,
        top1_agreement=seen.top1_agreement,
        first_token_ms={"served": asdict(seen.served), "full": asdict(seen.full)},
        holdout={"off": asdict(seen.off), "on": asdict(seen.on)},
        suspended=[SuspensionView.model_validate(row) for row in watch.suspended],
    )
