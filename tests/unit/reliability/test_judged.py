"""What a calibrator learns from: judged questions, each scored as if it had not been judged."""

import numpy as np
import pytest

from reliability.calibration import Line
from reliability.decision import Vote, decide
from reliability.errors import NotCalibrated
from reliability.estimators.larder import LarderEstimator
from reliability.judged import Judged, judged_questions, learn_calibrator, learn_threshold
from reliability.observations import Observation
from reliability.table import build_table

QUESTIONS, SOURCES, LABELLED = 60, 7, 20


def world(seed: int = 0) -> list[Observation]:
    random = np.random.default_rng(seed)
    skill = random.beta(3, 2, SOURCES)
    rows = [
        Observation(
            number * SOURCES + source,
            "probe",
            f"q{number}",
            "right" if random.random() < skill[source] else f"wrong {random.integers(4)}",
            source,
        )
        for number in range(QUESTIONS)
        for source in range(SOURCES)
    ]
    return rows + [label(f"q{number}", "right", 1.0, number) for number in range(LABELLED)]


def label(question: str, answer: str, verdict: float, number: int) -> Observation:
    return Observation(
        10_000 + number, "label", question, answer, verdict=verdict, author=f"person {number}"
    )


def test_a_score_is_near_that_of_an_estimate_that_never_saw_the_question() -> None:
    rows = world()
    estimator = LarderEstimator()
    judged = judged_questions(rows, estimator.fit(build_table(rows)))
    assert [item.question for item in judged] == [f"q{n}" for n in range(LABELLED)]
    for item in judged:
        rest = estimator.fit(build_table(row for row in rows if row.question != item.question))
        votes = [
            Vote(row.observation_id, row.source, row.observation_id, str(row.answer))
            for row in rows
            if row.question == item.question and row.source is not None
        ]
        exact = decide(votes, {source: rest.posterior(source) for source in rest.sources})
        assert item.score == pytest.approx(exact.all_answers[0].chance, abs=0.015)
        assert item.right == float(exact.all_answers[0].answer == "right")


def test_the_label_itself_does_not_raise_the_score() -> None:
    """Five labels of as many people: the leading answer is not surer for them."""
    rows = world()
    more = [label("q0", "right", 1.0, 500 + n) for n in range(5)]
    estimator = LarderEstimator()
    before = judged_questions(rows, estimator.fit(build_table(rows)))[0]
    after = judged_questions([*rows, *more], estimator.fit(build_table([*rows, *more])))[0]
    assert after.score == pytest.approx(before.score, abs=0.01)


def test_questions_without_one_verdict_teach_nothing() -> None:
    rows = [row for row in world() if row.kind == "probe"]
    table = build_table(rows)
    estimate = LarderEstimator().fit(table)
    contradictory = [label("q0", "right", 1.0, 1), label("q0", "right", 0.0, 2)]
    two_right = [label("q1", "right", 1.0, 3), label("q1", "wrong 0", 1.0, 4)]
    nobody = [label("who asked this?", "nobody", 1.0, 5)]
    words = [*contradictory, *two_right, *nobody]
    assert judged_questions([*rows, *words], estimate) == []


def test_an_answer_that_a_person_calls_wrong_counts_as_wrong() -> None:
    rows = [Observation(n, "probe", f"q{n // 3}", "a", n % 3) for n in range(30)]
    estimate = LarderEstimator().fit(build_table(rows))
    (judged,) = judged_questions([*rows, label("q2", "a", 0.0, 1)], estimate)
    assert judged.right == 0.0


def test_thumbs_weigh_a_fifth_and_too_few_teach_nothing() -> None:
    many = [Judged("q", 0.9, 1.0, 0.1)] * 199
    with pytest.raises(NotCalibrated):
        learn_calibrator(many, Line())
    learned = learn_calibrator([*many, Judged("q", 0.9, 1.0, 0.2)], Line())
    assert float(learned(np.array([0.9]))[0]) > 0.9


def test_few_labels_stay_near_what_was_learned_elsewhere() -> None:
    start = Line(0.5, -1.0)
    judged = [Judged("q", 0.9, 1.0)] * 18 + [Judged("q", 0.9, 0.0)] * 2
    here = float(learn_calibrator(judged, start)(np.array([0.9]))[0])
    there = 1 / (1 + np.exp(-(0.5 * np.log(9) - 1.0)))
    assert there < here < 0.9


def test_the_threshold_waits_for_enough_labels_and_never_falls_below_a_half() -> None:
    sure = [Judged("q", 0.95, 1.0)] * 60
    doubtful = [Judged("q", 0.6, float(n % 2)) for n in range(60)]
    calibrator = learn_calibrator([*sure, *doubtful], Line())
    found = learn_threshold([*sure, *doubtful], calibrator)
    assert found == pytest.approx(float(calibrator(np.array([0.95]))[0]))
    assert learn_threshold(sure[:20], calibrator) is None
    assert learn_threshold([], calibrator) is None
    assert learn_threshold([Judged("q", 0.1, 1.0)] * 60, calibrator) == 0.5
    assert learn_threshold([Judged("q", 0.9, 1.0, 0.1)] * 60, calibrator) is None
