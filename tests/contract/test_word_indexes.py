"""What both word indexes must do."""

import pytest

from app.db.lexical import lexical_search
from app.db.session import Database
from retrieval.types import Filter
from tests.fakes.store import Store

pytestmark = pytest.mark.anyio

# Text, and questions that find it: case, accents, scripts, digits and joined words fold the same.
TEXTS = {
    "The CAFÉ in Saint-Étienne opens": ["café", "CAFE", "cafe\u0301", "etienne", "saint étienne"],
    "Ångström und Größe, Übermut": ["angstrom", "ÅNGSTRÖM", "größe", "ubermut"],
    "Москва и Ёлка": ["МОСКВА", "ёлка"],
    "ΑΘΗΝΑ Ωμέγα": ["αθηνα", "ΩΜΈΓΑ"],
    "القاهرة عاصمة": ["القاهرة"],
    "tiếng Việt": ["tieng", "việt"],
    "version 3.14, item_7 and x2": ["3.14", "item 7", "x2"],
    "don't stop re-use": ["don't", "reuse re use"],
}


async def found(store: Store, question: str, limit: int = 10) -> set[str]:
    hits = await store.lexical.search(question, 1, limit)
    scores = [score for _, score in hits]
    assert scores == sorted(scores, reverse=True)
    return {row.text for row in await store.chunks.passages([chunk_id for chunk_id, _ in hits])}


async def test_words_are_folded_alike(store: Store) -> None:
    await store.add("t", list(TEXTS))
    for text, questions in TEXTS.items():
        for question in questions:
            assert text in await found(store, question), question
    assert await found(store, "nowhere") == set()


async def test_rare_words_and_repeated_ones_come_first(store: Store) -> None:
    texts = [f"river report {number} with filler words" for number in range(30)]
    await store.add("t", [*texts, "river bridge report", "bridge bridge bridge and nothing else"])
    hits = await store.lexical.search("bridge", 1, 5)
    assert (await store.chunks.get(hits[0][0])).text.startswith("bridge bridge")
    assert (await found(store, "bridge report", 2)) == {
        "river bridge report",
        "bridge bridge bridge and nothing else",
    }


async def test_better_matches_of_others_take_no_place(store: Store) -> None:
    """More and better ones in another collection than are looked at in the first place."""
    await store.add("mine", ["one cat among many words", "cat and dog in a long sentence"])
    await store.add("theirs", ["cat cat cat"] * 60, collection="other")
    for limit in (1, 2, 5):
        assert len(await store.lexical.search("cat", 1, limit)) == min(limit, 2)
    assert len(await store.lexical.search("cat", 2, 50)) == 50
    assert len(await store.lexical.search("cat", 2, 100)) == 60


async def test_deleted_filtered_and_opened_again(store: Store, database_url: str) -> None:
    first = await store.add("a", ["cat one"], source="x")
    await store.add("b", ["cat two"], source="y")
    await store.add("c", ["cat elsewhere"], collection="other", source="x")
    only_x = Filter(sources=frozenset({"x"}))
    assert len(await store.lexical.search("cat", 1, 10, only_x)) == 1
    again = await Database.open(database_url)
    assert len(await lexical_search(again).search("cat", 1, 10)) == 2
    await store.removal.delete(first.id)
    assert len(await lexical_search(again).search("cat", 1, 10)) == 1
    assert await lexical_search(again).search("cat", 1, 10, only_x) == []
    await again.close()
