"""The search by words from memory: hit for hit and bit for bit what the full-text index says."""

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from app.db import lexical_memory
from app.db.lexical import LexicalSearch, lexical_search
from app.db.lexical_memory import LexicalMemory, open_words
from app.db.models import Document
from app.db.passage_state import varints
from app.db.selection import ChunkSelection
from app.db.session import Database
from app.db.sqlite_tokens import TOKENIZER, SqliteTokens
from retrieval.protocols import Ids, LexicalIndex
from retrieval.segmentation import index_words
from retrieval.types import Filter
from tests.fakes.store import Store, make_store

pytestmark = pytest.mark.anyio

WORDS = ["cat", "dog", "the", "Café", "東京", "x2", "ß", "बिल्ली", "naïve", "🙂", "a_b", "ﬁn"]
PASSAGES = st.lists(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), max_size=8)
ONLY_X = Filter(sources=frozenset({"x"}))


class NoDatabase(LexicalSearch):
    """Fails where memory should have answered."""

    async def search_in(self, *_: object) -> list[tuple[int, float]]:
        raise AssertionError("the database was asked")


async def filled(store: Store, *, alone: bool = True) -> LexicalMemory:
    memory = LexicalMemory(store.database)
    await memory.fill()
    if alone:
        memory._plain = NoDatabase(store.database)
    return memory


async def assert_same(store: Store, memory: LexicalMemory, questions: list[str]) -> None:
    plain = LexicalSearch(store.database)
    for question in questions:
        for collection_id in (1, 2):
            for filter_ in (Filter(), ONLY_X):
                passing = await assert_selected(store, memory, collection_id, filter_)
                for limit in (1, 3, 100):
                    asked = (question, collection_id, limit, filter_)
                    hits = await plain.search(*asked)
                    assert await memory.search(*asked) == hits, asked
                    assert await memory.search(*asked, passing) == hits, asked


async def assert_selected(
    store: Store, memory: LexicalMemory, collection_id: int, filter_: Filter
) -> Ids:
    """The ids that pass, which are the same from the database and from memory."""
    passing = await ChunkSelection(store.database).chunk_ids(collection_id, filter_)
    known = await ChunkSelection(store.database, memory).chunk_ids(collection_id, filter_)
    assert sorted(passing.tolist()) == known.tolist()
    return known


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(PASSAGES, st.sampled_from("cd"), st.sampled_from("xy")), max_size=8),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join),
    st.sets(st.integers(0, 7), max_size=3),
)
def test_ranks_and_scores_are_those_of_the_database(
    tmp_path_factory: pytest.TempPathFactory,
    documents: list[tuple[list[str], str, str]],
    question: str,
    deleted: set[int],
) -> None:
    async def check() -> None:
        path = tmp_path_factory.mktemp("db") / "larder.db"
        database = await Database.open(f"sqlite+aiosqlite:///{path}")
        store = make_store(database, path)
        memory = await filled(store, alone=False)
        rows = [
            await store.add(f"n{number}", [f"x{number}", *passages], *places)
            for number, (passages, *places) in enumerate(documents)
        ]
        await assert_same(store, memory, [question])
        for number in deleted & set(range(len(rows))):
            await store.removal.delete(rows[number].id)
        await assert_same(store, memory, [question, " ".join(WORDS)])
        await memory.stop()
        await database.close()

    asyncio.run(check())


async def test_memory_answers_by_itself_and_follows(store: Store) -> None:
    await store.add("a", ["cat one", "dog"], source="x")
    memory = await filled(store)
    assert [hit[0] for hit in await memory.search("cat", 1, 5)] == [1]
    second = await store.add("b", ["cat cat two"])
    assert [hit[0] for hit in await memory.search("cat", 1, 5)] == [3, 1]
    assert [hit[0] for hit in await memory.search("cat", 1, 5, ONLY_X)] == [1]
    await store.removal.delete(second.id)
    assert [hit[0] for hit in await memory.search("cat", 1, 5)] == [1]
    assert await memory.search("", 1, 5) == []
    assert await memory.search("elephant", 1, 5) == []
    await memory.stop()


