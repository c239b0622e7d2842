"""Filters as SQL: the list of chunks and the search by words ask the same conditions."""

from datetime import date

import pytest

from app.db.facts import MAX_TAGS, make_facts
from app.db.rows import DocumentFacts
from app.db.selection import ChunkSelection
from app.errors import InvalidValue
from retrieval.types import NO_FILTER, Filter
from tests.fakes.store import parsed

pytestmark = pytest.mark.anyio

DOCUMENTS = {
    "old": ("archive", DocumentFacts(frozenset({"law", "tax"}), date(2001, 5, 1))),
    "new": ("press", DocumentFacts(frozenset({"law"}), date(2026, 5, 1))),
    "staff": ("press", DocumentFacts(acl_class="staff")),
    "plain": ("uploads", DocumentFacts()),
}


async def fill(store) -> dict[int, str]:
    """Two chunks a document, all with the same word; chunk id to document name."""
    collection = await store.collections.create("c")
    for name, (source, facts) in DOCUMENTS.items():
        source_id = (await store.sources.get_or_create(source)).id
        row, _ = await store.documents.add(collection.id, source_id, name, name.encode(), None)
        again, created = await store.documents.add(
            collection.id, source_id, name, name.encode(), None, facts=facts
        )
        assert (again.id, created) == (row.id, False)
        document, chunks = parsed(name, [f"cat {name}", f"cat again {name}"])
        await store.documents.save_parsed(row.id, document, chunks)
    press = await store.sources.find("press")
    await store.sources.set_reliability(press.id, 0.9)
    rows = await store.chunks.passages(range(1, 100))
    return {row.chunk_id: row.title.split()[0] for row in rows}


CASES = [
    (NO_FILTER, {"old", "new", "staff", "plain"}),
    (Filter(sources=frozenset({"press", "nobody"})), {"new", "staff"}),
    (Filter(tags=frozenset({"law"})), {"old", "new"}),
    (Filter(tags=frozenset({"law", "tax"})), {"old"}),
    (Filter(date_from=date(2001, 5, 1)), {"old", "new"}),
    (Filter(date_from=date(2001, 5, 2)), {"new"}),
    (Filter(date_to=date(2001, 5, 1)), {"old"}),
    (Filter(min_reliability=0.8), {"new", "staff"}),
    (Filter(acl_classes=frozenset({"public"})), {"old", "new", "plain"}),
    (Filter(acl_classes=frozenset({"public", "staff"})), {"old", "new", "staff", "plain"}),
    (Filter(acl_classes=frozenset()), set()),
    (Filter(sources=frozenset({"press"}), acl_classes=frozenset({"public"})), {"new"}),
    (Filter(tags=frozenset({"x' OR 1=1 --"})), set()),
]


async def test_every_part(store) -> None:
    by_chunk = await fill(store)
    selection = ChunkSelection(store.database)
    for wanted, names in CASES:
        selected = await selection.chunk_ids(1, wanted)
        assert {by_chunk[chunk_id] for chunk_id in selected.tolist()} == names, wanted
        assert len(selected) == 2 * len(names)
        hits = await store.lexical.search("cat", 1, 50, wanted)
        assert {chunk_id for chunk_id, _ in hits} == set(selected.tolist()), wanted
        assert (await selection.chunk_ids(2, wanted)).tolist() == []


async def test_facts_are_shown_and_replaced(store) -> None:
    await fill(store)
    rows, _ = await store.documents.list(1, 10)
    by_name = {row.name: row for row in rows}
    assert by_name["old"].tags == ("law", "tax")
    assert (by_name["old"].date, by_name["old"].acl_class) == (date(2001, 5, 1), "public")
    assert (by_name["plain"].tags, by_name["plain"].date) == ((), None)
    assert by_name["staff"].acl_class == "staff"
    old = by_name["old"]
    facts = make_facts(["press"])
    changed, _ = await store.documents.add(1, old.source_id, "old", b"old", None, facts=facts)
    assert (changed.tags, changed.date) == (("press",), date(2001, 5, 1))
    await store.removal.delete(old.id)
    assert (await ChunkSelection(store.database).chunk_ids(1, Filter(tags=facts.tags))).size == 0


async def test_facts_from_outside_are_checked() -> None:
    assert make_facts([" a ", "", "a"], " 2026-11-22 ") == DocumentFacts(
        frozenset({"a"}), date(2026, 11, 22)
    )
    for tags in (["a,b"], ["\n"], ["x" * 65], [f"t{n}" for n in range(MAX_TAGS + 1)]):
        if tags == ["\n"]:
            assert make_facts(tags).tags == frozenset()
            continue
        with pytest.raises(InvalidValue, match="tag"):
            make_facts(tags)
    with pytest.raises(InvalidValue, match="2026-11-22"):
        make_facts([], "yesterday")
