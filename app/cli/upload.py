"""Sending files and waiting until they are ready, with a progress bar."""

import asyncio
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.cli.files import InputFile
from app.cli.output import err
from app.cli.remote import Client, JsonObject, ServerError, items
from app.db.rows import NO_FACTS, DocumentFacts
from app.errors import DocumentNotFound

POLL_SECONDS = 0.2
BATCH_FILES = 100
BATCH_BYTES = 1 << 20
DONE = frozenset({"ready", "failed"})
FINDABLE = DONE | {"indexed"}


@dataclass(slots=True)
class UploadReport:
    """What became of the files; a failure is (name, reason)."""

    documents: int = 0
    chunks: int = 0
    tokens: int = 0
    chunks_cached: int = 0
    seconds: float = 0.0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def add(self, document: JsonObject | None) -> None:
        """One that was deleted meanwhile is no failure."""
        if document is None:
            return
        if document["state"] == "failed":
            self.failures.append((str(document["name"]), str(document["error"])))
            return
        self.documents += 1
        self.chunks += number(document["chunks"])
        self.tokens += number(document["tokens"])
        self.chunks_cached += number(document["chunks_cached"])

    @property
    def tokens_per_second(self) -> float:
        return self.tokens / self.seconds if self.seconds else 0.0


async def find_or_create_collection(client: Client, name: str) -> int:
    for item in items(await client.get("/api/v1/collections")):
        if name in {item["name"], str(item["id"])}:
            return number(item["id"])
    return number((await client.post("/api/v1/collections", {"name": name}))["id"])


async def upload_files(
    client: Client,
    collection_id: int,
    source: str,
    files: Sequence[InputFile],
    facts: DocumentFacts = NO_FACTS,
) -> UploadReport:
    """Send all, then wait for each."""
    report, fields = UploadReport(), fields_of(source, facts)
    started = time.perf_counter()
    document_ids = await send_files(client, collection_id, fields, files, report)
    await wait_for_files(client, source, document_ids, report, started)
    return report


async def wait_for_files(
    client: Client,
    title: str,
    document_ids: Sequence[int],
    report: UploadReport,
    started: float,  # of the clock `time.perf_counter`
) -> None:
    """Until each is ready or has failed, with a progress bar; what came of them is reported."""
    with show_progress() as progress:
        task = progress.add_task(title, total=len(document_ids), rates="")
        for number_done, document_id in enumerate(document_ids, 1):
            report.add(await wait_for_document(client, document_id))
            report.seconds = time.perf_counter() - started
            progress.update(task, completed=number_done, rates=_rates(report))


async def send_files(
    client: Client,
    collection_id: int,
    fields: Mapping[str, str],
    files: Sequence[InputFile],
    report: UploadReport,
) -> list[int]:
    """Ids of the documents, each once; those that are refused are failures of the report."""
    accepted = []
    for batch in _batches(files):
        try:
            found = await client.upload(collection_id, fields, [(f.name, f.path) for f in batch])
        except ServerError as error:
            if error.code == "unreachable" or len(batch) > 1:
                raise
            report.failures.append((batch[0].name, str(error)))
            continue
        for file, item in zip(batch, found, strict=True):
            if "id" in item:
                accepted.append(number(item["id"]))
            else:
                report.failures.append((file.name, str(item["detail"])))
    return list(dict.fromkeys(accepted))


def fields_of(source: str, facts: DocumentFacts) -> dict[str, str]:
    fields = {"source": source}
    if facts.tags:
        fields["tags"] = ",".join(sorted(facts.tags))
    if facts.date is not None:
        fields["date"] = facts.date.isoformat()
    return fields


def _batches(files: Sequence[InputFile]) -> Iterator[list[InputFile]]:
    """Small files together, so that one job takes them in; a large one by itself."""
    batch: list[InputFile] = []
    num_bytes = 0
    for file in files:
        size = file.path.stat().st_size
        if batch and (len(batch) == BATCH_FILES or num_bytes + size > BATCH_BYTES):
            yield batch
            batch, num_bytes = [], 0
        batch.append(file)
        num_bytes += size
    if batch:
        yield batch


async def wait_for_document(
    client: Client, document_id: int, states: Container[str] = DONE
) -> JsonObject | None:
    """None where somebody deletes it meanwhile."""
    while True:
        try:
            document = await client.get(f"/api/v1/documents/{document_id}")
        except ServerError as error:
            if error.code == DocumentNotFound.code:
                return None
            raise
        if str(document["state"]) in states:
            return document
        await asyncio.sleep(POLL_SECONDS)


def show_progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rates]}"),
        console=err(),
    )


def _rates(report: UploadReport) -> str:
    return (
        f"{report.chunks:,} chunks, {report.tokens:,} tokens, "
        f"{report.tokens_per_second:,.0f} tokens/s"
    )


def number(value: object) -> int:
    assert isinstance(value, int)
    return value
