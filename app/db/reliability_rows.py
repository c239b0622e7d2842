"""What the tables of reliability return: frozen values. Times are epoch seconds."""

from dataclasses import dataclass
from typing import Literal

ObservationKind = Literal["probe", "crosscheck", "label", "feedback", "undo"]
CalibrationMethod = Literal["platt", "isotonic"]
EstimateState = Literal["running", "done", "cancelled", "failed"]


@dataclass(frozen=True, slots=True)
class NewObservation:
    """`answer` None: "I don't know". `verdict` is a person's word about the answer, 0 to 1."""

    kind: ObservationKind
    source_id: int | None
    question: str
    answer: str | None
    topic: str = ""
    verdict: float | None = None
    weight: float = 1.0
    family: int | None = None
    author: str = ""
    note: str = ""
    document_id: int | None = None
    question_document_id: int | None = None
    run_id: str | None = None
    estimate_id: int | None = None
    collection_id: int | None = None  # where it was asked


@dataclass(frozen=True, slots=True)
class ObservationRow:
    id: int
    kind: ObservationKind
    source_id: int | None
    question: str
    topic: str
    answer: str | None
    verdict: float | None
    weight: float
    family: int | None
    author: str
    note: str
    document_id: int | None
    question_document_id: int | None
    run_id: str | None
    estimate_id: int | None
    observed_at: float
    undone_by: int | None
    collection_id: int | None = None


@dataclass(frozen=True, slots=True)
class News:
    """Rows that came later, and the latest version's id (0 before the first).

    `same_days`: what counts of their sources, and of all users, since the day of the first of them,
    at which daily caps look; empty where there are too many rows for an update.
    """

    version: int
    rows: tuple[ObservationRow, ...]
    same_days: tuple[ObservationRow, ...]


@dataclass(frozen=True, slots=True)
class UndoneRow:
    """An undoing observation, and how many it took back."""

    undo_id: int
    count: int


@dataclass(frozen=True, slots=True)
class PosteriorRow:
    """Belief about a source on a topic (None: over all topics), with its 80 % interval."""

    source_id: int
    topic: str | None
    alpha: float
    beta: float
    low: float
    high: float
    weight: float = 0.0
    silence: float = 0.0
    observed: float | None = None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """`settings` holds what beside the observations went in: priors, merges, quarantine."""

    reason: str
    estimator: str
    settings: dict[str, object]
    digest: str
    last_observation_id: int
    observations: int
    rounds: int
    default_weight: float
    wrong_options: float


@dataclass(frozen=True, slots=True)
class VersionRow:
    id: int
    created_at: float
    reason: str
    estimator: str
    settings: dict[str, object]
    digest: str
    last_observation_id: int
    observations: int
    rounds: int
    default_weight: float
    wrong_options: float


@dataclass(frozen=True, slots=True)
class NewCalibration:
    """A map from scores to chances: knots of both in log odds, and how much was judged for it."""

    method: CalibrationMethod
    knots: tuple[tuple[float, float], ...]
    answers: int  # that people labelled
    thumbs: int  # answers that users liked or did not
    accept: float | None = None  # chance from which on answers are given; None: too few to tell


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run's verdict as it is stored, for what people said about it since."""

    id: str
    created_at: float
    question: str
    verdict: dict[str, object]
    collection_id: int | None = None


@dataclass(frozen=True, slots=True)
class SourceEventRow:
    id: int
    source_id: int
    action: str
    detail: str
    author: str
    created_at: float


@dataclass(frozen=True, slots=True)
class NewProbe:
    question: str
    topic: str = ""
    known_answer: str | None = None
    document_id: int | None = None


@dataclass(frozen=True, slots=True)
class ProbeRow:
    id: int
    estimate_id: int
    collection_id: int
    question: str
    topic: str
    known_answer: str | None
    document_id: int | None
    attempts: int


@dataclass(frozen=True, slots=True)
class EstimateRow:
    """Progress of an estimate: `total` = `pending` + `leased` + `done` + `failed`."""

    id: int
    collection_id: int
    estimator: str
    author: str
    state: EstimateState
    error: str | None
    version_id: int | None
    created_at: float
    finished_at: float | None
    total: int
    pending: int
    leased: int
    done: int
    failed: int
    answers: int
    silent: int
