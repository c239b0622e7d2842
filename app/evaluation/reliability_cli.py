"""`larder eval chances`: whether stated chances come true."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from app.evaluation.cli import Json, eval_app, show


@eval_app.command("chances")
def eval_chances(
    worlds: Annotated[str, typer.Option(help="Comma-separated, or `all`.")] = "all",
    draws: Annotated[int, typer.Option(min=1, help="Worlds drawn of each kind.")] = 5,
    labels: Annotated[int, typer.Option(min=0, help="Probes that a person answered.")] = 50,
    write: Annotated[
        Path | None, typer.Option(help="Learn the default map instead, and write it here.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Chances in verdicts, end to end over a real database: stated, and come true."""
    from app.evaluation.chances import FITTED, WORLDS, chance_rows, fit_default
    from app.evaluation.reliability_run import check_names

    names = check_names(worlds, WORLDS if write is None else FITTED, "world")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("worlds", total=draws * len(names))
        if write is not None:
            found = fit_default(names, draws, write, lambda: bar.advance(task))
        else:
            found = chance_rows(names, draws, labels, lambda: bar.advance(task))
        rows = asyncio.run(found)
    show({"worlds": names, "draws": draws, "labels": labels}, rows, as_json=as_json)