async def test_documents_that_wait_for_their_deletion_are_not_found(store: Store) -> None:
    row = await store.add("a", ["cat one"])
    await store.add("b", ["cat two"])
    memory = await filled(store)
    await store.removal.request([row.id], "asked")
    assert [hit[0] for hit in await memory.search("cat", 1, 5)] == [2]
    await memory.stop()


async def test_phrases_of_the_index_are_left_to_it(sqlite_store: Store) -> None:
    """A word for us that is two for the tokenizer."""
    await sqlite_store.add("a", ["बिल्ली घर", "घर"])
    memory = await filled(sqlite_store, alone=False)
    await assert_same(sqlite_store, memory, ["बिल्ली", "घर में"])
    await memory.stop()


async def test_not_filled_or_far_behind_the_database_answers(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lexical_memory, "FOLLOWED", 2)
    await store.add("a", ["cat one"])
    memory = LexicalMemory(store.database)
    assert len(await memory.search("cat", 1, 5)) == 1
    await memory.fill()
    await store.add("b", ["cat two", "cat three", "cat four"])
    assert len(await memory.search("cat", 1, 5)) == 4
    await memory.fill()  # the search has asked for it
    memory._plain = NoDatabase(store.database)
    assert len(await memory.search("cat", 1, 5)) == 4
    await memory.stop()


