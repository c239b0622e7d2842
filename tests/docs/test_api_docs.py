"""The documents name every route, command and setting, and none that is not there."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import typer.main

from app.bootstrap import Container
from app.cli.root import app as cli
from app.main import create_app
from app.settings import Settings, load_settings

DOCS = Path(__file__).parents[2] / "docs"
ROUTE = re.compile(r"`(GET|POST|PATCH|PUT|DELETE) (/[^\s`?]*)")
COMMAND = re.compile(r"^\| `larder ([a-z ]+[a-z])", re.MULTILINE)
SETTING = re.compile(r"^\| `([a-z_]+)` \|", re.MULTILINE)


def read(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_every_route_is_named_and_every_named_one_exists() -> None:
    container = cast(Container, SimpleNamespace(settings=load_settings()))
    paths = create_app(container).openapi()["paths"]
    served = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert served == set(ROUTE.findall(read("api.md")))


def test_every_command_is_named_and_every_named_one_exists() -> None:
    root = typer.main.get_command(cli)
    found = set()
    for name, command in getattr(root, "commands").items():  # noqa: B009  typer hides click's type
        below = getattr(command, "commands", None)
        found |= {f"{name} {inner}" for inner in below} if below else {name}
    assert found == set(COMMAND.findall(read("cli.md")))


def test_every_option_of_a_command_is_named() -> None:
    text = read("cli.md")
    root = typer.main.get_command(cli)
    for name in ("serve", "ingest", "ask"):
        for parameter in getattr(root, "commands")[name].params:  # noqa: B009
            option = next((item for item in parameter.opts if item.startswith("--")), None)
            assert option is None or option == "--help" or option in text, f"{name} {option}"


def test_every_setting_is_named_and_every_named_one_exists() -> None:
    assert set(Settings.model_fields) == set(SETTING.findall(read("settings.md")))
