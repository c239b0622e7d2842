"""`larder sources ...`: options only. What they run is in app/cli/sources.py and estimate.py."""

from pathlib import Path
from typing import Annotated

import typer

sources_app = typer.Typer(help="Who wrote the documents, and how far each is believed.")

NameArgument = Annotated[str, typer.Argument(help="Name or id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
ByOption = Annotated[str, typer.Option("--by", help="Who does it; kept, so it can be undone.")]
NoteOption = Annotated[str, typer.Option("--note", help="Why; kept with it.")]
CURATOR = "curator"


@sources_app.command("ls")
def sources_ls(as_json: JsonOption = False) -> None:
    """List sources with their reliability."""
    from app.cli.sources import list_sources

    list_sources(as_json=as_json)


@sources_app.command("show")
def sources_show(
    name: NameArgument,
    observations: Annotated[int, typer.Option(min=0, help="How many to list.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Explain how far a source is believed, and why."""
    from app.cli.sources import show_source

    show_source(name, observations, as_json=as_json)


@sources_app.command("set")
def sources_set(
    name: NameArgument,
    reliability: Annotated[
        float | None, typer.Option(help="Strictly between 0 and 1: where it starts.")
    ] = None,
    class_name: Annotated[
        str | None, typer.Option("--class", help="curated, official, internal, web, ...")
    ] = None,
    by: ByOption = CURATOR,
) -> None:
    """State how far a source is believed before anything was observed."""
    from app.cli.sources import set_source

    set_source(name, reliability, class_name, by)


@sources_app.command("label")
def sources_label(
    name: NameArgument,
    question: Annotated[str, typer.Option(help="What was asked.")],
    answer: Annotated[str, typer.Option(help="What the source says.")],
    right: Annotated[
        bool | None, typer.Option("--right/--wrong", help="Whether that is right.")
    ] = None,
    verdict: Annotated[float | None, typer.Option(help="Or unsure: from 0 to 1.")] = None,
    topic: Annotated[str, typer.Option(help="What it is about.")] = "",
    by: ByOption = CURATOR,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Say whether an answer of a source is right."""
    from app.cli.sources import label_source
    from app.sources.types import Label

    given = verdict if right is None else float(right)
    label = Label(question, answer, -1.0 if given is None else given, by, None, topic, note)
    label_source(name, label, as_json=as_json)


@sources_app.command("quarantine")
def sources_quarantine(
    name: NameArgument,
    release: Annotated[bool, typer.Option("--release", help="Take it out again.")] = False,
    by: ByOption = CURATOR,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Keep a source out of every answer."""
    from app.cli.sources import quarantine_source

    quarantine_source(name, by, note, release=release, as_json=as_json)


@sources_app.command("rename")
def sources_rename(
    name: NameArgument,
    new_name: Annotated[str, typer.Argument(help="What it is called from now on.")],
    by: ByOption = CURATOR,
) -> None:
    """Give a source another name; it keeps its history and is found under the old one, too."""
    from app.cli.sources import rename_source

    rename_source(name, new_name, by)


@sources_app.command("merge")
def sources_merge(
    name: NameArgument,
    into: Annotated[str, typer.Argument(help="Name or id of what it turned out to be.")],
    by: ByOption = CURATOR,
    as_json: JsonOption = False,
) -> None:
    """Two names of one source: their histories count as one."""
    from app.cli.sources import merge_source

    merge_source(name, into, by, as_json=as_json)


@sources_app.command("undo")
def sources_undo(
    observation: Annotated[list[int] | None, typer.Option(help="Its number; repeat it.")] = None,
    author: Annotated[str | None, typer.Option(help="All that a person said.")] = None,
    source: Annotated[str | None, typer.Option(help="All that a source said.")] = None,
    version: Annotated[int | None, typer.Option(help="Back to what counted then.")] = None,
    merge: Annotated[str | None, typer.Option(help="A source that was merged.")] = None,
    by: ByOption = CURATOR,
    note: NoteOption = "",
    as_json: JsonOption = False,
) -> None:
    """Take observations or a merge back. Nothing is deleted."""
    from app.cli.sources import separate_source, undo_observations

    if merge is not None:
        separate_source(merge, by, as_json=as_json)
        return
    undo_observations(observation or [], author, source, version, by, note, as_json=as_json)


@sources_app.command("review")
def sources_review(
    limit: Annotated[int, typer.Option(min=1, max=200, help="Lines of each kind.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """What to look at next: open questions, sources that turned, sources that err alike."""
    from app.cli.sources import review_sources

    review_sources(limit, as_json=as_json)


@sources_app.command("estimate")
def sources_estimate(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Name or id.")],
    questions: Annotated[
        Path | None, typer.Option(help="JSON lines: question and, if known, answer and topic.")
    ] = None,
    take_from: Annotated[
        str, typer.Option("--from", help="Without a file: documents, or past runs.")
    ] = "documents",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Most probes to ask.")] = 400,
    estimator: Annotated[str, typer.Option(help="larder, ra_rag, majority, ...")] = "larder",
    by: ByOption = CURATOR,
    as_json: JsonOption = False,
) -> None:
    """Ask every source the same questions, and learn from their answers whom to believe."""
    from app.cli.estimate import run_estimate
    from app.cli.output import print_note

    if estimator != "larder" and not as_json:
        print_note("labels, classes, fading and caps count with the estimator larder only")
    body: dict[str, object] = {
        "collection": collection,
        "from": "questions" if questions else take_from,
        "limit": limit,
        "estimator": estimator,
        "by": by,
    }
    run_estimate(body, questions, as_json=as_json)
