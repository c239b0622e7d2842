"""The write path step by step, and what each kind of failure leaves behind."""

import asyncio
from dataclasses import replace

import pytest

from app.errors import DocumentEmpty, DocumentTooLarge, StorageFull
from app.ingest.pipeline import clean_name
from app.ingest.types import IngestConfig
from retrieval.errors import EncryptedDocument
from retrieval.types import Chunk, Document
from tests.fakes.ingest_parts import split_lines

pytestmark = pytest.mark.anyio

FIVE = b"one\ntwo\n\nthree\nfour\nfive\n"


async def test_from_bytes_to_ready(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    assert (row.state, row.source, row.media_type) == ("received", "s", "text/plain")
    row = await kitchen.pipeline.process(row.id)
    assert row.state == "ready"
    assert (row.chunks, row.chunks_embedded, row.chunks_cached) == (5, 5, 5)
    assert row.tokens == sum(map(len, kitchen.decoder.stored))
    assert len(kitchen.indexes.ids(row.collection_id)) == 5
    assert kitchen.decoder.batches == [2, 2, 1]
    assert kitchen.embedder.texts[0] == "a.txt\none"
    hits = await kitchen.store.lexical.search("three", row.collection_id, 5)
    (passage,) = await kitchen.store.chunks.passages([chunk_id for chunk_id, _ in hits])
    _, text = await kitchen.store.documents.text(row.id)
    assert text[passage.start : passage.end] == passage.text == "three"
    assert await kitchen.pipeline.process(row.id) == row  # ready already: nothing to do


async def test_states_in_between(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    pipeline = kitchen.pipeline
    seen = []
    while row.state != "ready":
        row = await pipeline.advance(row.id)
        seen.append((row.state, row.chunks_embedded, row.chunks_cached))
    assert seen == [
        ("chunked", 0, 0),
        ("chunked", 2, 0),
        ("chunked", 4, 0),
        ("indexed", 5, 0),
        ("indexed", 5, 2),
        ("indexed", 5, 4),
        ("ready", 5, 5),
    ]


async def test_a_restart_after_any_batch_goes_on(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    while row.state != "ready":
        row = await kitchen.pipeline.advance(row.id)
    assert kitchen.decoder.batches == [2, 2, 1]
    assert len(kitchen.embedder.texts) == 5


async def test_what_is_not_taken_leaves_nothing(kitchen) -> None:
    for body, error in ((b"", DocumentEmpty), (b"x" * 1001, DocumentTooLarge)):
        with pytest.raises(error, match=r"a\.txt"):
            await kitchen.accept(body)
    assert await kitchen.store.sources.list() == []
    assert await kitchen.store.documents.pending() == []


async def test_the_same_bytes_again(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    await kitchen.pipeline.process(row.id)
    again, created = await kitchen.pipeline.accept(row.collection_id, "s", "b.txt", FIVE, None)
    assert (again.id, again.state, created) == (row.id, "ready", False)
    other, created = await kitchen.pipeline.accept(row.collection_id, "t", "b.txt", FIVE, None)
    assert created
    other = await kitchen.pipeline.process(other.id)
    assert other.chunks_cached == 5
    assert len(kitchen.decoder.stored) == 5  # one KV serves both


async def test_unreadable_bytes_fail_with_the_reason_and_can_be_tried_again(kitchen) -> None:
    row = await kitchen.accept(b"\x00\x01")
    row = await kitchen.pipeline.process(row.id)
    assert (row.state, row.error) == ("failed", "a.txt is a binary file; send text")
    assert (await kitchen.accept(b"\x00\x01")).state == "received"

    def refuse(data: bytes, name: str, media_type: str | None) -> Document:
        raise EncryptedDocument(f"{name} needs a password")

    row = await kitchen.changed(parse=refuse).pipeline.process(row.id)
    assert (row.state, row.error) == ("failed", "a.txt needs a password")


async def test_blank_text_fails(kitchen) -> None:
    row = await kitchen.pipeline.process((await kitchen.accept(b" \n \n")).id)
    assert (row.state, row.error) == ("failed", "there is no text in it")


async def test_what_breaks_elsewhere_is_not_the_documents_fault(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    kitchen.decoder.error = RuntimeError("token=hunter2")
    with pytest.raises(RuntimeError):
        await kitchen.pipeline.process(row.id)
    row = await kitchen.store.documents.get(row.id)
    assert (row.state, row.error) == ("indexed", None)
    kitchen.decoder.error = None
    assert (await kitchen.pipeline.process(row.id)).state == "ready"
    assert len(kitchen.embedder.texts) == 5  # not embedded again


async def test_beyond_the_budget_a_document_is_ready_all_the_same(kitchen) -> None:
    kitchen.decoder.budget = 3
    row = await kitchen.pipeline.process((await kitchen.accept(FIVE)).id)
    assert (row.state, row.chunks_cached) == ("ready", 3)
    other = await kitchen.pipeline.process((await kitchen.accept(b"six", "b.txt")).id)
    assert (other.state, other.chunks_cached) == ("ready", 0)


async def test_a_full_disk_is_not_the_documents_fault(kitchen) -> None:
    def full(data: bytes, name: str, media_type: str | None) -> Document:
        raise StorageFull("no space")

    row = await kitchen.accept(FIVE)
    stuck = kitchen.changed(parse=full).pipeline
    for _ in range(10):
        with pytest.raises(StorageFull):
            await stuck.process(row.id)
    assert (await kitchen.store.documents.get(row.id)).state == "received"
    assert (await kitchen.pipeline.process(row.id)).state == "ready"


async def test_bytes_that_end_the_process_are_given_up(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    for _ in range(kitchen.config.max_parse_attempts):
        await kitchen.store.documents.begin_parse(row.id)  # and then the process was gone
    row = await kitchen.pipeline.process(row.id)
    assert (row.state, row.error) == ("failed", "reading it stopped the server 5 times")
    row = await kitchen.accept(FIVE)
    assert (await kitchen.pipeline.process(row.id)).state == "ready"


async def test_a_document_deleted_meanwhile_is_left_alone(kitchen) -> None:
    assert await kitchen.pipeline.process(99) is None
    row = await kitchen.accept(FIVE)
    pipeline = kitchen.pipeline
    await pipeline.advance(row.id)
    await kitchen.deletions().delete(row.id)
    assert await pipeline.advance(row.id) is None


async def test_a_document_deleted_while_it_is_parsed(kitchen) -> None:
    row = await kitchen.accept(FIVE)
    loop = asyncio.get_running_loop()

    def split(document: Document) -> list[Chunk]:
        deleted = asyncio.run_coroutine_threadsafe(kitchen.deletions().delete(row.id), loop)
        assert deleted.result(10).chunks == 0
        return split_lines(document)

    assert await kitchen.changed(split=split).pipeline.process(row.id) is None
    assert await kitchen.store.chunks.count() == 0


def test_names() -> None:
    assert clean_name("C:\\Users\\me\\a.pdf") == "a.pdf"
    assert clean_name("../../etc/passwd") == "passwd"
    assert clean_name("a\x00\nb.txt") == "ab.txt"
    assert clean_name("  /") == "untitled"
    assert len(clean_name("x" * 999 + ".txt")) == 255


def test_a_config_makes_sense_or_is_refused() -> None:
    with pytest.raises(ValueError, match="embed_batch must be at least 1, not 0"):
        IngestConfig(1, embed_batch=0)


async def test_without_kv_documents_are_ready_once_they_can_be_found(kitchen) -> None:
    kitchen = replace(kitchen, config=IngestConfig(1000, embed_batch=8, stores_kv=False))
    rows = [await kitchen.accept(f"one {n}\ntwo {n}".encode(), f"{n}.txt") for n in range(3)]
    pipeline = kitchen.pipeline
    for row in rows:
        await pipeline.step(row.id)
    await pipeline.embed([row.id for row in rows])
    for row in rows:
        found = await kitchen.store.documents.get(row.id)
        assert (found.state, found.chunks_cached) == ("ready", 0)
    assert not await kitchen.store.documents.pending()
    assert sum(len(mine) for mine in kitchen.indexes.vectors.values()) == 6
