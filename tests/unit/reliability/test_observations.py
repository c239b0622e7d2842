"""The log of observations: bad input, undo, merging, deletion, and what the version covers."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import InvalidObservation
from reliability.observations import Observation, ObservationLog


def probe(number: int, question: str, answer: str | None, source: int, **more: Any) -> Observation:
    return Observation(number, "probe", question, answer, source, **more)


def label(number: int, question: str, answer: str, verdict: float, author: str) -> Observation:
    return Observation(number, "label", question, answer, verdict=verdict, author=author)


@pytest.mark.parametrize("verdict", [math.nan, math.inf, -math.inf, -0.1, 1.1, None])
def test_labels_out_of_range_are_refused(verdict: float | None) -> None:
    with pytest.raises(InvalidObservation, match="verdict"):
        Observation(1, "label", "q", "a", verdict=verdict, author="anna")


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "rumour"},
        {"day": math.nan},
        {"day": math.inf},
        {"alignment": math.nan},
        {"alignment": 1.5},
        {"source": None},
        {"answer": ""},
        {"verdict": 1.0},
    ],
)
def test_bad_probes_are_refused(bad: dict[str, Any]) -> None:
    good: dict[str, Any] = {"kind": "probe", "question": "q", "answer": "a", "source": 1}
    with pytest.raises(InvalidObservation):
        Observation(1, **(good | bad))


@pytest.mark.parametrize("bad", [{"author": ""}, {"answer": None}])
def test_words_of_people_name_what_and_who(bad: dict[str, Any]) -> None:
    good: dict[str, Any] = {"question": "q", "answer": "a", "verdict": 1.0, "author": "anna"}
    with pytest.raises(InvalidObservation):
        Observation(1, "feedback", **(good | bad))


def test_undo_is_as_if_it_had_never_been() -> None:
    before = ObservationLog((probe(1, "q", "a", 1), probe(2, "q", "b", 2)))
    after = before.added([label(3, "q", "a", 1.0, "anna"), label(4, "q", "b", 0.0, "ben")])
    assert after.version() != before.version()
    assert after.without([3, 4]).version() == before.version()
    assert after.without_author("anna").without_author("ben") == before
    assert after.without_author("") == after


def test_unknown_and_double_ids_are_refused() -> None:
    log = ObservationLog((probe(1, "q", "a", 1),))
    with pytest.raises(InvalidObservation, match="no observations"):
        log.without([7])
    with pytest.raises(InvalidObservation, match="same id"):
        log.added([probe(1, "q", "b", 2)])


def test_a_deleted_documents_observations_go_with_it() -> None:
    log = ObservationLog((probe(1, "q", "a", 1, document=5), probe(2, "q", "b", 2, document=6)))
    assert [row.observation_id for row in log.without_document(5).rows] == [2]


def test_a_merged_source_speaks_as_the_other() -> None:
    log = ObservationLog((probe(1, "q", "a", 1), probe(2, "q", "a", 2)))
    assert {row.source for row in log.merged(2, into=1).rows} == {1}


@settings(deadline=None)
@given(st.permutations(list(range(6))))
def test_the_version_knows_no_order(order: list[int]) -> None:
    rows = [probe(number, f"q{number % 2}", "a", number) for number in range(6)]
    shuffled = ObservationLog(tuple(rows[place] for place in order))
    assert shuffled.version() == ObservationLog(tuple(rows)).version()
