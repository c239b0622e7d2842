from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from app.answer.citations import cite, tokens
from app.db.rows import PassageRow

POOL = (
    "The swimming hall in Kiln Lane opens at 7:00 on weekdays. At weekends it opens at 9:30. "
    "A day ticket costs 4.80 euros, and children under six swim free."
)
LIBRARY = (
    "The library lends books for four weeks. A reminder costs 1.20 euros.\n"
    "Lost cards are replaced for 5 euros."
)
BUDGET = "The council approved 1,250,000 euros for the bridge. Work starts in March 2027."


def passage(number: int, text: str, start: int = 0, page: int | None = None) -> PassageRow:
    return PassageRow(
        chunk_id=number,
        document_id=number * 10,
        collection_id=1,
        source_id=1,
        source="town",
        reliability=0.5,
        title=f"Document {number}",
        label=f"Document {number}",
        text=text,
        start=start,
        end=start + len(text),
        page=page,
        token_ids=(1,),
    )


PASSAGES = [passage(1, POOL, start=100, page=2), passage(2, LIBRARY), passage(3, BUDGET)]


def test_a_sentence_is_cited_with_the_best_span_of_the_best_passage() -> None:
    answer = "The swimming hall opens at 7:00 on weekdays."
    (citation,) = cite(answer, PASSAGES)
    assert citation.number == 1
    assert (citation.chunk_id, citation.document_id, citation.page) == (1, 10, 2)
    assert answer[citation.answer_start : citation.answer_end] == answer
    assert citation.quote == "The swimming hall in Kiln Lane opens at 7:00 on weekdays."
    assert (citation.start, citation.end) == (100, 100 + len(citation.quote))


def test_a_quote_is_on_the_page_it_stands_on() -> None:
    turned = POOL.index("At weekends")
    paged = replace(passage(1, POOL, start=100, page=2), page_starts=((100 + turned, 3),))
    pages = [citation.page for citation in cite("It opens at 7:00. It opens at 9:30.", [paged])]
    assert pages == [2, 3]
    assert passage(2, LIBRARY).page_at(0) is None


def test_numbers_follow_first_use_and_are_shared() -> None:
    answer = (
        "A reminder from the library costs 1.20 euros. A day ticket for the hall costs 4.80 euros. "
        "The library lends books for four weeks."
    )
    citations = cite(answer, PASSAGES)
    assert [(item.number, item.chunk_id) for item in citations] == [(1, 2), (2, 1), (1, 2)]


def test_a_number_decides_between_similar_sentences() -> None:
    (citation,) = cite("It opens at 9:30.", PASSAGES)
    assert citation.quote == "At weekends it opens at 9:30."


def test_a_number_that_the_passage_does_not_have_is_not_cited() -> None:
    tower = passage(1, "The clock tower of Millbrook is 31 metres high and stands by the mill.")
    assert not cite("The clock tower of Millbrook is 12,910 feet high.", [tower])
    assert cite("The clock tower of Millbrook is 31 metres high.", [tower])


def test_thousands_separators_do_not_matter() -> None:
    (citation,) = cite("The bridge got 1250000 euros from the council.", PASSAGES)
    assert citation.chunk_id == 3


def test_what_no_passage_says_is_not_cited() -> None:
    assert cite("Elephants are the largest land animals of Africa.", PASSAGES) == []
    assert cite("The swimming hall opens at 6:15 in Gallow Street by bus 42.", PASSAGES) == []


def test_saying_that_nothing_is_said_is_not_cited() -> None:
    assert cite("The passages do not say when the swimming hall opens at weekdays.", PASSAGES) == []


def test_two_sentences_make_one_quote_where_the_answer_joins_them() -> None:
    answer = "The council approved 1,250,000 euros and work starts in March 2027."
    (citation,) = cite(answer, PASSAGES)
    assert citation.quote == BUDGET


def test_the_better_placed_passage_wins_a_tie() -> None:
    twins = [passage(7, POOL), passage(8, POOL)]
    (citation,) = cite("Children under six swim free.", twins)
    assert citation.chunk_id == 7


def test_fragments_are_not_cited_but_short_answers_are() -> None:
    assert len(cite("The swimming hall opens at 7:00 on weekdays.\n\nThe hall", PASSAGES)) == 1
    assert len(cite("Kiln Lane.", PASSAGES)) == 1


def test_empty_inputs() -> None:
    assert cite("", PASSAGES) == []
    assert cite("Anything at all.", []) == []
    assert cite("Anything at all.", [passage(1, "  \n")]) == []


def test_tokens_are_compared_without_case_and_plural() -> None:
    assert tokens("The Pools' rule’s 1,000 glasses class") == {
        "the",
        "pool",
        "rule",
        "1000",
        "glasse",
        "class",
    }


TEXT = st.lists(
    st.sampled_from(
        ["The", "pool", "opens", "at", "7:00", "ticket", "costs", "4.80", "é", "ß", ".", "\n", "-"]
    ),
    max_size=25,
).map(" ".join)


@given(TEXT, st.lists(TEXT, max_size=4), st.integers(0, 1000))
def test_spans_always_lie_inside_their_texts(answer: str, texts: list[str], start: int) -> None:
    passages = [passage(number, text, start) for number, text in enumerate(texts, start=1)]
    citations = cite(answer, passages)
    for citation in citations:
        row = passages[citation.chunk_id - 1]
        assert 0 <= citation.answer_start < citation.answer_end <= len(answer)
        assert row.start <= citation.start < citation.end <= row.end
        assert row.text[citation.start - start : citation.end - start] == citation.quote
    used = list(dict.fromkeys(item.chunk_id for item in citations))
    assert [used.index(item.chunk_id) + 1 for item in citations] == [
        item.number for item in citations
    ]
