"""The commands and their options. Each imports what it runs only when it runs: `--help` is instant.

Every expected error ends here, as one line and exit code 2.
"""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from app.cli.cache import cache_app
from app.cli.output import print_error
from app.cli.source_commands import sources_app
from app.errors import InvalidValue, LarderError
from app.evaluation import (  # noqa: F401  their commands join these apps
    alignment_cli,
    corpus_cli,
    reliability_cli,
    store_cli,
)
from app.evaluation.cli import bench_app, eval_app
from kvstore.errors import KVStoreError
from reliability.errors import ReliabilityError
from retrieval.errors import RetrievalError


class Reuse(StrEnum):
    auto = "auto"
    exact = "exact"
    off = "off"


class Trust(StrEnum):
    plain = "plain"
    weighted = "weighted"
    tagged = "tagged"
    vote = "vote"


app = typer.Typer(
    name="larder",
    help="Answers over your documents, without ever prefilling the same passage twice.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
collections_app = typer.Typer(help="Sets of documents that questions are asked of.")
app.add_typer(sources_app, name="sources", no_args_is_help=True)
app.add_typer(collections_app, name="collections", no_args_is_help=True)
app.add_typer(cache_app, name="cache", no_args_is_help=True)
app.add_typer(eval_app, name="eval")
app.add_typer(bench_app, name="bench")

CollectionOption = Annotated[str, typer.Option("--collection", "-c", help="Name or id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes any free one.")] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Take in the demo collections too, while it serves.")
    ] = False,
) -> None:
    """Run the server: web page, HTTP interface and ingestion."""
    from app.cli.serve import run_serve

    run_serve(host, port, demo=demo)


@app.command()
def prepare() -> None:
    """Convert the model, create the database and take in the demo collections."""
    from app.cli.prepare import run_prepare

    run_prepare()


@app.command()
def ingest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders.")],
    collection: CollectionOption,
    source: Annotated[str, typer.Option("--source", "-s", help="Who wrote them.")] = "uploads",
    tag: Annotated[list[str] | None, typer.Option(help="To filter by; may be repeated.")] = None,
    date: Annotated[str | None, typer.Option(help="Of what they say, as 2026-11-22.")] = None,
    sync: Annotated[bool, typer.Option("--sync", help="Follow one folder, removals too.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Remove most of it if need be.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 2.0,
    as_json: JsonOption = False,
) -> None:
    """Add documents to a collection, which is created if need be."""
    from app.cli.ingest import SyncOptions, run_ingest, run_sync
    from app.db.facts import make_facts

    if sync:
        if len(paths) != 1:
            raise InvalidValue("--sync takes one folder")
        options = SyncOptions(force, watch, interval, make_facts(tag or (), date))
        run_sync(paths[0], collection, source, options, as_json=as_json)
        return
    if force or watch:
        raise InvalidValue("--force and --watch belong to --sync")
    run_ingest(paths, collection, source, make_facts(tag or (), date), as_json=as_json)


@app.command()
def ask(
    question: str,
    collection: CollectionOption,
    reuse: Annotated[Reuse, typer.Option(help="How far stored KV may be used.")] = Reuse.auto,
    policy: Annotated[str | None, typer.Option(help="Which tokens to recompute.")] = None,
    ratio: Annotated[float | None, typer.Option(help="Share to recompute, 0 to 1.")] = None,
    encoding: Annotated[str | None, typer.Option(help="How chunks were encoded.")] = None,
    trust: Annotated[
        Trust | None, typer.Option(help="How the reliability of sources is used.")
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Longest answer.")] = None,
    source: Annotated[
        list[str] | None, typer.Option(help="Only of these sources; may be repeated.")
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only with all of these tags.")] = None,
    since: Annotated[str | None, typer.Option(help="Only dated on this day or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Only dated on this day or earlier.")] = None,
    min_reliability: Annotated[
        float | None, typer.Option(help="Only of sources believed so far, 0 to 1.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Ask a question; the answer is printed as it is written, then its sources."""
    from app.cli.ask import run_ask

    wanted = {
        "sources": source,
        "tags": tag,
        "date_from": since,
        "date_to": until,
        "min_reliability": min_reliability,
    }

    asked = {
        "question": question,
        "collection": collection,
        "mode": reuse.value,
        "policy": policy,
        "ratio": ratio,
        "encoding": encoding,
        "trust": trust.value if trust else None,
        "max_tokens": max_tokens,
        "filter": {name: value for name, value in wanted.items() if value is not None} or None,
    }
    run_ask({name: value for name, value in asked.items() if value is not None}, as_json=as_json)


@app.command()
def calibrate(
    target: Annotated[float, typer.Option(help="Largest mean drift, nats a token.")] = 0.05,
    dataset: Annotated[Path | None, typer.Option(help="Your questions; else built-in.")] = None,
    file_format: Annotated[str, typer.Option("--format", help="squad")] = "squad",
    questions: Annotated[int, typer.Option(min=1, help="Questions in each half.")] = 24,
    passages: Annotated[int, typer.Option(min=2, help="Passages in a prompt.")] = 5,
    policies: Annotated[str, typer.Option(help="Comma-separated.")] = "question,seam",
    answer_tokens: Annotated[int, typer.Option(min=1, help="Longest answer.")] = 16,
    seed: int = 0,
    export: Annotated[Path | None, typer.Option(help="Write an unsigned copy too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Prove and measure the configured model; without its record chunks are not reused."""
    from app.cli.calibrate import Asked, run_calibrate
    from app.evaluation.calibrate import Plan

    plan = Plan(target, tuple(policies.split(",")), questions, answer_tokens)
    asked = Asked(plan, dataset, file_format, passages, seed, export)
    run_calibrate(asked, as_json=as_json)


@app.command()
def doctor() -> None:
    """Check that everything Larder needs is there and works."""
    from app.cli.doctor import run_doctor

    run_doctor()


@collections_app.command("ls")
def collections_ls(as_json: JsonOption = False) -> None:
    """List collections with what they hold."""
    from app.cli.listing import list_collections

    list_collections(as_json=as_json)


def main() -> None:
    """A traceback is for what nobody expected; the rest is one line."""
    try:
        app()
    except (LarderError, RetrievalError, KVStoreError, ReliabilityError) as error:
        print_error(str(error))
        sys.exit(2)
