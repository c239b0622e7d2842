"""Search by words with whatever people and programs type."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.db.lexical import match_expression
from app.db.lexical_postgres import MAX_WORDS
from retrieval.segmentation import folded, index_words, query_words

pytestmark = pytest.mark.anyio


async def found(store, question: str, collection_id: int = 1) -> list[str]:
    hits = await store.lexical.search(question, collection_id, 10)
    scores = [score for _, score in hits]
    assert scores == sorted(scores, reverse=True)
    return [row.text for row in await store.chunks.passages([chunk_id for chunk_id, _ in hits])]


async def test_the_best_match_comes_first(store) -> None:
    await store.add("a", ["the cat sat", "cat cat cat", "a dog"])
    assert await found(store, "CAT") == ["cat cat cat", "the cat sat"]
    assert await found(store, "which dog?") == ["a dog"]
    assert await found(store, "elephant") == []
    assert await store.lexical.search("cat", 1, 0) == []
    assert len(await store.lexical.search("cat", 1, 1)) == 1


async def test_labels_are_searched_and_accents_ignored(store) -> None:
    await store.add("Château", ["un café noir", "rien"])
    assert await found(store, "CAFE") == ["un café noir"]
    assert await found(store, "cafe\u0301") == ["un café noir"]
    assert set(await found(store, "chateau")) == {"un café noir", "rien"}


async def test_collections_do_not_see_each_other(store) -> None:
    await store.add("a", ["cat here"], collection="x")
    await store.add("b", ["cat there"], collection="y")
    assert await found(store, "cat", 1) == ["cat here"]
    assert await found(store, "cat", 2) == ["cat there"]
    assert await found(store, "cat", 3) == []


@pytest.mark.parametrize(
    "question",
    [
        'say "cat"',
        "cat AND NOT (dog OR",
        "cat*",
        "label:cat",
        "^cat",
        "NEAR(cat dog, 2)",
        "cat\x00dog",
        "cat\u200d🙂",
        "-cat",
        "cat; DROP TABLE chunks; --",
        "{text} : cat",
        "c'est cat",
        "\ud800 cat",
    ],
)
async def test_nothing_in_a_question_is_an_operator(store, question: str) -> None:
    await store.add("a", ["a cat", "nothing"])
    assert await found(store, question) == ["a cat"]


@pytest.mark.parametrize("question", ["", " ", "?!…", '"', '""', "\x00", "🙂", "***", "_", "()"])
async def test_no_word_no_hit(store, question: str) -> None:
    await store.add("a", ["a cat"])
    assert await found(store, question) == []


async def test_other_scripts(store) -> None:
    await store.add("a", ["東京 は 首都", "москва столица", "बिल्ली घर में", "القاهرة عاصمة"])
    assert await found(store, "東京") == ["東京 は 首都"]
    assert await found(store, "Москва?") == ["москва столица"]
    assert await found(store, "बिल्ली") == ["बिल्ली घर में"]
    assert await found(store, "القاهرة") == ["القاهرة عاصمة"]


async def test_words_go_with_their_document(store) -> None:
    document = await store.add("a", ["a cat"])
    await store.add("b", ["cat two"])
    await store.removal.delete(document.id)
    assert await found(store, "cat") == ["cat two"]


def test_long_questions_are_cut_and_repetitions_dropped() -> None:
    assert match_expression("a A a b") == '"a" OR "b"'
    assert match_expression(" ".join(f"w{n}" for n in range(500))).count("OR") == MAX_WORDS - 1


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_any_text_makes_a_valid_expression(question: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    match = match_expression(question)
    if match:
        connection.execute("SELECT * FROM t WHERE t MATCH ?", (match,)).fetchall()
    connection.close()


async def test_scripts_without_spaces_are_searched_by_parts(store) -> None:
    passages = ["東京都の人口は多い", "京都は古い都です", "대한민국의 수도", "กรุงเทพมหานคร"]
    await store.add("a", passages)
    assert (await found(store, "東京の人口"))[0] == passages[0]
    assert (await found(store, "京都"))[0] in passages[:2]
    assert set(await found(store, "都")) == set(passages[:2])
    assert await found(store, "수도는?") == [passages[2]]
    assert await found(store, "กรุงเทพ") == [passages[3]]


async def test_width_case_and_accents_are_folded_on_both_sides(store) -> None:
    await store.add("a", ["Ｌａｒｄｅｒ　２０２６", "STRASSE", "ÉCOLE", "ΣΊΣΥΦΟΣ"])
    assert await found(store, "larder") == ["Ｌａｒｄｅｒ　２０２６"]
    assert await found(store, "straße") == ["STRASSE"]
    assert await found(store, "ecole") == ["ÉCOLE"]
    assert await found(store, "σίσυφος") == ["ΣΊΣΥΦΟΣ"]


async def test_another_way_of_folding_makes_the_index_anew(store) -> None:
    await store.add("a", ["a cat"])
    assert not await store.stamps.use_words("1")
    assert not await store.stamps.use_words("1")
    assert await store.stamps.use_words("2")
    assert await found(store, "cat") == ["a cat"]


# Letters that SQLite's tokenizer knows; its list is older than Python's.
LETTERS = "aZ9éßÅñΣςжЯ東京都カナｶﾅひらがな한국어กขคงابت .,-_\u0301"


@given(st.text(LETTERS, max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_found_by_any_of_its_words(passage: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    connection.execute("INSERT INTO t VALUES (?)", (index_words(passage),))
    for word in query_words(passage):
        found = connection.execute("SELECT count(*) FROM t WHERE t MATCH ?", (f'"{word}"',))
        assert found.fetchone() == (1,)
    connection.close()


@given(st.text())
def test_any_unicode_is_folded(text: str) -> None:
    assert index_words(text).split() == index_words(folded(text)).split()
    assert query_words(text) == query_words(folded(text))


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\x00", "\U0010ffff"])
def test_odd_characters_are_no_error(text: str) -> None:
    index_words(text)
    query_words(text)
