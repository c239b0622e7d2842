"""Probes go where they teach most, and now and then to a source that may be the best."""

import numpy as np
import pytest

from reliability.errors import InvalidReliability
from reliability.estimators.larder import LarderEstimator
from reliability.exploration import allocate_probes, questions_to_label
from reliability.observations import Observation
from reliability.table import build_table
from reliability.types import BetaPosterior


def test_probes_go_to_whom_little_is_known_about() -> None:
    known = {1: BetaPosterior(80, 20), 2: BetaPosterior(2, 1), 3: BetaPosterior(1, 1)}
    given = allocate_probes(known, 100, np.random.default_rng(0), explored=0.0)
    assert sum(given.values()) == 100
    assert given[3] > given[2] > given.get(1, 0)
    even = allocate_probes(
        {n: BetaPosterior(2, 1) for n in range(5)}, 50, np.random.default_rng(0), explored=0.0
    )
    assert set(even.values()) == {10}


def test_draws_follow_the_belief_in_being_best() -> None:
    known = {1: BetaPosterior(90, 10), 2: BetaPosterior(1, 1), 3: BetaPosterior(5, 95)}
    given = allocate_probes(known, 1000, np.random.default_rng(0), explored=1.0)
    assert given[1] > 500
    assert given[2] > 50
    assert 3 not in given


def test_no_sources_and_no_budget_are_no_probes() -> None:
    random = np.random.default_rng(0)
    assert allocate_probes({}, 5, random) == {}
    assert allocate_probes({1: BetaPosterior(1, 1)}, 0, random) == {}
    for budget, explored in ((-1, 0.0), (1, 1.5)):
        with pytest.raises(InvalidReliability):
            allocate_probes({1: BetaPosterior(1, 1)}, budget, random, explored=explored)


def test_contested_questions_come_first_and_answered_ones_not_at_all() -> None:
    said = {"agreed": ["a", "a", "a", "a"], "split": ["b", "c", "b", "c"], "done": ["d", "e"]}
    rows = [
        Observation(10 * place + source, "probe", question, answer, source)
        for place, (question, answers) in enumerate(said.items())
        for source, answer in enumerate(answers)
    ]
    rows.append(Observation(99, "label", "done", "d", verdict=1.0, author="anna"))
    table = build_table(rows)
    estimator = LarderEstimator()
    worth = questions_to_label(table, estimator.predict(table, estimator.fit(table)), 5)
    assert [item.question for item in worth] == ["split", "agreed"]
    assert worth[0].worth > 2 * worth[1].worth
    assert questions_to_label(table, np.ones(len(table.values)), 0) == []
