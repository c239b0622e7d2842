"""Jobs as the database layer returns them: frozen values. Times are epoch seconds, for people."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.db.rows import Json

JobState = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled"]
ItemState = Literal["queued", "done", "failed", "skipped", "cancelled"]

OPEN: tuple[JobState, ...] = ("queued", "running")

# Of two jobs that wait, the lower rank goes first.
RANK_DELETE = -1  # somebody waits for it, and it is over quickly
RANK_NORMAL = 0
RANK_LATER = 1  # the KV of documents that can be found already


def new_job_id() -> str:
    return secrets.token_hex(8)


def intake_of(job_id: str) -> str:
    """The job that takes in what this one fetches."""
    return f"{job_id}-in"


@dataclass(frozen=True, slots=True)
class NewJob:
    """`kind` names the handler; `collection_id` is what turns are shared between."""

    kind: str
    collection_id: int | None = None
    payload: Json = field(default_factory=dict)
    rank: int = RANK_NORMAL
    total: int = 0  # of work that has no items
    id: str = field(default_factory=new_job_id)


@dataclass(frozen=True, slots=True)
class JobRow:
    """`total`, `done`, `failed` and `skipped` count items, or what the handler says it counts."""

    id: str
    kind: str
    state: JobState
    collection_id: int | None
    stage: str | None
    payload: Mapping[str, object]
    result: Mapping[str, object] | None
    total: int
    done: int
    failed: int
    skipped: int
    attempts: int
    error: str | None
    is_cancelling: bool
    heartbeat_at: float | None
    created_at: float
    started_at: float | None
    finished_at: float | None
    lease_owner: str | None = None
    lease_beat: int = 0

    @property
    def is_open(self) -> bool:
        return self.state in OPEN


@dataclass(frozen=True, slots=True)
class JobItemRow:
    id: int
    job_id: str
    key: str
    document_id: int | None
    state: ItemState
    error: str | None


@dataclass(frozen=True, slots=True)
class JobStep:
    """What one step of a job came to. None leaves a field as it is."""

    is_done: bool = False
    stage: str | None = None
    result: Json | None = None
    total: int | None = None  # these two only for work that has no items
    done: int | None = None
    rank: int | None = None
    retry_in_s: float | None = None  # nothing can be done before that
    error: str | None = None  # with `is_done`: it ends as failed
