"""Values of the part that turns observations into beliefs about sources."""

from dataclasses import dataclass
from typing import Literal

from app.db.reliability_rows import NewProbe, PosteriorRow, SourceEventRow, VersionRow
from app.db.rows import SourceRow

ProbeOrigin = Literal["questions", "runs", "documents"]

# Enough for 200 answers of a source that knows half of them.
DEFAULT_PROBES = 400


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """What one source says to a question, and where it says so."""

    text: str
    alignment: float  # how surely the passage says it, 0 to 1
    chunk_id: int
    document_id: int
    passage: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A source's answer met while a question was answered; `text` None: "I don't know"."""

    source_id: int
    text: str | None
    weight: float = 1.0
    family: int | None = None
    document_id: int | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """A person's word about an answer: 1 right, 0 wrong. With a source, that source said it."""

    question: str
    answer: str
    verdict: float
    author: str
    source_id: int | None = None
    topic: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """What an estimate asks of the sources of a collection (name or id)."""

    collection: str
    take_from: ProbeOrigin
    questions: tuple[NewProbe, ...] = ()
    limit: int = DEFAULT_PROBES
    estimator: str = "larder"
    author: str = "curator"


@dataclass(frozen=True, slots=True)
class Undo:
    """Exactly one of these says what is taken back."""

    observations: tuple[int, ...] = ()
    author: str | None = None
    source_id: int | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What an act of a person led to. `observations` were added or taken back."""

    observations: int
    version: int | None
    before: float | None = None  # reliability of the source concerned
    after: float | None = None
    is_counted: bool = True  # False: stored, but over a daily cap


@dataclass(frozen=True, slots=True)
class Counts:
    """What a belief rests on. Questions are counted once for a source."""

    answers: int  # to probes
    silent: int  # "I don't know" to probes
    crosschecks: int
    labels: int
    feedback: int
    undone: int
    checked_by_people: int  # questions
    cross_checked: int
    unchecked: int
    copies: int  # claims that count once together with another source's


@dataclass(frozen=True, slots=True)
class SourceExplanation:
    source: SourceRow
    aliases: tuple[str, ...]
    merged: tuple[str, ...]  # names of what was merged into it
    counts: Counts
    low: float
    high: float
    topics: tuple[PosteriorRow, ...]
    version: VersionRow | None
    pending: int  # observations since that version, counted provisionally
    events: tuple[SourceEventRow, ...]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """A version computed again from the observations."""

    version: VersionRow
    digest: str
    posteriors: tuple[PosteriorRow, ...]
    largest_difference: float | None  # None: its beliefs are no longer kept

    @property
    def is_same(self) -> bool:
        """False where observations went for good since, with a deleted document."""
        return self.digest == self.version.digest and (self.largest_difference or 0.0) <= 1e-12
