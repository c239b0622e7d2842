"""`larder eval retrieval` and `chunking`, `larder bench search` and `ingest`: files to hits."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from app.errors import InvalidValue
from app.evaluation.cli import Json, bench_app, eval_app, show
from app.settings import PGVECTOR, load_settings

SYSTEMS = "words,vectors,hybrid,bm25s,minilm_faiss"
SPLITTERS = "larder,fixed_200,fixed_400,recursive_200,recursive_400"


@eval_app.command("retrieval")
def eval_retrieval(
    dataset: Annotated[Path, typer.Option(help="The evaluation set.")],
    file_format: Annotated[
        str, typer.Option("--format", help="squad, nq-oracle, hotpotqa, chunking")
    ] = "squad",
    systems: Annotated[str, typer.Option(help="Comma-separated.")] = SYSTEMS,
    questions: Annotated[int, typer.Option(min=0, help="Drawn by chance; 0 for all.")] = 0,
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which vectors are kept for the next run.")
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Choose what vectors count for, and use it from then on.")
    ] = False,
    seed: int = 0,
    as_json: Json = False,
) -> None:
    """Searches side by side: nDCG@10, recall@20, latency, and what each lacks to `hybrid`."""
    from app.evaluation.retrieval_run import Asked, read_set, run

    settings = load_settings()
    names = tuple(dict.fromkeys(name.strip() for name in systems.split(",") if name.strip()))
    asked = Asked(dataset, file_format, names, questions, cache, tune, seed)
    judged = read_set(settings, asked)
    with Progress(console=Console(stderr=True)) as bar:
        rows = asyncio.run(run(settings, asked, judged, tracker(bar)))
    figures = {
        "dataset": judged.name,
        "questions": len(judged.questions),
        "passages": len(judged.passages),
        "embedder": settings.embedder,
        "seed": seed,
    }
    show(figures, rows, as_json=as_json)


@eval_app.command("chunking")
def eval_chunking(
    dataset: Annotated[Path, typer.Option(help="CSV of questions, corpora beside it.")],
    splitters: Annotated[str, typer.Option(help="Comma-separated.")] = SPLITTERS,
    retrieved: Annotated[int, typer.Option(min=1, help="Chunks a question gets.")] = 5,
    cache: Annotated[
        Path | None, typer.Option(help="Folder in which vectors are kept for the next run.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Our chunks beside those of plain splitters: recall, precision, IoU of answering excerpts."""
    from app.evaluation.chunking_quality import SPLITTERS as known
    from app.evaluation.retrieval_run import run_chunking

    names = tuple(dict.fromkeys(name.strip() for name in splitters.split(",") if name.strip()))
    if unknown := set(names) - set(known):
        raise InvalidValue(f"unknown splitter {min(unknown)!r}; known: {', '.join(known)}")
    settings = load_settings()
    with Progress(console=Console(stderr=True)) as bar:
        rows = run_chunking(settings, dataset, names, retrieved, cache, tracker(bar))
    figures = {"dataset": dataset.name, "retrieved": retrieved, "model": settings.model}
    show(figures, rows, as_json=as_json)


@bench_app.command("search")
def bench_search_command(
    chunks: Annotated[int, typer.Option(min=100)] = 100_000,
    questions: Annotated[int, typer.Option(min=1)] = 100,
    index: Annotated[str, typer.Option(help="Kinds of vector index, comma-separated.")] = "flat",
    index_only: Annotated[str | None, typer.Option(help="Kinds, comma-separated.")] = None,
    text: Annotated[Path | None, typer.Option(help="Words are drawn from this file.")] = None,
    database_url: Annotated[
        str | None, typer.Option(help="An empty PostgreSQL database, which is filled.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Search time by words, by vectors and by both over made-up passages."""
    from app.evaluation.search_speed import PGVECTOR_EXACT, bench_index, bench_search
    from retrieval.dense_kinds import AUTO, KINDS
    from retrieval.embedding import load_embedder

    known = list(KINDS) if index_only else [AUTO, *KINDS]
    if database_url and not index_only:
        known += [PGVECTOR, PGVECTOR_EXACT]
    kinds = tuple(dict.fromkeys((index_only or index).split(",")))
    if unknown := set(kinds).difference(known):
        raise InvalidValue(f"there is no index {min(unknown)!r}; there are {', '.join(known)}")
    asked = {"chunks": chunks, "questions": questions, "index": ",".join(kinds)}
    if index_only:
        rows = bench_index(kinds, vectors=chunks, dimension=384, questions=questions)
        show(asked, rows, as_json=as_json)
        return
    if database_url:  # not that of the environment: this one is filled
        load_settings(database_url=database_url)
    words = text.read_text(encoding="utf-8", errors="replace") if text else None
    embedder = load_embedder(load_settings().embedder)
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("passages", total=-(-chunks // 1_000))
        rows = asyncio.run(
            bench_search(
                embedder,
                words,
                chunks=chunks,
                questions=questions,
                kinds=kinds,
                progress=lambda: bar.advance(task),
                url=database_url,
            )
        )
    show(asked, rows, as_json=as_json)


@bench_app.command("ingest")
def bench_ingest_command(
    documents: Annotated[int, typer.Option(min=1)] = 1000,
    folder: Annotated[Path | None, typer.Option(help="Default: installed packages.")] = None,
    kv_chunks: Annotated[int, typer.Option(min=0, help="Chunks to compute KV of.")] = 32,
    memory_documents: Annotated[int, typer.Option(min=0, help="Small ones; 0: none.")] = 10_000,
    as_json: Json = False,
) -> None:
    """Rates of each stage of ingestion and of all together, and whether memory grows."""
    from app.evaluation.bench_model import open_bench
    from app.evaluation.ingest_corpus import collect, installed_packages, small_documents
    from app.evaluation.ingest_speed import bench_ingest, bench_memory_flat
    from retrieval.embedding import load_embedder

    settings, console = load_settings(), Console(stderr=True)
    found = collect(folder or installed_packages(), documents)
    with open_bench(settings, dtype="float32", ram_bytes=0) as bench:
        embedder = load_embedder(settings.embedder)
        rows = bench_ingest(
            settings, bench, embedder, found, kv_chunks=kv_chunks, note=console.print
        )
        if memory_documents:
            console.print(f"memory over {memory_documents:,} small documents")
            small = small_documents(memory_documents)
            rows.append(bench_memory_flat(settings, bench, embedder, small))
    num_bytes = sum(len(document.body) for document in found)
    asked = {"documents": documents, "bytes": num_bytes, "kv_chunks": kv_chunks}
    show(asked | {"memory_documents": memory_documents}, rows, as_json=as_json)


def tracker(bar: Progress) -> Callable[[str, int], Callable[[int], None]]:
    """A new line of the bar for each kind of work; what it returns moves that line on."""

    def track(name: str, total: int) -> Callable[[int], None]:
        task = bar.add_task(name, total=total)
        return lambda count: bar.advance(task, count)

    return track
