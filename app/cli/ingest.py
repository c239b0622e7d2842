"""`larder ingest`: files and folders into a collection."""

import asyncio
from dataclasses import asdict
from pathlib import Path

import typer

from app.cli.connect import connect
from app.cli.files import InputFile, find_files
from app.cli.output import print_error, print_json, print_note, print_table
from app.cli.upload import UploadReport, find_or_create_collection, upload_files
from app.db.rows import DocumentFacts
from app.settings import load_settings


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


async def _ingest(
    files: list[InputFile], collection: str, source: str, facts: DocumentFacts
) -> UploadReport:
    async with connect(load_settings(), print_note) as client:
        collection_id = await find_or_create_collection(client, collection)
        report, _ = await upload_files(client, collection_id, source, files, facts)
        return report


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
