"""`larder cache`: the commands and their options; app/cli/cache_commands.py runs them."""

from typing import Annotated

import typer

from app.cli.output import print_error
from app.settings import parse_size

cache_app = typer.Typer(help="What the KV store keeps: look, warm, pin, evict, verify, purge.")

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Collection = Annotated[str | None, typer.Option("--collection", "-c", help="Name or id.")]
Document = Annotated[int | None, typer.Option("--document", "-d", help="Id of a document.")]
Chunk = Annotated[int | None, typer.Option("--chunk", help="Id of a chunk.")]
Source = Annotated[str | None, typer.Option("--source", "-s", help="Name or id.")]
All = Annotated[bool, typer.Option("--all", help="Everything.")]

Scope = dict[str, object]


def scope_of(**named: object) -> Scope:
    """The one thing that was named. Ends the command where it is none or several."""
    everything = named.pop("everything", False)
    chosen = {name: value for name, value in named.items() if value is not None}
    if everything:
        chosen["tenant"] = "default"
    if len(chosen) != 1:
        options = ", ".join(f"--{name.removesuffix('_id')}" for name in named)
        print_error(f"name exactly one of {options}, --all")
        raise typer.Exit(2)
    return chosen


@cache_app.command("stats")
def stats(as_json: Json = False) -> None:
    """Tiers with their bytes and hits, and what was saved."""
    from app.cli.cache_commands import show_stats

    show_stats(as_json=as_json)


@cache_app.command("ls")
def ls(
    collection: Collection = None,
    document: Document = None,
    source: Source = None,
    as_json: Json = False,
) -> None:
    """What is stored of each document."""
    from app.cli.cache_commands import list_documents

    list_documents(
        {"collection": collection, "document_id": document, "source": source}, as_json=as_json
    )


@cache_app.command("explain")
def explain(chunk: Chunk = None, document: Document = None, as_json: Json = False) -> None:
    """Entry by entry: what it stood behind, where it lies, how often it was used, or why it is
    not there."""
    from app.cli.cache_commands import explain_chunks

    if (chunk is None) == (document is None):
        print_error("name either --chunk or --document")
        raise typer.Exit(2)
    explain_chunks({"chunk_id": chunk, "document_id": document}, as_json=as_json)


@cache_app.command("warm")
def warm(
    collection: Collection = None,
    document: Document = None,
    source: Source = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """Compute what is missing; broken off and started again, it goes on where it was."""
    from app.cli.cache_commands import run_job

    scope = scope_of(
        collection=collection, document_id=document, source=source, everything=everything
    )
    run_job("warm", scope, as_json=as_json)


@cache_app.command("pin")
def pin(
    collection: Collection = None,
    document: Document = None,
    source: Source = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """Keep what is stored, whatever else comes, also over restarts."""
    from app.cli.cache_commands import run_job

    scope = scope_of(
        collection=collection, document_id=document, source=source, everything=everything
    )
    run_job("pin", scope, as_json=as_json)


@cache_app.command("unpin")
def unpin(
    collection: Collection = None,
    document: Document = None,
    source: Source = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """Let it be evicted again."""
    from app.cli.cache_commands import run_job

    scope = scope_of(
        collection=collection, document_id=document, source=source, everything=everything
    )
    run_job("unpin", scope, as_json=as_json)


@cache_app.command("evict")
def evict(
    to: Annotated[str | None, typer.Option(help='What may stay on disk, e.g. "2GB".')] = None,
    collection: Collection = None,
    document: Document = None,
    source: Source = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """Drop from disk and memory what is not pinned."""
    from app.cli.cache_commands import run_job

    if to is not None:
        run_job("evict", {"to_bytes": _size(to)}, as_json=as_json)
        return
    scope = scope_of(
        collection=collection, document_id=document, source=source, everything=everything
    )
    run_job("evict", {"scope": scope}, as_json=as_json)


@cache_app.command("verify")
def verify(as_json: Json = False) -> None:
    """Read every entry and put aside what is damaged; exit code 1 where something was."""
    from app.cli.cache_commands import run_verify

    run_verify(as_json=as_json)


@cache_app.command("purge")
def purge(
    collection: Collection = None,
    document: Document = None,
    source: Source = None,
    everything: All = False,
    as_json: Json = False,
) -> None:
    """Forget in every tier, pinned or not; documents stay."""
    from app.cli.cache_commands import run_job

    scope = scope_of(
        collection=collection, document_id=document, source=source, everything=everything
    )
    run_job("purge", scope, as_json=as_json)


def _size(text: str) -> int:
    try:
        value = parse_size(text)
    except ValueError:
        value = None
    if not isinstance(value, int):
        print_error(f"{text} is not a size such as 2GB or 512MiB")
        raise typer.Exit(2)
    return value
