"""Answers that mean the same, numbers and dates, and clusters that no order changes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.matching import Relation, cluster_answers, compare, is_no_answer, normal_answer
from reliability.numbers import (
    parse_date,
    parse_quantity,
    same_quantity,
    tolerance_groups,
    weighted_median,
)


@pytest.mark.parametrize(
    ("one", "other", "relation"),
    [
        ("The Beatles", "beatles", "same"),
        ("Café Müller", "cafe muller", "same"),
        ("3,559 people", "3559 people", "same"),
        ("3,559 people", "10,000 people", "different"),
        ("1.2 million", "1,200,000", "same"),
        ("5 km", "5000 m", "same"),
        ("100 kg", "100 km", "different"),
        ("3 May 1900", "1900-05-03", "same"),
        ("3 May 1900", "1900", "same"),
        ("3 May 1900", "4 May 1900", "different"),
        ("J. K. Rowling", "Joanne K Rowling", "same"),
        ("Rowling, Joanne", "Joanne Rowling", "same"),
        ("Joanne Rowling", "John Rowling", "unsure"),
        ("Apollo 11", "Apollo 12", "different"),
        ("Miami, Florida", "Anchorage, Alaska", "unsure"),
        ("Mahatma Gandhi", "Mahatma Ghandi", "same"),
    ],
)
def test_compare(one: str, other: str, relation: Relation) -> None:
    assert compare(one, other) == relation
    assert compare(other, one) == relation


def test_aliases_are_the_same() -> None:
    assert compare("UK", "United Kingdom", {"uk": "united kingdom"}) == "same"


@pytest.mark.parametrize("text", ["", "  ", "I don't know", "I DON’T KNOW.", "unknown", "N/A"])
def test_nothing_found_is_no_answer(text: str) -> None:
    assert is_no_answer(text)


@settings(deadline=None)
@given(st.permutations(["1900", "3 May 1900", "4 May 1900", "May 1901", "no idea", "unknown"]))
def test_clusters_know_no_order(answers: list[str]) -> None:
    found = cluster_answers(answers).representative
    assert found == cluster_answers(sorted(answers)).representative
    assert found["unknown"] is None
    assert len({found["1900"], found["3 May 1900"], found["4 May 1900"]}) == 3


def test_a_judge_is_asked_only_where_the_rules_are_unsure() -> None:
    asked = []

    def judge(question: str, one: str, other: str) -> Relation:
        asked.append((one, other))
        return "same"

    clusters = cluster_answers(["Big Apple", "New York", "big apple"], "q", judge)
    assert len(set(clusters.representative.values())) == 1
    assert clusters.by_judge == len(asked) == 2
    assert clusters.by_rules == 1


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_text_can_be_clustered(answers: list[str]) -> None:
    found = cluster_answers(answers).representative
    assert set(found) == set(answers)
    assert all(value is None or value in answers for value in found.values())
    assert all(normal_answer(normal_answer(a)) == normal_answer(a) for a in answers)


def test_quantities_and_dates() -> None:
    assert parse_quantity("no number") is None
    assert parse_quantity("3 of 4") is None
    assert parse_date("30 February 1900") is None
    assert parse_date("June 11, 1963") == (1963, 6, 11)
    assert parse_date("Fall of 2010") is None
    exact, rounded = parse_quantity("1,234,567"), parse_quantity("1,200,000")
    assert exact
    assert rounded
    assert same_quantity(exact, rounded)


def test_tolerance_groups_do_not_chain() -> None:
    values = [100.0, 100.9, 101.8, 200.0]
    groups = tolerance_groups(values).tolist()
    assert groups[0] == groups[1] != groups[2] != groups[3]


def test_weighted_median() -> None:
    assert weighted_median([1, 2, 100], [1, 1, 1]) == 2
    assert weighted_median([1, 2, 100], [1, 1, 5]) == 100
    with pytest.raises(ValueError, match="positive weight"):
        weighted_median([1, 2], [0, -1])


@pytest.mark.parametrize(
    "text", ["1" + "0" * 30, "9" * 309, "1" + "0" * 5000, "5" + " trillion" * 30]
)
def test_a_number_that_nobody_counts_with_is_none(text: str) -> None:
    assert parse_quantity(text) is None
    assert compare(text, "7") == "different"


def test_thirty_digits_are_a_number() -> None:
    found = parse_quantity("1" + "0" * 29)
    assert found is not None
    assert (found.value, found.step) == (1e29, 1e29)
