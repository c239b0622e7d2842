"""`larder prepare`: everything `larder serve` needs on a bare machine. Safe to run again."""

import asyncio
from collections.abc import Sequence

import typer

from app.cli import demo
from app.cli.connect import connect
from app.cli.demo import Demo, are_taken_in, find_demos, take_in
from app.cli.output import print_note
from app.decoder.packaged import is_converted
from app.settings import Settings, load_settings


def run_prepare() -> None:
    """Raises typer.Exit where a demo document could not be taken in."""
    if not asyncio.run(_prepare(find_demos(demo.REPOSITORY))):
        raise typer.Exit(1)


async def _prepare(demos: Sequence[Demo]) -> bool:
    settings = load_settings()
    if await _is_ready(settings, demos):
        print_note("The model and the demo collections are ready.")
        return True
    async with connect(settings, print_note) as client:
        return await take_in(client, settings, demos, lambda: None)


async def _is_ready(settings: Settings, demos: Sequence[Demo]) -> bool:
    """Without loading a model."""
    if settings.model == "packaged" and not is_converted(settings.data_dir / "models"):
        return False
    return await are_taken_in(settings, demos)
