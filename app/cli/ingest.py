"""`larder ingest`: files and folders into a collection."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import typer

from app.cli.connect import connect
from app.cli.files import InputFile, find_files
from app.cli.output import print_error, print_json, print_note, print_table
from app.cli.sync import FolderSync, SyncReport, watch
from app.cli.upload import UploadReport, find_or_create_collection, upload_files
from app.db.rows import NO_FACTS, DocumentFacts
from app.errors import InvalidValue
from app.settings import load_settings

SYNC_COUNTS = ("added", "changed", "unchanged", "removed")

OnSync = Callable[[SyncReport], None]


def run_ingest(
    paths: list[Path], collection: str, source: str, facts: DocumentFacts, *, as_json: bool
) -> None:
    """Exit code 1 where any file failed; the others are in all the same."""
    report = asyncio.run(_ingest(find_files(paths), collection, source, facts))
    if as_json:
        print_json(asdict(report) | {"tokens_per_second": report.tokens_per_second})
    else:
        print_report(report, collection)
    for name, reason in report.failures:
        print_error(f"{name}: {reason}")
    if report.failures:
        raise typer.Exit(1)


@dataclass(frozen=True, slots=True)
class SyncOptions:
    force: bool = False
    watch: bool = False
    interval_s: float = 2.0
    facts: DocumentFacts = NO_FACTS


def run_sync(
    folder: Path, collection: str, source: str, options: SyncOptions, *, as_json: bool
) -> None:
    """As `run_ingest`, and what is no more in the folder goes; with `watch` until Ctrl-C."""
    if not folder.is_dir():
        raise InvalidValue(f"{folder} is no folder")

    def show(report: SyncReport) -> None:
        print_sync(report, collection, as_json=as_json)

    try:
        report = asyncio.run(_sync(folder, collection, source, options, show))
    except KeyboardInterrupt:
        return
    if report.failures:
        raise typer.Exit(1)


async def _sync(
    folder: Path, collection: str, source: str, options: SyncOptions, show: OnSync
) -> SyncReport:
    async with connect(load_settings(), print_note) as client:
        collection_id = await find_or_create_collection(client, collection)
        sync = FolderSync(
            client, collection_id, source, folder, force=options.force, facts=options.facts
        )
        if options.watch:
            print_note(f"Watching {folder}; Ctrl-C ends it")
            await watch(sync, options.interval_s, show)
        report = await sync.run()
        show(report)
        return report


def print_sync(report: SyncReport, collection: str, *, as_json: bool) -> None:
    counts = {name: getattr(report, name) for name in SYNC_COUNTS}
    if as_json:
        print_json(counts | {"collection": collection, "failures": report.failures})
    else:
        row = (collection, *counts.values(), round(report.upload.seconds, 1), len(report.failures))
        print_table(("collection", *SYNC_COUNTS, "seconds", "failed"), [row])
    for name, reason in report.failures:
        print_error(f"{name}: {reason}")


async def _ingest(
    files: list[InputFile], collection: str, source: str, facts: DocumentFacts
) -> UploadReport:
    async with connect(load_settings(), print_note) as client:
        collection_id = await find_or_create_collection(client, collection)
        return await upload_files(client, collection_id, source, files, facts)


def print_report(report: UploadReport, collection: str) -> None:
    print_table(
        ("collection", "documents", "chunks", "tokens", "chunks cached", "seconds", "failed"),
        [
            (
                collection,
                report.documents,
                report.chunks,
                report.tokens,
                report.chunks_cached,
                round(report.seconds, 1),
                len(report.failures),
            )
        ],
    )
