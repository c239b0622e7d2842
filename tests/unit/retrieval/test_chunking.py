"""Chunks: sizes, structure, labels, full cover, stability under edits."""

import random
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.chunking import chunk
from retrieval.config import ChunkLimits
from retrieval.parsing.registry import parse
from retrieval.types import Block, Chunk, Document
from tests.fakes.tokenizer import FakePassageTokenizer

TOKENIZER = FakePassageTokenizer()
SMALL = ChunkLimits(min_tokens=20, target_tokens=30, max_tokens=40)


def md(text: str) -> Document:
    return parse(text.encode(), "doc.md")


def sentences(count: int, seed: int = 0) -> str:
    """Sentences of 8 to 14 tokens, all different."""
    chosen = random.Random(seed)
    words = ["ship", "ice", "wall", "fort", "tax", "fish", "road", "winter", "king", "grain"]
    return " ".join(
        f"The {' '.join(chosen.choices(words, k=chosen.randint(6, 12)))}." for _ in range(count)
    )


def check_cover(document: Document, chunks: list[Chunk]) -> None:
    text = document.text
    assert [found.ordinal for found in chunks] == list(range(len(chunks)))
    assert all(found.text == text[found.start : found.end] for found in chunks)
    assert all(found.text == found.text.strip() and found.text for found in chunks)
    assert all(left.end <= right.start for left, right in pairwise(chunks))
    edges = [0, *(edge for found in chunks for edge in (found.start, found.end)), len(text)]
    gaps = [text[edges[i] : edges[i + 1]] for i in range(0, len(edges), 2)]
    assert not "".join(gaps).strip()


def test_short_document_is_one_chunk() -> None:
    document = md("# Head\n\nSome words.\n\n## Sub\n\nMore words.")
    chunks = chunk(document, TOKENIZER)
    assert [found.text for found in chunks] == [document.text]
    assert chunks[0].label == "Head"
    assert chunks[0].token_ids == TOKENIZER.encode_passage("Head", document.text)


def test_nothing_to_cut() -> None:
    assert chunk(Document("t", "", "text/plain", ()), TOKENIZER) == []


def test_long_text_is_packed_between_the_limits() -> None:
    document = md("\n\n".join(sentences(7, seed) for seed in range(60)))
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    sizes = [len(found.token_ids) for found in chunks]
    assert all(200 <= size <= 400 for size in sizes[:-1])
    assert 160 <= sizes[-1] <= 400
    # Every place to cut was a paragraph's end, and these are preferred.
    assert all(document.text[found.end :][:2] in {"\n\n", ""} for found in chunks)


def test_no_chunk_crosses_large_sections() -> None:
    document = md(
        f"# A\n\n{sentences(60)}\n\n# B\n\n{sentences(60, 1)}\n\n## C\n\n{sentences(40, 2)}"
    )
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    starts = [document.text.index(head) for head in ("# B", "## C")]
    assert {found.start for found in chunks} >= set(starts)
    assert [found.label for found in chunks if found.start in starts] == ["A > B", "A > B > C"]


def test_small_neighbours_are_merged_up_to_the_target() -> None:
    document = md("# Doc\n\n" + "\n\n".join(f"## S{i}\n\n{sentences(5, i)}" for i in range(20)))
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    assert all(found.text.startswith("## S") for found in chunks[1:])
    assert all(100 < len(found.token_ids) <= 320 for found in chunks)
    assert {found.label for found in chunks} == {"Doc"}


def test_heading_with_little_text_goes_with_the_section_below() -> None:
    document = md(f"# Doc\n\nIn short:\n\n## Long\n\n{sentences(60)}")
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    assert "## Long" in chunks[0].text
    assert len(chunks[0].token_ids) >= 200


def test_a_heading_is_never_the_end_of_a_chunk() -> None:
    text = "\n\n".join(f"### H{i}\n\n{sentences(3, i)}" for i in range(40))
    for found in chunk(md(f"# D\n\n{text}"), TOKENIZER, SMALL):
        assert not re.search(r"(^|\n)### H\d+$", found.text)


def test_table_and_code_stay_whole_where_they_fit() -> None:
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| r{i} | {i} |" for i in range(20))
    code = "```\n" + "\n".join(f"x{i} = {i}" for i in range(40)) + "\n```"
    document = md(
        f"{sentences(24)}\n\n{table}\n\n{sentences(24, 1)}\n\n{code}\n\n{sentences(24, 2)}"
    )
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    for whole in (table, code):
        assert sum(whole in found.text for found in chunks) == 1


def test_long_table_is_cut_between_rows() -> None:
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| row {i} | {i} |" for i in range(300))
    document = md(table)
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    assert len(chunks) > 3
    assert all(line.endswith("|") for found in chunks for line in found.text.split("\n"))


