"""Searches look past sources in quarantine: what they have leaves room for the others."""

from dataclasses import dataclass

from app.sources.quarantine import ActiveSourcesOnly
from retrieval.types import Filter, Query, ScoredChunk
from tests.fakes.store import Store
from tests.unit.app_sources.conftest import Desk

QUESTION = "When does the pool open?"
LIMIT = 3


@dataclass
class Words:
    """The real search by words, as a retriever."""

    store: Store

    async def search(self, query: Query) -> list[ScoredChunk]:
        found = await self.store.lexical.search(
            query.text, query.collection_id, query.limit, query.filter
        )
        return [ScoredChunk(chunk_id, score) for chunk_id, score in found]


async def sources_found(desk: Desk, filter_: Filter) -> set[str]:
    retriever = ActiveSourcesOnly(Words(desk.store), desk.store.sources)
    collection = await desk.store.collections.find("c")
    found = await retriever.search(Query(QUESTION, collection.id, LIMIT, filter_))
    passages = await desk.store.chunks.passages([item.chunk_id for item in found])
    return {passage.source for passage in passages}


async def test_a_source_in_quarantine_leaves_room_for_the_others(desk: Desk) -> None:
    await desk.document("paper", *(f"Bread cost {n} pence." for n in range(60)))
    flood = await desk.document("flood", *(f"The pool: open the pool at {n}." for n in range(30)))
    letter = "the pool, wrote somebody to somebody else in a long and dull letter about Mondays"
    await desk.document("council", f"As for {letter} and other days, {letter}.")
    assert await sources_found(desk, Filter()) == {"flood"}
    await desk.curator.set_state(flood, "quarantined", "mara")
    assert await sources_found(desk, Filter()) == {"council"}
    assert await sources_found(desk, Filter(sources=frozenset({"flood"}))) == set()


async def test_what_was_merged_into_it_is_left_out_too(desk: Desk) -> None:
    flood = await desk.document("flood", "The pool opens at 9.")
    mirror = await desk.document("mirror", "The pool opens at 9 sharp.")
    await desk.document("council", "The pool may open on Mondays.")
    await desk.curator.merge(mirror, flood, "mara")
    await desk.curator.set_state(flood, "quarantined", "mara")
    assert await sources_found(desk, Filter()) == {"council"}
