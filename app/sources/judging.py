"""From what people said about answers to the map that makes scores into chances. Pure."""

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from app.db.reliability_rows import JudgedRun, NewCalibration, ObservationRow
from app.sources.fold import Circumstances, cap_feedback, words_of
from reliability.alignment import align
from reliability.calibration import Calibration, Calibrator, Line, calibrator_of
from reliability.decision import AnswerBelief, DecisionConfig, Vote, decide
from reliability.errors import NotCalibrated, ReliabilityError
from reliability.estimators.protocol import Estimate
from reliability.judged import MOST, Judged, judged_questions, learn_calibrator, learn_threshold
from reliability.matching import cluster_answers
from reliability.observations import (
    FEEDBACK_LIMIT,
    FEEDBACK_WEIGHT,
    LABEL_WEIGHT,
    ObservationLog,
)
from reliability.types import BetaPosterior

DEFAULT_FILE = "calibration.json"  # `larder eval chances --write` makes it
DIGITS = 6
ONE_ANSWER = ("answer", "low_support")  # where a thumb is about one answer

log = logging.getLogger(__name__)


def default_line() -> tuple[Line, int]:
    """What was learned on generated worlds, and on how many of their answers."""
    data = json.loads(files("app.sources").joinpath(DEFAULT_FILE).read_text(encoding="utf-8"))
    return Line(data["slope"], data["offset"]), int(data["answers"])


def default_calibration() -> Calibration:
    """For a server on which too little was judged yet."""
    line, answers = default_line()
    return Calibration(calibrator_of(line, answers), "worlds", answers)


def learned_calibration(version: int, stored: NewCalibration) -> Calibration:
    score_odds, chance_odds = zip(*stored.knots, strict=True)
    labels = stored.answers + stored.thumbs
    calibrator = Calibrator(stored.method, score_odds, chance_odds, labels)
    return Calibration(calibrator, "labels", stored.answers, stored.thumbs, version, stored.accept)


def learn(
    rows: Sequence[ObservationRow],
    log: ObservationLog,
    estimate: Estimate | None,
    runs: Sequence[JudgedRun],
    circumstances: Circumstances,
) -> NewCalibration | None:
    """None where less than twenty answers' worth was judged.

    A question that people asked is judged by its run, which shows the passages it had; any other
    labelled one by what sources said to it.
    """
    if estimate is None:
        return None
    asked = [*_labelled(rows, runs), *_liked(rows, runs, circumstances)]
    seen = {item.question for item in asked}
    probed = judged_questions(log.rows, estimate)
    judged = [*(item for item in probed if words_of(item.question) not in seen), *asked][-MOST:]
    try:
        found = learn_calibrator(judged, default_line()[0])
    except NotCalibrated:
        return None
    pairs = zip(found.score_odds, found.chance_odds, strict=True)
    knots = tuple((round(score, DIGITS), round(chance, DIGITS)) for score, chance in pairs)
    thumbs = sum(item.weight < 1 for item in judged)
    accept = learn_threshold(judged, found)
    return NewCalibration(found.method, knots, len(judged) - thumbs, thumbs, accept)


def judged_by(rows: Sequence[ObservationRow]) -> tuple[list[str], list[str]]:
    """Runs that users gave a thumb, and questions that people labelled; the newest of each."""
    runs = [row.run_id for row in rows if row.kind == "feedback" and row.run_id]
    questions = [row.question for row in rows if row.kind == "label"]
    return list(dict.fromkeys(runs))[-MOST:], list(dict.fromkeys(questions))[-MOST:]


def _labelled(rows: Sequence[ObservationRow], runs: Sequence[JudgedRun]) -> list[Judged]:
    """Runs whose question was labelled later: a label before it is in the run's beliefs."""
    labels: dict[str, list[ObservationRow]] = defaultdict(list)
    for row in rows:
        if row.kind == "label" and row.verdict is not None:
            labels[row.question].append(row)
    found: dict[tuple[str, int | None], Judged] = {}
    for run in runs:
        about = [row for row in labels.get(run.question, ()) if _is_of(run, row)]
        if not about or run.created_at >= min(row.observed_at for row in about):
            continue
        lead = _lead(run)
        outcome = None if lead is None else _outcome(run.question, lead, run, about)
        found.pop((run.question, run.collection_id), None)  # a later run of it tells more
        if lead is not None and outcome is not None:
            found[run.question, run.collection_id] = Judged(run.question, lead.chance, outcome)
    return list(found.values())


