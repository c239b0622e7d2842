"""Is the process alive, and can it answer?"""

import logging

from fastapi import APIRouter
from starlette.responses import JSONResponse

from app.api.deps import ContainerDep

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(container: ContainerDep) -> JSONResponse:
    """503 with the part that is not ready."""
    checks = await container.readiness()
    is_ready = all(state == "ok" for state in checks.values())
    body = {"status": "ok" if is_ready else "unavailable", "checks": checks}
    return JSONResponse(body, 200 if is_ready else 503)