async def test_many_others_in_front_are_looked_past_or_left_to_the_database(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.add("a", ["cat"] * 40, source="y")
    await store.add("b", ["cat and more words than in the others"], source="x")
    memory = await filled(store)
    assert [hit[0] for hit in await memory.search("cat", 1, 1, ONLY_X)] == [41]
    monkeypatch.setattr(lexical_memory, "MAX_LOOKED_UP", 8)
    with pytest.raises(AssertionError, match="the database was asked"):
        await memory.search("cat", 1, 1, ONLY_X)
    await memory.stop()


async def test_an_index_that_lost_rows_is_not_followed(
    sqlite_store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows behind the index's back: what memory would say is not what the database says."""
    await sqlite_store.add("a", ["cat one", "cat two"])
    connection = sqlite3.connect(sqlite_store.path)
    connection.create_function("larder_words", 1, index_words)
    connection.execute(
        "INSERT INTO chunks_fts(chunks_fts, rowid, label, text) "
        "SELECT 'delete', id, larder_words(label), larder_words(text) FROM chunks WHERE id = 1"
    )
    connection.commit()
    connection.close()
    memory = await filled(sqlite_store, alone=False)
    assert "could not be filled" in caplog.text
    assert [hit[0] for hit in await memory.search("cat", 1, 5)] == [2]
    await memory.stop()


async def test_searches_beside_writing_are_never_wrong(sqlite_store: Store) -> None:
    plain = LexicalSearch(sqlite_store.database)
    async with open_words(sqlite_store.database, in_memory=True) as memory:

        async def write() -> None:
            for number in range(12):
                row = await sqlite_store.add(
                    f"d{number}", [f"cat number {number}"] * (1 + number % 4)
                )
                if number % 3 == 0:
                    await sqlite_store.removal.delete(row.id)

        async def ask() -> None:
            for _ in range(30):
                hits = await memory.search("cat number", 1, 100)
                assert [score for _, score in hits] == sorted((s for _, s in hits), reverse=True)

        await asyncio.gather(write(), ask(), ask())
        assert await memory.search("cat", 1, 100) == await plain.search("cat", 1, 100)


async def test_postgresql_ranks_as_sqlite_does(
    sqlite_store: Store, postgres_url: str, tmp_path: Path
) -> None:
    """The same hits in the same order with the same scores, while documents come and go."""
    other = make_store(await Database.open(postgres_url), tmp_path)
    memory, draw = await filled(other), random.Random(5)
    plain = LexicalSearch(sqlite_store.database)

    async def found(store: Store, search: LexicalIndex, *asked: Any) -> list[tuple[str, float]]:
        hits = await search.search(*asked)
        text_of = {
            row.chunk_id: f"{row.label} {row.text}"
            for row in await store.chunks.passages([chunk_id for chunk_id, _ in hits])
        }
        return [(text_of[chunk_id], score) for chunk_id, score in hits]

    for number in range(24):
        passages = [
            f"{number}.{at} " + " ".join(draw.choices(WORDS, k=draw.randrange(12)))
            for at in range(draw.randrange(6))
        ]
        place = (draw.choice("cd"), draw.choice("xy"))
        rows = [await store.add(f"n{number}", passages, *place) for store in (sqlite_store, other)]
        if number % 4 == 0:
            for store, row in zip((sqlite_store, other), rows, strict=True):
                await store.removal.delete(row.id)
        for filter_ in (Filter(), ONLY_X):
            asked = (" ".join(draw.choices(WORDS, k=3)), 1, 50, filter_)
            wanted = await found(sqlite_store, plain, *asked)
            passing = await assert_selected(other, memory, 1, filter_)
            assert await found(other, memory, *asked) == wanted
            assert await found(other, memory, *asked, passing) == wanted
    await memory.stop()
    await other.database.close()


async def test_writers_of_several_processes_leave_no_gap(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Numbers are given before a commit: the one that commits last may have the lower ones."""
    databases = [await Database.open(postgres_url) for _ in range(3)]
    stores = [make_store(database, tmp_path) for database in databases]
    await stores[0].add("first", ["cat"])
    memory = await filled(stores[0])

    async def write(store: Store, name: str) -> None:
        for number in range(8):
            row = await store.add(f"{name} {number}", [f"cat {name} {number}"] * (1 + number % 3))
            if number % 3 == 0:
                await store.removal.delete(row.id)

    async def ask() -> None:
        for _ in range(40):
            await memory.search("cat", 1, 500)
            await asyncio.sleep(0.005)

    memory._plain = lexical_search(databases[0])  # memory may be behind while they write
    await asyncio.gather(
        *(write(store, name) for store, name in zip(stores, "abc", strict=True)), ask()
    )
    memory._plain = NoDatabase(databases[0])
    hits = await memory.search("cat", 1, 500)
    assert len(hits) == await stores[0].chunks.count() == 1 + 3 * (2 + 3 + 2 + 3 + 2)
    assert "could not be filled" not in caplog.text
    await memory.stop()
    for database in databases:
        await database.close()


async def test_a_change_that_was_not_committed_is_none(postgres_url: str, tmp_path: Path) -> None:
    store = make_store(await Database.open(postgres_url), tmp_path)
    row = await store.add("a", ["cat one"])
    memory = await filled(store)

    async def fail() -> None:
        async with store.database.transaction() as session:
            await session.execute(delete(Document).where(Document.id == row.id))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert len(await memory.search("cat", 1, 5)) == 1
    async with store.database.session() as old:
        await old.execute(select(Document.id))  # from here on it sees what is there now
        await store.removal.delete(row.id)
        assert await memory.search("cat", 1, 5) == []
        assert await memory.current(old) is None
    await memory.stop()
    await store.database.close()


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_cut_as_the_database_cuts_it(text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    connection = sqlite3.connect(":memory:")
    connection.execute(f"CREATE VIRTUAL TABLE t USING fts5(x, tokenize='{TOKENIZER}')")
    connection.execute("CREATE VIRTUAL TABLE v USING fts5vocab(t, instance)")
    connection.execute("INSERT INTO t VALUES (?)", (index_words(text),))
    words = connection.execute("SELECT term FROM v ORDER BY offset").fetchall()
    connection.close()
    tokens = SqliteTokens()
    assert tokens.of_passage(text) == [word for (word,) in words]
    tokens.close()


def test_numbers_as_sqlite_writes_them() -> None:
    assert varints(b"\x05\x81\x00\xff" + b"\xff" * 7 + b"\x01") == [5, 128, (1 << 64) - 255]
    assert varints(b"") == []


async def test_a_memory_that_is_stopped_early(tmp_path: Path) -> None:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'larder.db'}")
    async with open_words(database, in_memory=True) as memory:
        assert await memory.search("cat", 1, 5) == []
    await database.close()
