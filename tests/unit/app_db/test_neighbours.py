"""Primers of a chunk, as the read path and the write path find them."""

import pytest

pytestmark = pytest.mark.anyio


async def test_passages_and_uncached_chunks_name_the_same_primers(store) -> None:
    long = (await store.add("long", ["one", "two", "three", "four", "five"])).id
    short = (await store.add("short", ["six", "seven"])).id
    alone = (await store.add("alone", ["eight"])).id
    rows = await store.chunks.passages(range(1, 100))
    primers = {row.text: b" ".join(map(bytes, row.primers)).decode() for row in rows}
    assert primers == {
        "one": "two three four five",
        "two": "three four one five",
        "three": "one two four five",
        "four": "two three one five",
        "five": "three four one two",
        "six": "seven",
        "seven": "six",
        "eight": "",
    }
    assert [row.document_id for row in rows] == [long] * 5 + [short] * 2 + [alone]
