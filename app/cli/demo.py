"""The demo collections: what belongs to them, and taking it in.

The documents come from the repository's folders; an installed package has none.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.bootstrap import open_storage
from app.cli.files import InputFile, find_files
from app.cli.ingest import print_report
from app.cli.output import print_error, print_note
from app.cli.remote import Client, JsonObject, items
from app.cli.upload import (
    FINDABLE,
    UploadReport,
    fields_of,
    find_or_create_collection,
    number,
    send_files,
    wait_for_document,
    wait_for_files,
)
from app.db.rows import NO_FACTS
from app.decoder.file_digests import sha256_of
from app.settings import Settings

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


@dataclass(frozen=True, slots=True)
class _Sent:
    """A demo on its way in: ids of its documents."""

    demo: Demo
    report: UploadReport
    document_ids: tuple[int, ...]


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


async def are_taken_in(settings: Settings, demos: Sequence[Demo]) -> bool:
    """Told from files and stamps alone: a second start sends nothing, and what a user deleted
    since stays away."""
    async with open_storage(settings) as storage:
        return all([await storage.stamps.get(demo.stamp) == demo.digest() for demo in demos])


async def take_in(
    client: Client, settings: Settings, demos: Sequence[Demo], on_findable: Callable[[], None]
) -> bool:
    """Send all; `on_findable` is called once questions find them, long before their KV is stored.

    Returns once it is, False where a document could not be taken in, which is told.
    """
    sent = [await _send(client, demo) for demo in demos]
    for one in sent:
        for document_id in one.document_ids:
            await wait_for_document(client, document_id, FINDABLE)
    on_findable()
    for one in sent:
        started = time.perf_counter()
        await wait_for_files(client, one.demo.source, one.document_ids, one.report, started)
        print_report(one.report, f"{one.demo.collection} / {one.demo.source}")
        for name, reason in one.report.failures:
            print_error(f"{name}: {reason}")
    whole = [one.demo for one in sent if not one.report.failures]
    async with open_storage(settings) as storage:
        for demo in whole:
            await storage.stamps.set(demo.stamp, demo.digest())
    return len(whole) == len(sent)


async def _send(client: Client, demo: Demo) -> _Sent:
    collection_id = await find_or_create_collection(client, demo.collection)
    before = await _documents(client, collection_id, demo.source)
    report, fields = UploadReport(), fields_of(demo.source, NO_FACTS)
    document_ids = await send_files(client, collection_id, fields, demo.files, report)
    await _drop_outdated(client, before, document_ids)
    return _Sent(demo, report, tuple(document_ids))


async def _documents(client: Client, collection_id: int, source: str) -> list[JsonObject]:
    found: list[JsonObject] = []
    params: dict[str, str | int] = {"limit": PAGE_LEN}
    while True:
        page = await client.get(f"/api/v1/collections/{collection_id}/documents", **params)
        found.extend(items(page))
        if not page["has_more"]:
            return [item for item in found if item["source"] == source]
        params["after"] = number(found[-1]["id"])


async def _drop_outdated(client: Client, before: list[JsonObject], now: Sequence[int]) -> None:
    """A demo file that was edited replaces its older text, one that is gone takes it along."""
    for item in before:
        if item["id"] not in now:
            await client.delete(f"/api/v1/documents/{item['id']}")
            print_note(f"removed the older {item['name']}")
