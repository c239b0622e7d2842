"""`larder prepare`: everything `larder serve` needs on a bare machine. Safe to run again.

The demo documents come from the repository's folders; where those are not there (an installed
package), only the model and the database are made.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path

import typer

from app.bootstrap import open_storage
from app.cli.connect import connect
from app.cli.files import InputFile, find_files
from app.cli.ingest import print_report
from app.cli.output import print_error, print_note
from app.cli.remote import Client, JsonObject, items
from app.cli.upload import UploadReport, find_or_create_collection, number, upload_files
from app.decoder.file_digests import sha256_of
from app.decoder.packaged import is_converted
from app.settings import Settings, load_settings

REPOSITORY = Path(__file__).parent.parent.parent
LOG = "log.md"
PAGE_LEN = 200


@dataclass(frozen=True, slots=True)
class Demo:
    """One source's files for one collection."""

    collection: str
    source: str
    files: tuple[InputFile, ...]

    @property
    def stamp(self) -> str:
        return f"demo:{self.collection}/{self.source}"

    def digest(self) -> str:
        """Over the files' contents."""
        contents = sorted(sha256_of(file.path) for file in self.files)
        return hashlib.sha256("".join(contents).encode()).hexdigest()


def run_prepare() -> None:
    """Raises typer.Exit where a demo document could not be taken in."""
    reports = asyncio.run(_prepare(find_demos(REPOSITORY)))
    failures = [failure for report in reports for failure in report.failures]
    for name, reason in failures:
        print_error(f"{name}: {reason}")
    if failures:
        raise typer.Exit(1)


def find_demos(repository: Path) -> list[Demo]:
    """demo/millbrook/<source>/*.md and the documentation itself, less the log of measurements: it
    is longer than all else, and storing its KV took two thirds of a first start."""
    millbrook = repository / "demo" / "millbrook"
    folders = sorted(path for path in millbrook.glob("*") if path.is_dir())
    demos = [Demo("millbrook", folder.name, _markdown(folder)) for folder in folders]
    if (repository / "docs").is_dir():
        files = tuple(file for file in _markdown(repository / "docs") if file.path.name != LOG)
        demos.append(Demo("larder-docs", "larder", files))
    return [demo for demo in demos if demo.files]


def _markdown(folder: Path) -> tuple[InputFile, ...]:
    if not any(folder.rglob("*.md")):
        return ()
    return tuple(file for file in find_files([folder]) if file.path.suffix == ".md")


async def _prepare(demos: list[Demo]) -> list[UploadReport]:
    settings = load_settings()
    if await _is_up_to_date(settings, demos):
        print_note("The model and the demo collections are ready.")
        return []
    reports = []
    async with connect(settings, print_note) as client:
        for demo in demos:
            collection_id = await find_or_create_collection(client, demo.collection)
            before = await _documents(client, collection_id, demo.source)
            report, documents = await upload_files(client, collection_id, demo.source, demo.files)
            await _drop_outdated(client, before, documents)
            print_report(report, f"{demo.collection} / {demo.source}")
            reports.append(report)
    async with open_storage(settings) as storage:
        for demo, report in zip(demos, reports, strict=True):
            if not report.failures:
                await storage.stamps.set(demo.stamp, demo.digest())
    return reports


async def _is_up_to_date(settings: Settings, demos: list[Demo]) -> bool:
    """Told from files and stamps alone: a second start loads no model here, and what a user deleted
    since stays away."""
    if settings.model == "packaged" and not is_converted(settings.data_dir / "models"):
        return False
    async with open_storage(settings) as storage:
        taken_in = [await storage.stamps.get(demo.stamp) == demo.digest() for demo in demos]
    return all(taken_in)


async def _documents(client: Client, collection_id: int, source: str) -> list[JsonObject]:
    found: list[JsonObject] = []
    params: dict[str, str | int] = {"limit": PAGE_LEN}
    while True:
        page = await client.get(f"/api/v1/collections/{collection_id}/documents", **params)
        found.extend(items(page))
        if not page["has_more"]:
            return [item for item in found if item["source"] == source]
        params["after"] = number(found[-1]["id"])


async def _drop_outdated(client: Client, before: list[JsonObject], now: list[JsonObject]) -> None:
    """A demo file that was edited replaces its older text, one that is gone takes it along."""
    current = {item["id"] for item in now}
    for item in before:
        if item["id"] not in current:
            await client.delete(f"/api/v1/documents/{item['id']}")
            print_note(f"removed the older {item['name']}")
