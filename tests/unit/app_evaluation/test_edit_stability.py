"""The share of stored KV that an edit leaves, counted by hand."""

import pytest

from app.evaluation.edit_stability import _kept, kept_after_edits


def test_a_chunk_in_the_middle_costs_itself_and_those_it_primes() -> None:
    before = [(number,) * 10 for number in range(20)]
    kept = _kept(before, [*before[:10], (99,) * 10, *before[11:]])
    assert kept.head == pytest.approx(0.95)
    assert kept.primed == pytest.approx(0.75)  # two on either side are encoded behind it
    assert _kept(before, before).primed == 1


def test_edits_of_every_kind() -> None:
    text = "\n\n".join(f"Paragraph {n} tells of the house of number {n} there." for n in range(30))

    def cut(whole: str) -> list[tuple[int, ...]]:
        return [tuple(part.encode()) for part in whole.split("\n\n")]

    found = kept_after_edits(text, cut)
    assert len(found) == 6
    assert all(0.9 < kept.head <= 1 for kept in found)
    assert all(0.7 < kept.primed < kept.head for kept in found)
    assert kept_after_edits("short", cut) == []


def test_texts_without_empty_lines_have_a_paragraph_a_line_and_one_alone_is_left() -> None:
    lines = "\n".join(f"line {number} of a list that goes on for a while" for number in range(9))
    assert len(kept_after_edits(lines, lambda text: [tuple(text.encode())])) == 6
    assert kept_after_edits(lines.replace("\n", " "), lambda _: []) == []
