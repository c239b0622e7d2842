"""`larder ingest --sync`: what is held of a folder follows the folder, once or until Ctrl-C.

Two phases: the folder is compared with what is held, then new and changed files are sent; what is
gone is removed last, and never most of it unless forced.
"""

import asyncio
import hashlib
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from app.cli.files import InputFile, LinkOut, say_left_out, walk
from app.cli.output import print_error
from app.cli.remote import Client, JsonObject, ServerError
from app.cli.upload import (
    POLL_SECONDS,
    UploadReport,
    fields_of,
    number,
    show_progress,
    wait_for_document,
)
from app.db.rows import NO_FACTS, DocumentFacts
from app.errors import InvalidValue

Snapshot = dict[str, tuple[int, int]]  # by name: time of the last change in ns, bytes


@dataclass(slots=True)
class SyncReport:
    """What one synchronisation came to; `upload` is about new and changed files."""

    upload: UploadReport = field(default_factory=UploadReport)
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0

    @property
    def failures(self) -> list[tuple[str, str]]:
        return self.upload.failures


class FolderSync:
    """Keeps what it hashed, so that looking again reads only files that changed."""

    def __init__(
        self,
        client: Client,
        collection_id: int,
        source: str,
        folder: Path,
        *,
        force: bool,
        facts: DocumentFacts = NO_FACTS,
    ) -> None:
        self._client = client
        self._path = f"/api/v1/collections/{collection_id}"
        self._source = source
        self._folder = folder
        self._scope = scope_of(folder)
        self._force = force
        self._fields = fields_of(source, facts)  # of every file that is sent
        self._hashed: dict[str, tuple[tuple[int, int], str]] = {}

    async def run(self) -> SyncReport:
        started = time.perf_counter()
        files, report = self._scan(), SyncReport()
        asked: JsonObject = {"source": self._source, "scope": self._scope}
        listed = [{"path": name, "sha256": digest} for name, (_, digest) in self._hashed.items()]
        plan = await self._client.post(f"{self._path}/sync:plan", asked | {"files": listed})
        added, changed, removed = (names(plan[key]) for key in ("added", "changed", "removed"))
        report.added, report.changed = len(added), len(changed)
        report.unchanged = number(plan["unchanged"])
        await self._send([files[name] for name in (*added, *changed)], report)
        if removed:
            await self._remove(asked | {"paths": removed, "force": self._force}, report)
        report.upload.seconds = time.perf_counter() - started
        return report

    def snapshot(self) -> Snapshot:
        return {file.name: _stamp(file.path) for file in self._files()}

    def _scan(self) -> dict[str, InputFile]:
        files = {file.name: file for file in self._files(say_left_out)}
        hashed = {}
        for name, file in files.items():
            stamp, known = _stamp(file.path), self._hashed.get(name)
            if known is None or known[0] != stamp:
                with file.path.open("rb") as body:
                    known = (stamp, hashlib.file_digest(body, "sha256").hexdigest())
            hashed[name] = known
        self._hashed = hashed
        return files

    def _files(self, on_link_out: LinkOut | None = None) -> list[InputFile]:
        # A folder that is not there is no empty folder.
        if not self._folder.is_dir():
            raise InvalidValue(f"{self._folder} is no folder")
        return [file for file in walk(self._folder, on_link_out) if file.path.stat().st_size]

    async def _send(self, files: Sequence[InputFile], report: SyncReport) -> None:
        ids = []
        with show_progress() as progress:
            task = progress.add_task(self._scope, total=len(files), rates="")
            for file in files:
                try:
                    ids.append(await self._put(file))
                except (ServerError, OSError) as error:
                    if isinstance(error, ServerError) and error.code == "unreachable":
                        raise
                    report.failures.append((file.name, str(error)))
            for done, document_id in enumerate(ids, 1):
                report.upload.add(await wait_for_document(self._client, document_id))
                progress.update(task, completed=done)
            progress.update(task, completed=len(files))

    async def _put(self, file: InputFile) -> int:
        name = quote(f"{self._scope}/{file.name}")
        body = await asyncio.to_thread(file.path.read_bytes)
        path = f"{self._path}/documents/by-external-id/{name}"
        reply = await self._client.put(path, body, name=file.path.name, **self._fields)
        return number(reply["id"])

    async def _remove(self, asked: JsonObject, report: SyncReport) -> None:
        try:
            job = await self._client.post(f"{self._path}/sync:remove", asked)
        except ServerError as error:
            if error.code != "mass_removal":
                raise
            message = f"{error} (--force removes them)"
            report.failures.append((self._scope, message))
            return
        while job["state"] in {"queued", "running"}:
            await asyncio.sleep(POLL_SECONDS)
            job = await self._client.get(f"/api/v1/jobs/{job['id']}")
        report.removed = number(job["done"])


async def watch(
    sync: FolderSync,
    interval_s: float,
    report: Callable[[SyncReport], None],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Synchronise whenever the folder has changed and has then been still for an interval. Until
    cancelled; a server that does not answer for a while is asked again."""
    last: Snapshot | None = None
    applied: Snapshot | None = None
    while True:
        try:
            now = sync.snapshot()
            if now == last and now != applied:
                report(await sync.run())
                applied = now
            last = now
        except (InvalidValue, OSError, ServerError) as error:
            print_error(str(error))
            last = None
        await sleep(interval_s)


def scope_of(folder: Path) -> str:
    """What the documents of this folder are held under. Its path is part of it: under its name
    alone, another folder of that name would count every file of this one as removed."""
    path = folder.resolve()
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
    return f"{path.name or 'root'}-{digest}"


def names(value: object) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