def test_rows_of_a_long_table_stand_under_its_columns() -> None:
    table = "| town | day |\n|---|---|\n" + "\n".join(f"| row {i} | {i} |" for i in range(300))
    document = md(f"# Ferries\n\n## Times\n\n{table}\n\n{sentences(40)}")
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    labels = [found.label for found in chunks if "| row" in found.text]
    assert len(labels) > 3
    assert "town" not in labels[0]  # it has the first row itself
    assert set(labels[1:-1]) == {"Ferries > Times > town, day"}
    assert chunks[-1].label == "Ferries > Times"
    assert all(len(found.token_ids) <= 400 for found in chunks)


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3_000,
        "x" * 20_000,
        "。" * 3_000,
        "这是一个句子。" * 500,
        "! " * 3_000,
        "a\n" * 3_000,
    ],
)
def test_over_long_runs_are_cut_somewhere(text: str) -> None:
    document = parse(text.encode(), "x.txt")
    chunks = chunk(document, TOKENIZER)
    check_cover(document, chunks)
    assert len(chunks) > 1
    assert max(len(found.token_ids) for found in chunks) <= 400


def test_sentences_end_where_they_should() -> None:
    text = "Dr. Smith met J. Doe e.g. at No. 5. Then he left! (Why?) Nobody knows... Well."
    document = Document("t", text, "text/plain", (Block("paragraph", 0, len(text)),))
    limits = ChunkLimits(min_tokens=1, target_tokens=1, max_tokens=20)
    texts = [found.text for found in chunk(document, TOKENIZER, limits)]
    assert " ".join(texts) == text
    assert all(re.search(r"[.!?)]$", part) for part in texts)
    assert not any(part.endswith(("Dr.", "J.", "e.g.", "No.")) for part in texts)


def test_pages_are_kept() -> None:
    text = f"{sentences(30)}\n\n{sentences(30, 1)}"
    middle = text.index("\n\n")
    blocks = (
        Block("paragraph", 0, middle, page=1),
        Block("paragraph", middle + 2, len(text), page=2),
    )
    chunks = chunk(Document("t", text, "application/pdf", blocks), TOKENIZER)
    assert [found.page for found in chunks] == sorted(found.page or 0 for found in chunks)
    assert {found.page for found in chunks} == {1, 2}


def test_editing_a_paragraph_changes_only_chunks_near_it() -> None:
    paragraphs = [sentences(4, seed) for seed in range(150)]
    before = {found.text for found in chunk(md("\n\n".join(paragraphs)), TOKENIZER)}
    assert len(before) > 15
    changed = []
    for at in range(0, 150, 10):
        edited = [*paragraphs[:at], "A new paragraph of few words.", *paragraphs[at:]]
        after = {found.text for found in chunk(md("\n\n".join(edited)), TOKENIZER)}
        changed.append(len(after - before))
    assert sum(changed) / len(changed) <= 3
    assert max(changed) <= 6


def test_same_text_same_chunks() -> None:
    document = md(f"# A\n\n{sentences(100)}")
    assert chunk(document, TOKENIZER) == chunk(document, TOKENIZER)


class GreedyTokenizer(FakePassageTokenizer):
    """Longer together than its parts: the whole must be checked, not the sum."""

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        ids = super().encode_passage(label, text)
        return ids + (0,) * (len(text) // 2)


def test_parts_that_do_not_add_up_are_halved() -> None:
    for text in (sentences(60), "word " * 3_000, "x" * 5_000):
        document = md(text)
        chunks = chunk(document, GreedyTokenizer())
        check_cover(document, chunks)
        assert max(len(found.token_ids) for found in chunks) <= 400


def test_label_that_costs_too_much_is_shortened() -> None:
    document = Document("ab " * 60, "word " * 10, "text/plain", (Block("paragraph", 0, 49),))
    (found,) = chunk(document, TOKENIZER, SMALL)
    assert len(found.label) <= 15
    assert len(found.token_ids) <= 40


@pytest.mark.parametrize("sizes", [(0, 1, 2), (3, 2, 9), (2, 3, 2), (300, 300, 400)])
def test_limits_are_checked(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match=r"chunk limits|two chunks"):
        ChunkLimits(*sizes)


LINES = st.lists(
    st.one_of(
        st.sampled_from(["# A", "## B", "### C", "", "", "- item one", "| a | b |", "|---|---|"]),
        st.sampled_from(["```", "    code", "One sentence. Two! Three?", "no end", "x" * 90]),
        st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=60),
        st.integers(1, 9).map(lambda count: sentences(count, count)),
    ),
    max_size=40,
).map("\n".join)


@settings(deadline=None, max_examples=150)
@given(text=LINES, ending=st.sampled_from(["md", "txt"]))
def test_every_visible_character_is_in_exactly_one_chunk(text: str, ending: str) -> None:
    document = parse(f"start\n\n{text}".encode(), f"x.{ending}")
    chunks = chunk(document, TOKENIZER, SMALL)
    check_cover(document, chunks)
    assert all(len(found.token_ids) <= 40 for found in chunks)
