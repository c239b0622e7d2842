"""Questions for a person go by what an answer would settle."""

import numpy as np

from reliability.estimators.larder import LarderEstimator
from reliability.exploration import questions_to_label
from reliability.observations import Observation
from reliability.table import build_table


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
    # Sources of whom this little is known count as strangers, so even what they agree on is open.
    assert worth[0].worth > 1.5 * worth[1].worth
    assert questions_to_label(table, np.ones(len(table.values)), 0) == []
