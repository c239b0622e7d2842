"""What routes ask for by type."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from app.bootstrap import Container


def get_container(request: Request) -> Container:
    container: Container = request.app.state.container
    return container


ContainerDep = Annotated[Container, Depends(get_container)]


def refuse_unknown_query(request: Request) -> None:
    """A misspelt parameter is no parameter left out. Raises `RequestValidationError`."""
    route: APIRoute = request.scope["route"]
    known = {field.alias for field in route.dependant.query_params}
    if unknown := sorted(set(request.query_params) - known):
        names = ", ".join(map(repr, unknown))
        there = f"there are {', '.join(sorted(known))}" if known else "there are none here"
        message = f"unknown query parameters {names}; {there}"
        raise RequestValidationError([{"loc": ("query",), "msg": message}])
