"""What Prometheus collects."""

from anyio import to_thread
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import Response

from app.api.deps import ContainerDep
from app.api.metrics import Figures, metrics_text

WINDOW_HOURS = 24  # of the times of `reuse` and `off`; the watch's own go back to its last reset

router = APIRouter(tags=["admin"])


@router.get("/metrics")
async def get_metrics(container: ContainerDep) -> Response:
    decoder, seen = container.decoder, None
    overview = await container.runs.overview(WINDOW_HOURS)
    times = {"reuse": overview.reuse, "off": overview.off}
    if decoder.watch is not None:
        seen = await container.watch.summary(decoder.identity)
        times |= {
            "watched": seen.served,
            "watched_full": seen.full,
            "holdout_off": seen.off,
            "holdout_on": seen.on,
        }
    figures = Figures(
        allowed=decoder.chunk_reuse().allowed,
        store=await to_thread.run_sync(decoder.store_stats),
        times=times,
        watch=decoder.watch,
        seen=seen,
    )
    return Response(metrics_text(figures), media_type=CONTENT_TYPE_LATEST)
