"""A scene as a server answers it: rows folded and fitted, each target judged as a vote is.

The same functions as the read path and the estimate; only the database, the search and the decoder
are left out (each passage of a question is found, and says what it claims; its topic is known).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from app.answer.verdict import Basis, Heard, judge_passages
from app.db.chunks import FIRST_IMPORT_S
from app.db.observations import DAY_S
from app.db.reliability_rows import ObservationRow
from app.db.rows import NEUTRAL, SourceRow
from app.evaluation.chances import word
from app.evaluation.reliability_heard import heard_claim
from app.evaluation.reliability_scene import Scene
from app.sources.estimate import DEFAULT_ESTIMATOR, fold_and_fit
from app.sources.fold import Circumstances
from app.sources.judging import default_calibration
from reliability.estimators.protocol import Estimate
from reliability.families.find import FamilyConfig, find_families
from reliability.families.types import Passage
from reliability.observations import Observation


def served_answers(scene: Scene) -> dict[str, str]:
    """The leading answer to each target."""
    spelled = {word(str(row.answer)): str(row.answer) for row in scene.rows}
    passages, limit = _as_stored(scene.passages), scene.cosine_limit()
    past = [row for row in scene.rows if row.question not in scene.false]
    circumstances, _, estimate = fold_and_fit(
        DEFAULT_ESTIMATOR, _stored(past, passages, limit), Circumstances()
    )
    of_question: dict[str, list[Heard]] = defaultdict(list)
    for row in scene.rows:
        if row.question in scene.false and row.kind == "probe" and row.source is not None:
            source = _source(row.source, scene.topics[row.question], estimate)
            of_question[row.question].append(_heard(row, source, passages))
    basis = Basis(
        "",
        "vote",
        1,
        default_calibration(),
        circumstances.copiers,
        limit,
        {p.passage_id: p.embedding for p in passages if p.embedding is not None},
    )
    found = {}
    for question, heard in of_question.items():
        verdict = judge_passages(heard, replace(basis, question=question))
        if verdict.answers:
            found[question] = spelled[verdict.answers[0].answer]
    return found


def _as_stored(passages: Sequence[Passage]) -> list[Passage]:
    """First days as the database tells them: not of those that came with the first."""
    days = [p.source_first_day for p in passages if p.source_first_day is not None]
    last = min(days, default=0.0) + FIRST_IMPORT_S / DAY_S
    return [
        replace(p, source_first_day=None) if (p.source_first_day or 0.0) <= last else p
        for p in passages
    ]


def _stored(
    rows: Sequence[Observation], passages: Sequence[Passage], limit: float | None
) -> list[ObservationRow]:
    """As an estimate stores them: families are found question by question."""
    by_id = {passage.passage_id: passage for passage in passages}
    asked: dict[str, list[Passage]] = defaultdict(list)
    for row in rows:
        if row.kind == "probe":
            asked[row.question].append(by_id[row.observation_id])
    families: dict[int, int] = {}
    for group in asked.values():
        families |= find_families(group, FamilyConfig(limit)).shared()
    return [
        ObservationRow(
            id=row.observation_id,
            kind=row.kind,
            source_id=row.source,
            question=row.question,
            topic=row.topic,
            answer=None if row.answer is None else word(row.answer),
            verdict=row.verdict,
            weight=row.alignment,
            family=families.get(row.observation_id),
            author=row.author,
            note="",
            document_id=None,
            question_document_id=None,
            run_id=None,
            estimate_id=None,
            observed_at=row.day * DAY_S,
            undone_by=None,
        )
        for row in rows
    ]


def _source(number: int, topic: str, estimate: Estimate | None) -> SourceRow:
    """As an answer reads it: what was learned on the topic, or where everybody starts."""
    row = SourceRow(number, f"source {number}", NEUTRAL, NEUTRAL, 1)
    if estimate is None or number not in estimate.sources:
        return row
    belief = estimate.posterior(number, topic)
    return replace(row, alpha=belief.alpha, beta=belief.beta)


def _heard(row: Observation, source: SourceRow, passages: Sequence[Passage]) -> Heard:
    passage = passages[row.observation_id]
    return heard_claim(
        row,
        source,
        answer=word(str(row.answer)),
        text=passage.text,
        first_day=passage.source_first_day,
    )
