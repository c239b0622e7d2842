"""The built web page: files with a hash in their name stay cached, the page itself never."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Match
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

# Never answered with the page: a program that mistyped a route must see 404, not HTML.
PROGRAM_PATHS = ("/api/", "/v1/")
HASHED = "assets/"
NOT_BUILT = (
    "Larder is running, but its web page has not been built: the folder app/static is missing.\n"
    "The HTTP interface works all the same; see docs/api.md.\n"
)


class _PageRoute(APIRoute):
    """Leaves the paths of programs alone: a wrong method there is 405, a wrong path 404."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["path"].startswith(PROGRAM_PATHS):
            return Match.NONE, {}
        return super().matches(scope)


def web_router(folder: Path) -> APIRouter:
    """Every GET path that no other route took. Client-side addresses get the page."""
    router = APIRouter(include_in_schema=False, route_class=_PageRoute)
    files = StaticFiles(directory=folder, html=True, check_dir=False)

    @router.get("/{path:path}")
    async def page(path: str, request: Request) -> Response:
        is_asset = path.startswith(HASHED)
        if not is_asset and not (folder / "index.html").is_file():
            return PlainTextResponse(NOT_BUILT, 503, {"Cache-Control": "no-store"})
        try:
            response = await files.get_response(path or "index.html", request.scope)
        except HTTPException as error:
            if error.status_code != 404 or is_asset:
                raise
            path = "index.html"
            response = await files.get_response(path, request.scope)
        response.headers["Cache-Control"] = _caching(path)
        return response

    return router


def _caching(path: str) -> str:
    if path.startswith(HASHED):
        return "public, max-age=31536000, immutable"
    return "no-store" if path in {"", "index.html"} else "no-cache"
