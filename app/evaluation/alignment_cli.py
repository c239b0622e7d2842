"""`larder eval alignment`: whether passages state what was read in them, rung by rung."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from app.evaluation.cli import GIB, Json, eval_app, show
from app.settings import load_settings


@eval_app.command("alignment")
def eval_alignment(
    dataset: Annotated[Path, typer.Option(help="RAMDocs' file.")],
    sample: Annotated[int | None, typer.Option(min=1, help="Questions of the file.")] = None,
    most: Annotated[int | None, typer.Option(min=1, help="Open pairs that are judged.")] = None,
    quotes: Annotated[bool, typer.Option(help="Ask the decoder for quotes.")] = True,
    model: Annotated[Path | None, typer.Option(help="Folder of an entailment model.")] = None,
    dtype: Annotated[str, typer.Option(help="Of the decoder.")] = "float32",
    readings: Annotated[
        Path | None, typer.Option(help="File that keeps what the decoder read.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What the decoder's quotes and an entailment model decide where wording does not."""
    from app.evaluation.alignment_ladder import BenchVoter, ladder_rows, read_cases
    from app.evaluation.bench_model import open_bench
    from app.evaluation.reliability_decoder import BenchReader, Readings
    from app.evaluation.reliability_documents import read_file
    from app.evaluation.reliability_reading import sampled
    from retrieval.entailment import EntailmentModel

    items = sampled(read_file(dataset, "ramdocs"), sample)
    entailment = None if model is None else EntailmentModel(model)
    with (
        open_bench(load_settings(), dtype=dtype, ram_bytes=GIB) as bench,
        Progress(console=Console(stderr=True)) as bar,
    ):
        task = bar.add_task("questions", total=len(items))
        reader = BenchReader(bench, Readings(readings))
        cases = read_cases(items, reader, lambda: bar.advance(task))
        voter = BenchVoter(bench) if quotes else None
        rows = asyncio.run(ladder_rows(cases, voter, entailment, most))
    settings = {"dataset": dataset.name, "questions": len(items), "most": most, "dtype": dtype}
    show(settings | {"quotes": quotes, "model": str(model or "")}, rows, as_json=as_json)
