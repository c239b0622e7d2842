"""A question and the events an answer is made of.

The events are the only way an answer leaves the read path: HTTP, the command line and the run
record all read the same ones. Nothing here knows how they are shown or stored.
"""

from dataclasses import dataclass, field
from typing import Literal

from app.db.rows import RunTokens
from app.decoder.types import GenerationParams, Message
from kvstore.types import Action, Encoding, ReuseMode, ReuseOptions, SegmentKind, TokenCounts
from reliability.alignment import Rung
from reliability.calibration import Method, Origin
from reliability.decision import DecisionKind, Wording
from reliability.families.types import Join
from reliability.types import Dropped
from retrieval.types import NO_FILTER, Filter

AnswerFinish = Literal["stop", "length", "no_match", "cancelled", "error"]
Trust = Literal["plain", "weighted", "tagged", "vote"]


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    collection: str  # name or id
    history: tuple[Message, ...] = ()
    params: GenerationParams = field(default_factory=GenerationParams)
    reuse: ReuseOptions = field(default_factory=ReuseOptions)
    filter: Filter = NO_FILTER
    trust: Trust | None = None  # None: as the settings say


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """One retrieved passage as people see it; `start` and `end` index into the document's text."""

    rank: int
    chunk_id: int
    document_id: int
    title: str
    label: str
    source: str
    reliability: float
    score: float
    start: int
    end: int
    page: int | None
    text: str


@dataclass(frozen=True, slots=True)
class SourceWeight:
    source: str
    reliability: float


@dataclass(frozen=True, slots=True)
class PlannedSegment:
    """What the cache did for one segment; chunk fields are None for prefix and question."""

    kind: SegmentKind
    chunk_id: int | None
    title: str | None
    tokens: int
    action: Action
    recomputed: int
    tier: str | None
    encoding: Encoding | None
    reason: str
    saved_ms: float = 0.0  # what loading it saved against computing it


@dataclass(frozen=True, slots=True)
class Citation:
    """A stretch of the answer and the stretch of a document that says so."""

    number: int  # of the passage, by first use
    answer_start: int
    answer_end: int
    chunk_id: int
    document_id: int
    title: str
    source: str
    reliability: float
    start: int
    end: int
    page: int | None
    quote: str


@dataclass(frozen=True, slots=True)
class RunStarted:
    run_id: str
    collection: str
    mode: ReuseMode
    model: str
    trust: Trust


@dataclass(frozen=True, slots=True)
class Retrieved:
    passages: tuple[RankedPassage, ...]


@dataclass(frozen=True, slots=True)
class Assessed:
    kept: tuple[int, ...]
    dropped: tuple[Dropped, ...]
    weights: tuple[SourceWeight, ...]


@dataclass(frozen=True, slots=True)
class CachePlanned:
    mode: ReuseMode
    policy: str
    ratio: float
    reason: str
    segments: tuple[PlannedSegment, ...]
    tokens: TokenCounts
    prefill_ms: float
    full_prefill_ms_estimate: float


@dataclass(frozen=True, slots=True)
class Delta:
    text: str


@dataclass(frozen=True, slots=True)
class Cited:
    citation: Citation


@dataclass(frozen=True, slots=True)
class HeardVote:
    """What one passage says to the question: `answer` is the cluster, `said` what was read in it
    (in a vote the model's words), `quote` the passage's own words that say so, where wording shows.

    Passages of one `family` are one piece of evidence. `rung`: what judged that it says so; runs
    stored before it was kept had no other than wording.
    """

    chunk_id: int
    document_id: int
    source_id: int
    source: str
    title: str
    answer: str
    said: str
    alignment: float
    sense: str
    family: int
    rung: Rung = "overlap"
    quote: str = ""


@dataclass(frozen=True, slots=True)
class BelievedSource:
    """How a source was believed when the answer was given: Beta(alpha, beta)."""

    source_id: int
    source: str
    alpha: float
    beta: float
    is_new: bool = False  # so little is known of it that its word counts as a stranger's


@dataclass(frozen=True, slots=True)
class JudgedAnswer:
    """One answer with its chance and how many families of evidence stand behind it."""

    answer: str
    sense: str
    probability: float
    wording: Wording
    families: int
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChanceBasis:
    """What the chances of a verdict rest on, and the map to work them out again.

    `origin` "labels": `answers` that people judged here, and `thumbs` of users, as they were at
    `version` of the beliefs. "worlds": answers in generated worlds. Knots are log odds.
    """

    origin: Origin
    answers: int
    thumbs: int
    version: int
    accept: float  # from this chance on an answer is given
    method: Method
    score_odds: tuple[float, ...]
    chance_odds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far the answer is to be believed, and everything to work that out again.

    `answers` are given, `others` were heard as well. `probability` is the first answer's; of
    several answers that of the least likely; None where nothing was stated.
    """

    kind: DecisionKind
    probability: float | None
    is_calibrated: bool  # on answers that people judged here
    calibration: ChanceBasis | None
    trust: Trust
    reliability_version: int
    takes_several: bool
    answers: tuple[JudgedAnswer, ...]
    others: tuple[JudgedAnswer, ...]
    votes: tuple[HeardVote, ...]
    joins: tuple[Join, ...]  # of chunk ids
    sources: tuple[BelievedSource, ...]
    unasked: int = 0  # passages left when the rest could not change which answer leads
    stated: str | None = None  # the sentence of a written answer that was judged; none in a vote


@dataclass(frozen=True, slots=True)
class Completed:
    run_id: str
    answer: str
    finish_reason: AnswerFinish
    citations: tuple[Citation, ...]
    tokens: RunTokens
    timings_ms: dict[str, float]
    full_prefill_ms_estimate: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The answer broke off; `code`, `status` and `detail` are fit for a problem object."""

    run_id: str
    code: str
    status: int
    detail: str


AnswerEvent = (
    RunStarted | Retrieved | Assessed | CachePlanned | Delta | Cited | Verdict | Completed | Failed
)
