"""Passages that say the same in other words, by accounts that came together."""

import asyncio
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from app.db.chunks import Chunks
from app.db.reliability_rows import NewProbe
from app.db.session import Database
from app.sources import meanings as module
from app.sources.meanings import Meanings
from app.sources.types import ProbePlan, SourceAnswer
from tests.unit.app_sources.conftest import DAY

pytestmark = pytest.mark.anyio


async def vectored(desk, name: str, vector: np.ndarray, born: float) -> int:
    """A source with one passage, first seen on that day; the chunk's id."""
    document = await desk.store.add(f"{name}.txt", [f"{name} says its own."], source=name)
    await desk.store.documents.mark_indexed([document.id])
    ((chunk, _),) = await desk.store.chunks.unembedded(document.id)
    await desk.store.chunks.save_embeddings([chunk], vector[None].astype(np.float32))
    async with desk.store.database.transaction() as session:
        await session.execute(
            text("UPDATE sources SET created_at = :at WHERE id = :id"),
            {"at": born * DAY, "id": document.source_id},
        )
    return chunk


async def test_the_limit_is_measured_between_sources_and_kept(desk) -> None:
    meanings, draw = Meanings(desk.store.chunks), np.random.default_rng(0)
    place = (await desk.store.collections.create("c")).id
    assert await meanings.limit(place) is None
    for n in range(22):
        await vectored(desk, f"s{n}", draw.normal(size=16), 100.0 * n)
    assert await meanings.limit(place) is None  # not measured again within the minute
    limit = await Meanings(desk.store.chunks).limit(place)
    assert limit is not None
    assert 0.3 < limit < 1.0


class SlowChunks(Chunks):
    """Measuring takes until `go` is set."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.go, self.num_samples = asyncio.Event(), 0

    async def sample(self, *asked: Any) -> list[tuple[int, np.ndarray]]:
        self.num_samples += 1
        await self.go.wait()
        return await super().sample(*asked)


async def test_an_answer_takes_what_is_known_and_waits_for_no_measurement(
    desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks, draw = SlowChunks(desk.store.database), np.random.default_rng(0)
    place = (await desk.store.collections.create("c")).id
    for n in range(22):
        await vectored(desk, f"s{n}", draw.normal(size=16), 100.0 * n)
    meanings = Meanings(chunks)
    meanings.start([place])
    assert meanings.last_limit(place) is None
    waiting = asyncio.create_task(meanings.limit(place))  # an estimate does wait
    await asyncio.sleep(0)
    chunks.go.set()
    first = await waiting
    assert first is not None
    assert meanings.last_limit(place) == first
    assert chunks.num_samples == 1  # for all three of them
    monkeypatch.setattr(module, "REMEASURE_S", 0.0)
    chunks.go.clear()
    assert meanings.last_limit(place) == first  # the old one, until the new one is there
    assert meanings.last_limit(place) == first
    await asyncio.sleep(0)
    assert chunks.num_samples == 2
    await meanings.stop()
    assert meanings.last_limit(place) == first
    await meanings.stop()


async def test_a_measurement_that_fails_leaves_what_was_known(
    desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    meanings = Meanings(desk.store.chunks)
    place = (await desk.store.collections.create("c")).id

    async def fail(*_: object) -> list[tuple[int, np.ndarray]]:
        raise RuntimeError("no database")

    monkeypatch.setattr(desk.store.chunks, "sample", fail)
    with pytest.raises(RuntimeError):
        await meanings.limit(place)
    assert meanings.last_limit(place) is None
    await asyncio.sleep(0.01)
    assert "stays as it was" in caplog.text


async def test_when_a_source_was_first_seen_is_told_where_it_tells_something(desk) -> None:
    flat = np.ones(4)
    chunks = [
        await vectored(desk, name, flat, born)
        for name, born in (("first", 1.0), ("with it", 3.5), ("later", 50.0), ("vouched", 50.5))
    ]
    vouched = (await desk.store.sources.find("vouched")).id
    await desk.curator.set_class(vouched, "curated", "mara")
    rows = await desk.store.chunks.passages(chunks)
    assert [row.first_day for row in rows] == [None, None, 50.0, None]
    assert [row.is_new for row in rows] == [True, True, True, False]
    found = await Meanings(desk.store.chunks).of([*chunks, 999])
    assert set(found) == set(chunks)
    assert found[chunks[0]] == pytest.approx(flat / 2)


async def test_accounts_made_together_that_restate_one_answer_are_one_family(desk) -> None:
    draw, lie = np.random.default_rng(0), np.ones(16)
    chunk_of: dict[int, int] = {}
    for n in range(22):
        chunk = await vectored(desk, f"s{n}", draw.normal(size=16), 100.0 * n)
        chunk_of[(await desk.store.chunks.get(chunk)).source_id] = chunk
    new = []
    for n in range(3):
        chunk = await vectored(desk, f"new {n}", lie + draw.normal(size=16) / 50, 5000.0 + n / 10)
        new.append((await desk.store.chunks.get(chunk)).source_id)
        chunk_of[new[-1]] = chunk

    class Reader:
        async def answer(self, question: str, source_id: int, collection_id: int) -> SourceAnswer:
            words = f"In the words of {source_id}, number {source_id * 7}, nothing more."
            chunk = await desk.store.chunks.get(chunk_of[source_id])
            return SourceAnswer("Otto Kurz", 1.0, chunk.chunk_id, chunk.document_id, words)

    estimation = desk.estimation(Reader())
    plan = ProbePlan("c", "questions", (NewProbe("Who?"),))
    assert await estimation.step(await estimation.start(plan))
    families = {row.source_id: row.family for row in await desk.store.observations.active()}
    assert len({families[source] for source in new}) == 1
    assert families[new[0]] is not None
    assert {families[source] for source in families if source not in new} == {None}
