"""Folding observations into a table: repeats, families, caps, and labels that contradict."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.observations import Observation
from reliability.table import build_table


def probe(number: int, question: str, answer: str | None, source: int) -> Observation:
    return Observation(number, "probe", question, answer, source)


def word(number: int, kind: str, answer: str, verdict: float, author: str) -> Observation:
    return Observation(number, kind, "q", answer, verdict=verdict, author=author)  # type: ignore[arg-type]


def label_of(rows: list[Observation], answer: str) -> float:
    table = build_table(rows)
    return float(table.value_label[table.values.index(answer)])


def test_saying_it_twice_counts_once_and_two_answers_share_a_vote() -> None:
    rows = [probe(1, "q", "a", 1), probe(2, "q", "a", 1), probe(3, "q", "a", 2)]
    table = build_table([*rows, probe(4, "q", "b", 2)])
    weights = dict(
        zip(
            zip(table.claim_source.tolist(), table.claim_value.tolist(), strict=True),
            table.claim_weight.tolist(),
            strict=True,
        )
    )
    a, b = table.values.index("a"), table.values.index("b")
    assert weights == {(0, a): 1.0, (1, a): 0.5, (1, b): 0.5}


def test_not_knowing_makes_a_source_known_and_claims_nothing() -> None:
    table = build_table([probe(1, "q", None, 1), probe(2, "r", None, 2)])
    assert table.sources == (1, 2)
    assert len(table.claim_value) == len(table.values) == 0


def test_nothing_at_all() -> None:
    table = build_table([])
    assert (table.sources, table.questions, table.values) == ((), (), ())


def test_contradictory_labels_cancel_out() -> None:
    rows = [probe(1, "q", "a", 1), word(2, "label", "a", 1.0, "anna")]
    assert label_of(rows, "a") == 5.0
    assert label_of([*rows, word(3, "label", "a", 0.0, "ben")], "a") == 0.0


def test_a_person_who_changes_her_mind_counts_once() -> None:
    rows = [probe(1, "q", "a", 1), word(2, "label", "a", 1.0, "anna")]
    assert label_of([*rows, word(3, "label", "a", 0.0, "anna")], "a") == -5.0


def test_feedback_is_light_and_a_crowd_is_capped() -> None:
    rows = [probe(1, "q", "a", 1), word(2, "feedback", "a", 1.0, "u0")]
    assert label_of(rows, "a") == pytest.approx(0.5)
    crowd = [word(10 + n, "feedback", "a", 1.0, f"u{n}") for n in range(50)]
    assert label_of([probe(1, "q", "a", 1), *crowd], "a") == pytest.approx(1.0)


def test_one_user_has_three_thumbs_a_day() -> None:
    thumbs = [
        Observation(n, "feedback", f"q{n}", "a", verdict=1.0, author="u", day=n / 10)
        for n in range(6)
    ]
    assert len(build_table(thumbs).values) == 3


@pytest.mark.parametrize("kind", ["label", "feedback"])
def test_a_word_about_a_claim_leaves_the_sources_own_row_as_it_is(kind: str) -> None:
    """Ten thumbs once made a planned claim of a family weigh half, and alone."""
    planned = [
        Observation(n, "probe", "q", "a", n, family=7, is_planned=True, day=1.0) for n in (1, 2)
    ]
    spoken = Observation(
        3,
        kind,
        "q",
        "a",
        1,
        verdict=1.0,
        author="u",
        day=9.0,
        alignment=0.5,  # type: ignore[arg-type]
    )
    same_thumb = Observation(4, "probe", "q", "a", 2, author="u", day=9.0, alignment=0.5)
    met = Observation(5, "probe", "q", "a", 1, day=9.0)
    before = build_table(planned)
    after = build_table([*planned, spoken, same_thumb, met])
    for name in ("claim_weight", "claim_family", "claim_day", "claim_is_planned"):
        assert getattr(after, name).tolist() == getattr(before, name).tolist(), name


def test_a_claim_that_only_a_person_tells_is_no_storm() -> None:
    words = [Observation(n, "label", f"q{n}", "a", 1, verdict=1.0, author="m") for n in range(30)]
    table = build_table(words)
    assert bool(table.claim_is_planned.all())
    assert not build_table([probe(1, "q", "a", 1)]).claim_is_planned.any()


@settings(deadline=None)
@given(st.permutations(list(range(8))))
def test_the_order_of_rows_changes_nothing(order: list[int]) -> None:
    rows = [probe(n, f"q{n % 3}", f"a{n % 2}", n % 4) for n in range(8)]
    one, other = build_table(rows), build_table([rows[place] for place in order])
    assert (one.values, one.sources) == (other.values, other.sources)
    assert np.array_equal(one.claim_value, other.claim_value)
