"""`larder bench assemble` and `larder bench eviction`: what the KV store costs and keeps."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from app.evaluation.cli import GIB, Json, bench_app, numbers, show
from app.settings import load_settings


@bench_app.command("assemble")
def bench_assemble_command(
    chunks: Annotated[int, typer.Option(min=1)] = 8,
    chunk_tokens: Annotated[int, typer.Option(min=8)] = 235,
    repeats: Annotated[int, typer.Option(min=1)] = 5,
    dtypes: Annotated[str, typer.Option(help="Comma-separated.")] = "float32,bfloat16",
    codec: Annotated[str, typer.Option(help="A kv_codec.")] = "raw",
    shared: Annotated[str, typer.Option(help="Addresses of shared tiers, comma-separated.")] = "",
    as_json: Json = False,
) -> None:
    """Time to assemble warm chunks from each tier, against the full prefill of the same prompt."""
    from app.evaluation.assemble import AssembleRequest, bench_assemble
    from app.evaluation.bench_model import open_bench

    urls = tuple(url.strip() for url in shared.split(",") if url.strip())
    request = AssembleRequest(chunks, chunk_tokens, repeats, codec, urls)
    rows: list[dict[str, object]] = []
    names = dtypes.split(",")
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("turns", total=repeats * len(names))
        for name in names:
            with open_bench(load_settings(), dtype=name, ram_bytes=GIB) as bench:
                rows += bench_assemble(bench, request, lambda: bar.advance(task))
    asked = {"chunks": chunks, "chunk_tokens": chunk_tokens, "repeats": repeats}
    show(asked, rows, as_json=as_json)


@bench_app.command("eviction")
def bench_eviction_command(
    dataset: Annotated[list[Path], typer.Option(help="Evaluation sets; may be given twice.")],
    formats: Annotated[str, typer.Option("--format", help="squad, ramdocs; one a set.")] = "squad",
    requests: Annotated[int, typer.Option(min=1)] = 3000,
    passages: Annotated[int, typer.Option(min=1, help="Passages in a prompt.")] = 5,
    skew: Annotated[float, typer.Option(min=0, help="Exponent of Zipf's law.")] = 1.0,
    budgets: Annotated[str, typer.Option(help="Shares of all bytes, comma-separated.")] = (
        "0.05,0.2,0.5"
    ),
    seeds: Annotated[int, typer.Option(min=1, help="Orders of questions.")] = 3,
    shifts: Annotated[int, typer.Option(min=0, help="Changes of what is popular.")] = 0,
    as_json: Json = False,
) -> None:
    """Hit tokens and seconds saved by every eviction rule under a byte cap, on replayed prompts."""
    from app.evaluation.eviction import EvictionRequest, bench_eviction

    request = EvictionRequest(requests, passages, skew, tuple(numbers(budgets)), seeds, shifts)
    rows = bench_eviction(dataset, formats.split(","), request)
    asked = {
        "requests": requests,
        "passages": passages,
        "skew": skew,
        "seeds": seeds,
        "shifts": shifts,
    }
    show(asked, rows, as_json=as_json)
