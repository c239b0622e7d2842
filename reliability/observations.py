"""What was observed, append-only: claims of sources, words of people. Every belief is a fold of it.

Knows ids, not texts: answers come as clusters, questions and topics as names.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Literal

from reliability.errors import InvalidObservation

Kind = Literal["probe", "label", "feedback"]
KINDS: tuple[Kind, ...] = ("probe", "label", "feedback")

# A curator's label outweighs five claims; a user's thumb is worth half of one, and one user has
# three thumbs a day. What is met while users ask moves a source by 20 claims a day at most, since
# anybody may ask. An estimate, which a person starts, asks each question once and counts whole.
LABEL_WEIGHT = 5.0
FEEDBACK_WEIGHT = 0.5
FEEDBACK_PER_AUTHOR_AND_DAY = 3
FEEDBACK_LIMIT = 1.0  # all users together, an answer: a fifth of a curator's word
PROBES_PER_SOURCE_AND_DAY = 20.0


@dataclass(frozen=True, slots=True)
class Observation:
    """One thing that was seen once.

    A probe is what `source` answered (`answer` None: "I don't know"). A label or a feedback is
    what `author` said about `answer`: `verdict` 1 right, 0 wrong, between them unsure.
    """

    observation_id: int
    kind: Kind
    question: str
    answer: str | None
    source: int | None = None
    topic: str = ""
    verdict: float | None = None
    author: str = ""
    day: float = 0.0  # days since any fixed date
    alignment: float = 1.0  # how surely the passage says so, in [0, 1]
    family: int | None = None  # evidence family of the passage; None: one of its own
    document: int | None = None
    is_planned: bool = False  # asked by an estimate that a person started: no storm

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InvalidObservation(f"unknown kind of observation: {self.kind!r}")
        if not math.isfinite(self.day):
            raise InvalidObservation(f"the day must be a finite number, not {self.day}")
        if not 0 <= self.alignment <= 1:
            raise InvalidObservation(f"alignment must lie in [0, 1], not at {self.alignment}")
        if self.kind == "probe":
            self._check_probe()
        else:
            self._check_word()

    @property
    def is_of_source(self) -> bool:
        """What the source itself was found saying; else a person's word only. Nobody is named in
        what sources say."""
        return self.kind == "probe" and not self.author

    def _check_probe(self) -> None:
        if self.source is None or self.verdict is not None:
            raise InvalidObservation("a probe has a source and no verdict")
        if self.answer == "":
            raise InvalidObservation("an empty answer is none: use None for 'I don't know'")

    def _check_word(self) -> None:
        if not self.answer:
            raise InvalidObservation(f"a {self.kind} is about an answer")
        if self.verdict is None or not 0 <= self.verdict <= 1:
            raise InvalidObservation(
                f"the verdict of a {self.kind} must lie in [0, 1], not at {self.verdict}"
            )
        if not self.author:
            raise InvalidObservation(f"a {self.kind} needs its author: it must be undoable")


@dataclass(frozen=True, slots=True)
class ObservationLog:
    """All observations in the order they came. Changing it gives a new log; nothing is edited."""

    rows: tuple[Observation, ...] = ()
    ids: frozenset[int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = frozenset(row.observation_id for row in self.rows)
        if len(ids) != len(self.rows):
            raise InvalidObservation("two observations have the same id")
        object.__setattr__(self, "ids", ids)

    def added(self, rows: Iterable[Observation]) -> "ObservationLog":
        return ObservationLog((*self.rows, *rows))

    def without(self, observation_ids: Iterable[int]) -> "ObservationLog":
        """Undo: as if these had never been made. Unknown ids are refused."""
        gone = frozenset(observation_ids)
        if not gone <= self.ids:
            raise InvalidObservation(f"there are no observations {sorted(gone - self.ids)}")
        return ObservationLog(tuple(r for r in self.rows if r.observation_id not in gone))

    def without_author(self, author: str) -> "ObservationLog":
        return ObservationLog(tuple(r for r in self.rows if r.author != author or not author))

    def without_document(self, document: int) -> "ObservationLog":
        """A deleted document's observations go with it."""
        return ObservationLog(tuple(r for r in self.rows if r.document != document))

    def merged(self, source: int, into: int) -> "ObservationLog":
        """What `source` said counts as said by `into`; a renamed source keeps its id anyway."""
        rows = (replace(r, source=into) if r.source == source else r for r in self.rows)
        return ObservationLog(tuple(rows))

    def version(self) -> str:
        """Digest of what posteriors are folded from: equal logs, in any order, equal beliefs."""
        digest = sha256()
        for row in sorted(self.rows, key=lambda row: row.observation_id):
            digest.update(repr(row).encode())
        return digest.hexdigest()[:16]
