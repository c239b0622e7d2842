"""Rows as observations: merges, quarantine, caps and answer clusters."""

from dataclasses import replace

import pytest

from app.db.reliability_rows import ObservationRow
from app.sources.fold import (
    FEEDBACK_PER_SOURCE_AND_DAY,
    Circumstances,
    cap_feedback,
    fold,
    within_day_cap,
    words_of,
)

ROW = ObservationRow(
    1,
    "probe",
    7,
    "q",
    "t",
    "Anna Berg",
    None,
    1.0,
    None,
    "",
    "",
    3,
    None,
    None,
    None,
    86400.0,
    None,
)
NOTHING = Circumstances()


def rows(*changes: dict[str, object]) -> list[ObservationRow]:
    return [
        replace(ROW, **({"id": number} | change)) for number, change in enumerate(changes, start=1)
    ]


def thumb(author: str, question: str = "q", **more: object) -> dict[str, object]:
    return {"kind": "feedback", "author": author, "question": question, "verdict": 1.0} | more


def test_a_row_becomes_one_observation() -> None:
    (found,) = fold([ROW], NOTHING).rows
    assert (found.kind, found.source, found.answer, found.day) == ("probe", 7, "Anna Berg", 1.0)
    assert (found.topic, found.document, found.alignment) == ("t", 3, 1.0)
    (found,) = fold(rows({"kind": "crosscheck", "weight": 0.5}), NOTHING).rows
    assert (found.kind, found.alignment) == ("probe", 0.5)


def test_answers_that_mean_the_same_are_one_and_no_order_matters() -> None:
    given = rows({"answer": "Berg, Anna"}, {"answer": "ANNA BERG"}, {"answer": "Otto Kurz"})
    names = {row.answer for row in fold(given, NOTHING).rows}
    assert len(names) == 2
    again = fold(given[::-1], NOTHING)
    assert again.version() == fold(given, NOTHING).version()


@pytest.mark.parametrize("text", [None, "I don't know", "unknown.", ""])
def test_not_knowing_claims_nothing(text: str | None) -> None:
    (found,) = fold(rows({"answer": text}), NOTHING).rows
    assert found.answer is None


def test_a_word_about_an_answer_that_reads_like_none_is_kept() -> None:
    (found,) = fold(
        rows({"kind": "label", "answer": "unknown", "verdict": 1.0, "author": "mara"}), NOTHING
    ).rows
    assert found.answer == "unknown"


def test_many_and_long_answers_are_compared_by_their_words_only() -> None:
    long = "word " * 100
    given = rows(*({"answer": f"{long}{n // 2}{'.' * (n % 2)}"} for n in range(200)))
    assert len({row.answer for row in fold(given, NOTHING).rows}) == 100


def test_the_same_question_in_two_collections_is_two_questions() -> None:
    """In one the opening hour is the pool's, in the other the library's."""
    given = rows(
        {"collection_id": 1, "answer": "7:00"},
        {"collection_id": 2, "answer": "9:00"},
        {"collection_id": 2, "answer": "9:00", "kind": "label", "verdict": 1.0, "author": "m"},
    )
    pool, library, label = fold(given, NOTHING).rows
    assert pool.question != library.question == label.question
    assert {words_of(row.question) for row in (pool, library)} == {"q"}
    alone = fold(given[1:], NOTHING).rows
    assert {row.question for row in alone} == {"q"}


def test_merged_sources_speak_as_one_and_quarantined_ones_not_at_all() -> None:
    given = rows({"source_id": 7}, {"source_id": 8}, {"source_id": 9})
    merged = fold(given, Circumstances(owners={8: 7}))
    assert [row.source for row in merged.rows] == [7, 7, 9]
    left = fold(given, Circumstances(owners={8: 7}, quarantined=frozenset({7})))
    assert [row.source for row in left.rows] == [9]


def test_one_thumb_over_three_sources_is_one_word_and_three_claims() -> None:
    given = rows(*(thumb("u", source_id=source) for source in (7, 8, 9)))
    assert [row.kind for row in fold(given, NOTHING).rows] == ["feedback", "probe", "probe"]


def test_a_user_has_three_thumbs_a_day() -> None:
    given = rows(*(thumb("u", f"q{n}", source_id=n % 2, observed_at=n) for n in range(9)))
    assert len(cap_feedback(given, NOTHING)) == 3
    later = rows(*(thumb("u", f"q{n}", observed_at=86400.0 * n) for n in range(9)))
    assert len(cap_feedback(later, NOTHING)) == 9


def test_a_storm_of_new_users_is_capped_a_source() -> None:
    given = rows(*(thumb(f"u{n}", f"q{n}", observed_at=float(n)) for n in range(50)))
    assert len(cap_feedback(given, NOTHING)) == FEEDBACK_PER_SOURCE_AND_DAY
    mirrors = [replace(row, source_id=row.id) for row in given]
    owners = {row.id: 7 for row in given}
    assert len(cap_feedback(mirrors, Circumstances(owners))) == FEEDBACK_PER_SOURCE_AND_DAY


def test_a_storm_of_probes_is_cut_and_people_are_not() -> None:
    probes = [{"question": f"q{n}"} for n in range(50)]
    labels = [
        {"kind": "label", "verdict": 1.0, "author": "m", "question": f"l{n}"} for n in range(30)
    ]
    kept = within_day_cap(rows(*probes, *labels), NOTHING)
    assert sum(row.kind == "probe" for row in kept) == 20
    assert sum(row.kind == "label" for row in kept) == 30
