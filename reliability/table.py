"""Observations as arrays: who claims which value of which question. What every estimator reads."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeVar

import numpy as np

from reliability.arrays import BoolArray, FloatArray, IntArray
from reliability.observations import (
    FEEDBACK_LIMIT,
    FEEDBACK_PER_AUTHOR_AND_DAY,
    FEEDBACK_WEIGHT,
    LABEL_WEIGHT,
    Observation,
)

Name = TypeVar("Name", bound=Hashable)


@dataclass(frozen=True, slots=True)
class ClaimTable:
    """S sources, Q questions, V values (each of one question), C claims (a source, a value).

    A source claims a value once, however often it repeats it. Claims with the same `claim_family`
    are one piece of evidence for one value. `value_label` is the net word of people about a value,
    positive for right, in units of one claim; 0 where nobody spoke or words cancel out.
    """

    sources: tuple[int, ...]
    questions: tuple[str, ...]
    topics: tuple[str, ...]
    values: tuple[str, ...]
    value_question: IntArray  # [V]
    question_topic: IntArray  # [Q]
    claim_source: IntArray  # [C]
    claim_value: IntArray  # [C]
    claim_weight: FloatArray  # [C] alignment x share of the source's claims on this question
    claim_family: IntArray  # [C]
    claim_day: FloatArray  # [C]
    claim_is_planned: BoolArray  # [C] asked by an estimate, or told by a person
    value_label: FloatArray  # [V]

    @property
    def claim_question(self) -> IntArray:
        return self.value_question[self.claim_value]

    @property
    def question_values(self) -> IntArray:
        """[Q] how many different values each question has."""
        return np.bincount(self.value_question, minlength=len(self.questions)).astype(np.int64)

    def is_checked(self) -> FloatArray:
        """[Q] 1 where a person spoke."""
        spoken = np.bincount(
            self.value_question, weights=np.abs(self.value_label), minlength=len(self.questions)
        )
        return (spoken > 0).astype(np.float64)


def build_table(rows: Iterable[Observation]) -> ClaimTable:
    """Fold observations into a table. The order of rows does not matter.

    "I don't know" makes the source known and claims nothing. The cap on feedback an author and
    day holds here, so that lifting it needs no new observations.
    """
    ordered = sorted(rows, key=lambda row: row.observation_id)
    kept = _capped(ordered)
    questions = _index(row.question for row in kept)
    topic_of = {row.question: row.topic for row in kept}
    topics = _index(topic_of[name] for name in questions)
    values = _index(sorted({(r.question, r.answer) for r in kept if r.answer}, key=_shuffled))
    claims = _claims(kept)
    sources = _index(row.source for row in ordered if row.source is not None)
    said = Counter((source, value[0]) for source, value in claims)
    evidence = _index(_evidence_key(place, row) for place, row in enumerate(claims.values()))
    return ClaimTable(
        sources=tuple(sources),
        questions=tuple(questions),
        topics=tuple(topics),
        values=tuple(answer for _, answer in values),
        value_question=_ints(questions[question] for question, _ in values),
        question_topic=_ints(topics[topic_of[name]] for name in questions),
        claim_source=_ints(sources[source] for source, _ in claims),
        claim_value=_ints(values[value] for _, value in claims),
        claim_weight=np.array(
            [row.alignment / said[source, key[0]] for (source, key), row in claims.items()],
            dtype=np.float64,
        ),
        claim_family=_ints(
            evidence[_evidence_key(place, row)] for place, row in enumerate(claims.values())
        ),
        claim_day=np.array([row.day for row in claims.values()], dtype=np.float64),
        claim_is_planned=np.array([_is_planned(row) for row in claims.values()], dtype=np.bool_),
        value_label=_labels(kept, values),
    )


def _claims(rows: Iterable[Observation]) -> dict[tuple[int, tuple[str, str]], Observation]:
    """The row behind each claim: what the source itself was found saying, best by an estimate,
    then the last one. A person's word about it changes neither its family nor its weight."""
    claims: dict[tuple[int, tuple[str, str]], Observation] = {}
    for row in rows:
        if row.source is None or row.answer is None:
            continue
        key = row.source, (row.question, row.answer)
        if key not in claims or _rank(row) >= _rank(claims[key]):
            claims[key] = row
    return claims


def _rank(row: Observation) -> int:
    if not row.is_of_source:
        return 0
    return 2 if row.is_planned else 1


def _is_planned(row: Observation) -> bool:
    """Not under the cap on storms, which is for what sources say: people have caps of their own."""
    return row.is_planned or not row.is_of_source


def _shuffled(value: tuple[str, str]) -> bytes:
    """Order of values, favouring no order of claims and no spelling: decides between equals."""
    return sha256("\x1f".join(map(str, value)).encode()).digest()


def _index(names: Iterable[Name]) -> dict[Name, int]:
    return {name: place for place, name in enumerate(dict.fromkeys(names))}


def _evidence_key(place: int, row: Observation) -> tuple[object, ...]:
    """Claims with the same key are one piece of evidence for one value."""
    if row.family is None:
        return ("alone", place)
    return (row.family, row.question, row.answer)


def _ints(numbers: Iterable[int]) -> IntArray:
    return np.fromiter(numbers, dtype=np.int64)


def _capped(rows: Sequence[Observation]) -> list[Observation]:
    """Without an author's feedback over the daily cap, the earliest kept."""
    seen: Counter[tuple[str, int]] = Counter()
    kept = []
    for row in rows:
        if row.kind == "feedback":
            seen[row.author, int(row.day // 1)] += 1
            if seen[row.author, int(row.day // 1)] > FEEDBACK_PER_AUTHOR_AND_DAY:
                continue
        kept.append(row)
    return kept


def _labels(rows: Sequence[Observation], values: dict[tuple[str, str], int]) -> FloatArray:
    """Net words of people about each value; a person's last word about it is the one that counts.

    "Right" and "wrong" by two curators cancel out, which leaves the question to the sources.
    """
    words: dict[tuple[int, str, str], float] = {}
    for row in rows:
        if row.verdict is not None:
            place = values[row.question, str(row.answer)]
            words[place, row.kind, row.author] = 2 * row.verdict - 1
    sums: dict[str, FloatArray] = defaultdict(lambda: np.zeros(len(values)))
    for (place, kind, _), word in words.items():
        sums[kind][place] += word
    feedback = np.clip(FEEDBACK_WEIGHT * sums["feedback"], -FEEDBACK_LIMIT, FEEDBACK_LIMIT)
    return LABEL_WEIGHT * sums["label"] + feedback
