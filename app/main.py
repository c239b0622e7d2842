"""The web application: routes, error answers, checks and the page over one container."""

from pathlib import Path

from fastapi import Depends, FastAPI

from app.api.deps import refuse_unknown_query
from app.api.errors import install_error_handlers
from app.api.middleware import BodyLimit, HeadAsGet, HostAndOriginCheck, RequestContext
from app.api.routes import (
    bulk,
    cache,
    cache_jobs,
    collections,
    documents,
    estimates,
    health,
    jobs,
    metrics,
    openai,
    runs,
    sources,
    versions,
    watch,
)
from app.api.web import web_router
from app.bootstrap import Container

STATIC = Path(__file__).parent / "static"
# Everything but uploads: a long conversation fits well.
MAX_JSON_BYTES = 4 << 20


def create_app(container: Container, static: Path = STATIC) -> FastAPI:
    """Whoever opened the container closes it; the application only uses it."""
    settings = container.settings
    app = FastAPI(
        title="Larder",
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.container = container
    install_error_handlers(app)
    own = (
        collections,
        documents,
        bulk,
        versions,
        jobs,
        estimates,
        sources,
        runs,
        cache,
        cache_jobs,
        watch,
    )
    for module in own:
        app.include_router(module.router, dependencies=[Depends(refuse_unknown_query)])
    for module in (health, metrics, openai):
        app.include_router(module.router)
    app.include_router(web_router(static))
    app.add_middleware(
        BodyLimit,
        max_bytes=MAX_JSON_BYTES,
        max_upload_bytes=documents.max_upload_bytes(settings.max_document_bytes),
    )
    app.add_middleware(HeadAsGet)
    app.add_middleware(HostAndOriginCheck, allowed_hosts=(*settings.allowed_hosts, settings.host))
    app.add_middleware(RequestContext)
    return app