def _is_of(run: JudgedRun, label: ObservationRow) -> bool:
    """Asked in the same collection, as far as that is known."""
    return None in (run.collection_id, label.collection_id) or (
        run.collection_id == label.collection_id
    )


def _outcome(
    question: str, lead: AnswerBelief, run: JudgedRun, labels: Sequence[ObservationRow]
) -> float | None:
    """1 where the leading answer means a labelled one that is right, 0 where it does not."""
    words = [lead.answer, *_said(run, lead)]
    same = {id(row): _means(question, str(row.answer), words) for row in labels}
    net = {True: 0.0, False: 0.0}
    for row in labels:
        net[same[id(row)]] += 2 * float(row.verdict or 0.0) - 1
    if net[True]:
        return float(net[True] > 0)
    is_another_right = any(not same[id(row)] and (row.verdict or 0.0) > 0.5 for row in labels)
    return 0.0 if is_another_right else None


def _means(question: str, label: str, words: Sequence[str]) -> bool:
    names = cluster_answers([label, *words], question).representative
    return any(
        (names[label] is not None and names[said] == names[label])
        or align(label, said).score == 1.0
        for said in words
    )


def _liked(
    rows: Sequence[ObservationRow], runs: Sequence[JudgedRun], circumstances: Circumstances
) -> list[Judged]:
    """Runs that users gave thumbs: all of them weigh a fifth of a label at most."""
    labelled = {row.question for row in rows if row.kind == "label"}
    words: dict[str, dict[str, float]] = defaultdict(dict)  # the last thumb of each user
    for row in cap_feedback(rows, circumstances):
        if row.kind == "feedback" and row.run_id and row.verdict is not None:
            words[row.run_id][row.author] = 2 * row.verdict - 1
    found = []
    for run in runs:
        net = FEEDBACK_WEIGHT * sum(words.get(run.id, {}).values())
        if not net or run.question in labelled or run.verdict.get("kind") not in ONE_ANSWER:
            continue
        lead = _lead(run)
        if lead is not None:
            weight = min(abs(net), FEEDBACK_LIMIT) / LABEL_WEIGHT
            found.append(Judged(run.question, lead.chance, float(net > 0), weight))
    return found


def _lead(run: JudgedRun) -> AnswerBelief | None:
    """The run's leading answer with its score, from its stored votes; None where it has none, or
    cannot be read any more."""
    if run.verdict.get("takes_several"):
        return None
    try:
        return _leading(run)
    except (ReliabilityError, ValueError, KeyError, TypeError) as error:
        log.warning("the verdict of run %s teaches nothing: %s", run.id, error)
        return None


def _leading(run: JudgedRun) -> AnswerBelief | None:
    votes = [
        Vote(
            passage_id=vote["chunk_id"],
            source=vote["source_id"],
            family=vote["family"],
            answer=vote["answer"],
            alignment=vote["alignment"],
            sense=vote["sense"],
        )
        for vote in _items(run.verdict["votes"])
    ]
    beliefs = {
        source["source_id"]: BetaPosterior(source["alpha"], source["beta"])
        for source in _items(run.verdict["sources"])
    }
    newcomers = frozenset(
        source["source_id"] for source in _items(run.verdict["sources"]) if source.get("is_new")
    )
    stated = run.verdict.get("stated")
    config = DecisionConfig(newcomers=newcomers, stated=None if stated is None else str(stated))
    decision = decide(votes, beliefs, config)
    is_one = len({belief.sense for belief in decision.all_answers}) == 1
    return decision.answers[0] if is_one else None


def _said(run: JudgedRun, lead: AnswerBelief) -> list[str]:
    """The words in which passages say the leading answer."""
    return [vote["said"] for vote in _items(run.verdict["votes"]) if vote["answer"] == lead.answer]


def _items(value: object) -> list[dict[str, Any]]:
    return value if isinstance(value, list) else []
