"""Rows of the database as the observations that estimators read: merges, caps, answer clusters.

Pure. The same rows and the same circumstances give the same fold, whenever it is made.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from app.db.observations import DAY_S
from app.db.reliability_rows import ObservationRow
from reliability.families.habits import count_once
from reliability.families.types import Pair
from reliability.matching import cluster_answers, normal_answer
from reliability.observations import (
    FEEDBACK_PER_AUTHOR_AND_DAY,
    PROBES_PER_SOURCE_AND_DAY,
    Kind,
    Observation,
    ObservationLog,
)

# All users together: a storm of new names moves a source by ten half claims a day at most.
FEEDBACK_PER_SOURCE_AND_DAY = 10
# Pairs are compared letter by letter: beyond these, only equal words make answers the same.
MAX_COMPARED_LEN = 200
MAX_COMPARED = 64
ASKED_IN = "\x1f"  # no question has it: blanks of all kinds become spaces

Thumb = tuple[str, str, str | None, float]

KINDS: dict[str, Kind] = {
    "probe": "probe",
    "crosscheck": "probe",
    "label": "label",
    "feedback": "feedback",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What beside the observations goes into beliefs; stored with each version."""

    owners: Mapping[int, int] = field(default_factory=dict)  # merged source to its owner
    quarantined: frozenset[int] = frozenset()
    priors: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    copiers: frozenset[Pair] = frozenset()  # sources caught copying, as last estimated
    today: float | None = None  # in days, when it was estimated: what is older counts less

    def owner(self, source_id: int) -> int:
        return self.owners.get(source_id, source_id)


def fold(rows: Sequence[ObservationRow], circumstances: Circumstances) -> ObservationLog:
    """Each row becomes one observation or, over a cap or in quarantine, none."""
    kept = [row for row in _apart(rows) if not _is_left_out(row, circumstances)]
    kept = cap_feedback(kept, circumstances)
    names = _clusters(kept)
    # A question has one topic: the last that was named for it.
    topics = {row.question: row.topic for row in kept if row.topic}
    thumbs: set[Thumb] = set()
    log = []
    for row in kept:
        kind = KINDS[row.kind]
        if kind == "feedback":
            # One thumb about an answer that rests on three sources is one word and three claims.
            kind = "probe" if _thumb(row) in thumbs else "feedback"
            thumbs.add(_thumb(row))
        topic = topics.get(row.question, "")
        log.append(_observation(row, kind, topic, names, circumstances))
    return ObservationLog(count_once(log, circumstances.copiers))


def _apart(rows: Sequence[ObservationRow]) -> list[ObservationRow]:
    """A question that was asked in several collections is as many questions."""
    places: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        if row.collection_id is not None:
            places[row.question].add(row.collection_id)
    return [
        replace(row, question=f"{row.question}{ASKED_IN}{row.collection_id}")
        if row.collection_id is not None and len(places[row.question]) > 1
        else row
        for row in rows
    ]


def words_of(question: str) -> str:
    """A question of a fold as it was asked."""
    return question.partition(ASKED_IN)[0]


def _thumb(row: ObservationRow) -> Thumb:
    """Rows of one thumb were stored together; who changes their mind gives another one."""
    return row.author, row.question, row.answer, row.observed_at


def _is_left_out(row: ObservationRow, circumstances: Circumstances) -> bool:
    if row.source_id is None:
        return False
    return not {row.source_id, circumstances.owner(row.source_id)}.isdisjoint(
        circumstances.quarantined
    )


def _observation(
    row: ObservationRow,
    kind: Kind,
    topic: str,
    names: Mapping[tuple[str, str], str | None],
    circumstances: Circumstances,
) -> Observation:
    answer = None if row.answer is None else names[row.question, row.answer]
    is_word = kind != "probe"
    return Observation(
        observation_id=row.id,
        kind=kind,
        question=row.question,
        # Words of people are about what they are about, even where it reads like "unknown".
        answer=(answer or row.answer) if is_word else answer,
        source=None if row.source_id is None else circumstances.owner(row.source_id),
        topic=topic,
        verdict=row.verdict if is_word else None,
        author=row.author,
        day=row.observed_at / DAY_S,
        alignment=row.weight,
        family=row.family,
        document=row.document_id,
        is_planned=row.estimate_id is not None,
    )


def cap_feedback(
    rows: Sequence[ObservationRow], circumstances: Circumstances
) -> list[ObservationRow]:
    """Without a user's thumbs over the daily cap, and without those over a source's."""
    thumbs: dict[tuple[str, int], set[Thumb]] = defaultdict(set)
    about: Counter[tuple[int, int]] = Counter()
    kept = []
    for row in rows:
        if row.kind == "feedback":
            day = int(row.observed_at // DAY_S)
            given, thumb = thumbs[row.author, day], _thumb(row)
            if thumb not in given and len(given) >= FEEDBACK_PER_AUTHOR_AND_DAY:
                continue
            if row.source_id is not None:
                key = (circumstances.owner(row.source_id), day)
                if about[key] >= FEEDBACK_PER_SOURCE_AND_DAY:
                    continue
                about[key] += 1
            given.add(thumb)
        kept.append(row)
    return kept


def within_day_cap(
    rows: Sequence[ObservationRow], circumstances: Circumstances
) -> list[ObservationRow]:
    """The first claims of each source a day, as many as may move it; people and estimates are not
    capped here.

    For updates between two estimates; an estimate itself weighs a day's claims down instead.
    """
    said: Counter[tuple[int, int]] = Counter()
    kept = []
    for row in rows:
        is_met = row.kind in ("probe", "crosscheck") and row.estimate_id is None
        if row.source_id is not None and is_met:
            key = (circumstances.owner(row.source_id), int(row.observed_at // DAY_S))
            said[key] += row.answer is not None
            if said[key] > PROBES_PER_SOURCE_AND_DAY:
                continue
        kept.append(row)
    return kept


def _clusters(rows: Iterable[ObservationRow]) -> dict[tuple[str, str], str | None]:
    """Cluster of each answer to each question; no order of the rows changes it."""
    answers: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.answer is not None:
            answers[row.question].add(row.answer)
    return {
        (question, answer): name
        for question, given in answers.items()
        for answer, name in _cluster(question, given).items()
    }


def _cluster(question: str, given: set[str]) -> dict[str, str | None]:
    short = {answer for answer in given if len(answer) <= MAX_COMPARED_LEN}
    compared = set(sorted(short)[:MAX_COMPARED])
    found: dict[str, str | None] = dict(cluster_answers(compared, question).representative)
    by_words: dict[str, str | None] = {
        normal_answer(answer): name for answer, name in sorted(found.items())
    }
    for answer in sorted(given - compared):
        found[answer] = by_words.setdefault(normal_answer(answer), answer)
    return found
