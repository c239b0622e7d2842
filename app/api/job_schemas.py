"""Bodies of jobs, of documents sent as JSON, and of synchronised folders."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from app.api.schemas import Body, DocumentView, Refusal, View
from app.api.values import Day, Name, Text
from app.db.facts import MAX_TAGS, make_facts
from app.db.rows import DocumentFacts

ExternalId = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
FileName = Annotated[str, StringConstraints(min_length=1, max_length=1000)]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
MAX_SYNC_FILES = 100_000
MAX_URLS = 1000


class JobView(View):
    id: str
    kind: str
    state: str
    stage: str | None
    collection_id: int | None
    total: int
    done: int
    failed: int
    skipped: int
    attempts: int
    error: str | None
    is_cancelling: bool
    result: dict[str, object] | None
    created_at: datetime
    started_at: datetime | None
    heartbeat_at: datetime | None
    finished_at: datetime | None


class JobItemView(View):
    id: int
    key: str
    document_id: int | None
    state: str
    error: str | None


class JobPage(BaseModel):
    items: list[JobView]
    has_more: bool


class JobItemPage(BaseModel):
    items: list[JobItemView]
    has_more: bool


class UploadResult(BaseModel):
    items: list[DocumentView | Refusal]
    job_id: str | None


class NewText(Body):
    """A document as text; `name` tells how it is read: `a.md`, `a.html`, `a.txt`."""

    name: FileName
    text: Text
    source: Name | None = None
    media_type: Text | None = None
    external_id: ExternalId | None = None
    tags: list[Text] = Field(default=[], max_length=MAX_TAGS)
    date: Day | None = None

    def facts(self) -> DocumentFacts:
        """Raises `InvalidValue`."""
        return make_facts(self.tags, self.date.isoformat() if self.date else None)


class BulkLine(BaseModel):
    """What became of one line; `status` is created, replaced, unchanged or refused."""

    line: int
    status: str
    document_id: int | None = None
    code: str | None = None
    detail: str | None = None


class BulkResult(BaseModel):
    items: list[BulkLine]
    job_id: str | None


class NewUrls(Body):
    urls: list[Text] = Field(min_length=1, max_length=MAX_URLS)
    source: Name | None = None


class SyncFile(Body):
    path: ExternalId
    sha256: Digest


class SyncManifest(Body):
    """Every file of a folder; `scope` names the folder among those of this source."""

    source: Name
    scope: ExternalId
    files: list[SyncFile] = Field(max_length=MAX_SYNC_FILES)


class SyncPlan(BaseModel):
    added: list[str]
    changed: list[str]
    removed: list[str]
    unchanged: int
    is_mass_removal: bool


class SyncRemoval(Body):
    source: Name
    scope: ExternalId
    paths: list[ExternalId] = Field(min_length=1, max_length=MAX_SYNC_FILES)
    force: bool = False
