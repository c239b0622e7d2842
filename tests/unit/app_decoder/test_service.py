"""DecoderService over a tiny model: turns, limits, cancelling, storing, and damage in the store."""

import asyncio
from pathlib import Path

import pytest

from app.decoder import service as service_module
from app.decoder.load import load_decoder
from app.decoder.service import DecoderService
from app.decoder.types import (
    DecodeRequest,
    Finished,
    GenerationParams,
    Message,
    Passage,
    Prefilled,
    TokenText,
)
from app.errors import LineFull, QuestionTooLong, StorageFull
from app.settings import Settings
from kvstore import reasons
from kvstore.errors import InvalidReuse
from kvstore.memory_index import MemoryIndex
from kvstore.types import PrefillReport, ReuseOptions
from tests.unit.app_decoder.conftest import SECRET, DictRecords

pytestmark = pytest.mark.anyio

OFF, EXACT, AUTO = (ReuseOptions(mode=mode) for mode in ("off", "exact", "auto"))
ALL = ReuseOptions(policy="all", ratio=1.0)


def request_for(
    service: DecoderService,
    reuse: ReuseOptions = AUTO,
    *,
    max_tokens: int = 16,
    question: str = "Why?",
    history: tuple[Message, ...] = (),
) -> DecodeRequest:
    passages = tuple(chunks_of(service))
    return DecodeRequest(passages, question, history, GenerationParams(max_tokens), reuse)


def chunks_of(service: DecoderService) -> list[Passage]:
    texts = ["The mill was built in 1742. " * 4, "A toll of two pfennigs. " * 5, "It fell in. " * 7]
    return [Passage(n, service.encode_passage(f"Notes {n}", text)) for n, text in enumerate(texts)]


async def ask(service: DecoderService, request: DecodeRequest) -> tuple[str, PrefillReport, str]:
    """Text, report and the reason it ended."""
    first, *pieces, last = [event async for event in service.answer(request)]
    assert isinstance(first, Prefilled)
    assert isinstance(last, Finished)
    text = "".join(piece.text for piece in pieces if isinstance(piece, TokenText))
    return text, first.report, last.reason


async def test_an_answer_is_a_prefill_then_text_then_the_end(service: DecoderService) -> None:
    events = [event async for event in service.answer(request_for(service))]
    first, last = events[0], events[-1]
    assert isinstance(first, Prefilled)
    assert first.prefill_ms > 0
    assert first.full_prefill_ms_estimate > 0
    assert first.queue_ms >= 0
    assert isinstance(last, Finished)
    assert last.num_generated <= 16
    assert service.name == "tiny"
    assert service.dtype == "float32"
    assert service.context_len == 2048
    assert service.count("abc") == 3


async def test_stored_chunks_are_reused_and_everything_recomputed_is_exact(
    service: DecoderService,
) -> None:
    report = await service.precompute(chunks_of(service))
    assert (report.stored, report.left, report.reason) == (3, 0, None)
    again = await service.precompute(chunks_of(service))
    assert (again.stored, again.already) == (0, 3)
    exact = await ask(service, request_for(service, OFF))
    repaired = await ask(service, request_for(service, ALL))
    assert (repaired[0], repaired[2]) == (exact[0], exact[2])
    counts = repaired[1].tokens
    assert counts.recomputed == sum(len(chunk.token_ids) for chunk in chunks_of(service)[1:])
    assert (await ask(service, request_for(service)))[1].reason == reasons.REUSE


def damage(path: Path, kind: int) -> None:
    """Cut short, emptied, one byte changed, or overwritten: by turns."""
    data = bytearray(path.read_bytes())
    if kind == 0:
        data = data[: len(data) // 2]
    elif kind == 1:
        data = data[:0]
    elif kind == 2:
        data[-5] ^= 1
    else:
        data = bytearray(b"\x80\x04 no tensors here" * 50)
    path.write_bytes(data)


async def test_damaged_files_are_misses_and_never_an_answer(
    service: DecoderService, settings: Settings
) -> None:
    kv = settings.data_dir / "kv"
    await service.precompute(chunks_of(service))
    exact = await ask(service, request_for(service, OFF))
    paths = sorted(kv.glob("??/*.safetensors"))
    assert len(paths) == 3 + 2 * 3  # P and its primers, and both encodings of the chunks
    for number, path in enumerate(paths):
        damage(path, number % 4)
    text, report, end = await ask(service, request_for(service))
    assert (text, end) == (exact[0], exact[2])
    assert [s.action for s in report.segments] == ["computed"] * 5
    assert {s.reason for s in report.segments[:-1]} == {reasons.CORRUPT}
    assert service.store_stats().counters["corrupt"] >= 4
    set_aside = {path.name for path in (kv / "quarantine").iterdir()}
    assert set_aside
    assert set_aside <= {path.name for path in paths}


async def test_what_was_damaged_is_stored_anew_after_the_answer(
    service: DecoderService, settings: Settings
) -> None:
    await service.precompute(chunks_of(service))
    for path in (settings.data_dir / "kv").glob("??/*.safetensors"):
        damage(path, 0)
    await ask(service, request_for(service))
    exact = await ask(service, request_for(service, OFF))
    text, report, _ = await ask(service, request_for(service, ALL))
    assert text == exact[0]
    assert [s.action for s in report.segments] == ["exact", "exact", "reused", "reused", "computed"]


async def test_closing_the_answer_stops_the_model(service: DecoderService) -> None:
    answer = service.answer(request_for(service, max_tokens=1000))
    assert isinstance(await anext(answer), Prefilled)
    await answer.aclose()
    # The worker is free again: a short answer comes at once and not after a thousand tokens.
    async with asyncio.timeout(120):
        await ask(service, request_for(service, max_tokens=2))


async def test_a_question_that_left_the_line_is_not_computed(service: DecoderService) -> None:
    first = service.answer(request_for(service, max_tokens=300))
    await anext(first)
    waiting = asyncio.create_task(ask(service, request_for(service, max_tokens=300)))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await first.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await ask(service, request_for(service, max_tokens=2)))[1].tokens.prompt > 0


async def test_a_full_line_refuses(
    service: DecoderService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "MAX_WAITING", 1)
    first = service.answer(request_for(service))
    await anext(first)
    with pytest.raises(LineFull, match="1 questions are waiting"):
        service.check_room()
    with pytest.raises(LineFull, match="1 questions are waiting"):
        await anext(service.answer(request_for(service)))
    await first.aclose()
    await ask(service, request_for(service))


async def test_an_error_in_the_worker_reaches_the_reader(service: DecoderService) -> None:
    with pytest.raises(InvalidReuse, match="best"):
        await ask(service, request_for(service, ReuseOptions(policy="best")))
    await ask(service, request_for(service))


async def test_passages_that_do_not_fit_are_dropped_from_the_end(service: DecoderService) -> None:
    whole = request_for(service)
    assert service.trim_passages(whole) == whole
    room = service._room_for_passages(request_for(service, max_tokens=0))
    history = (Message("user", "x" * (room - 300)),)
    trimmed = service.trim_passages(request_for(service, max_tokens=50, history=history))
    assert 0 < len(trimmed.passages) < 3
    assert trimmed.passages == whole.passages[: len(trimmed.passages)]
    service.check_fits(trimmed)
    await ask(service, trimmed)


async def test_a_question_that_is_too_long_is_refused(service: DecoderService) -> None:
    request = request_for(service, question="x" * 2048)
    with pytest.raises(QuestionTooLong, match="tokens too long for the model's context of 2048"):
        service.check_fits(request)
    with pytest.raises(QuestionTooLong):
        await ask(service, request)


async def test_an_answer_may_fill_the_context_to_its_end(service: DecoderService) -> None:
    room = service._room_for_passages(request_for(service, max_tokens=0))
    used = sum(len(passage.token_ids) for passage in request_for(service).passages)
    request = request_for(service, max_tokens=room - used)
    assert service.trim_passages(request) == request
    await ask(service, request)


async def test_purged_chunks_are_gone_from_every_tier(
    service: DecoderService, settings: Settings
) -> None:
    chunks = chunks_of(service)
    await service.precompute(chunks)
    await ask(service, request_for(service))
    report = await service.purge([chunk.token_ids for chunk in chunks[:2]])
    assert report.entries == 4
    assert report.bytes > 0
    _, plan, _ = await ask(service, request_for(service))
    assert [s.reason for s in plan.segments[1:3]] == [reasons.NOT_STORED] * 2
    assert plan.segments[3].action == "reused"
    assert len(list((settings.data_dir / "kv").glob("??/*.safetensors"))) == 3 + 2


async def test_beyond_the_disk_budget_the_rest_is_left_and_answered_all_the_same(
    settings: Settings, records: DictRecords
) -> None:
    """P and primers take 3 entries of about 1.5 MB; then there is room for one chunk, not three."""
    small = settings.model_copy(update={"kv_disk_bytes": 900_000})
    service = await load_decoder(small, MemoryIndex(), records, SECRET)
    try:
        report = await service.precompute(chunks_of(service))
        assert report.reason == "disk_budget"
        assert report.left > 0
        assert report.stored + report.left == 3
        disk = service.store_stats().tiers[1]
        assert disk.bytes <= small.kv_disk_bytes
        exact = await ask(service, request_for(service, OFF))
        text, plan, _ = await ask(service, request_for(service, ALL))
        assert text == exact[0]
        assert plan.tokens.prompt == exact[1].tokens.prompt
        assert not list((small.data_dir / "kv").glob("??/*.tmp"))
    finally:
        await service.close()


async def test_passages_that_were_not_stored_are_told_after_the_answer(
    service: DecoderService,
) -> None:
    told: list[Passage] = []
    service.on_missed = told.extend
    await service.precompute(chunks_of(service)[:1])
    await ask(service, request_for(service, OFF))
    assert told == []
    assert service.is_idle
    await ask(service, request_for(service))
    assert told == chunks_of(service)[1:]
    await service.precompute(told, evict=True)
    told.clear()
    await ask(service, request_for(service))
    assert told == []


async def test_purging_the_tenant_leaves_only_what_every_prompt_begins_with(
    service: DecoderService,
) -> None:
    await service.precompute(chunks_of(service))
    before = service.store_stats().tiers[1]
    report = await service.purge_tenant()
    assert report.entries == before.entries
    assert report.bytes == before.bytes
    assert [tier.tier for tier in report.tiers] == ["ram", "disk"]
    after = service.store_stats().tiers[1]
    assert (after.entries, after.pinned) == (3, 3)
    text, plan, _ = await ask(service, request_for(service))
    assert [s.action for s in plan.segments[:2]] == ["exact", "computed"]
    assert (text, plan.tokens.reused) == ((await ask(service, request_for(service, OFF)))[0], 0)


async def test_what_breaks_after_an_answer_breaks_no_answer(
    service: DecoderService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise StorageFull("the database is full")

    monkeypatch.setattr(service._engine, "repair", refuse)
    assert (await ask(service, request_for(service)))[2] in {"stop", "length"}


async def test_prompts_computed_in_full_are_told_where_variants_are_wanted(
    settings: Settings, records: DictRecords
) -> None:
    wanting = settings.model_copy(update={"kv_variants": 3})
    service = await load_decoder(wanting, MemoryIndex(), records, SECRET)
    try:
        told: list[DecodeRequest] = []
        service.on_computed = told.append
        request = request_for(service, OFF)
        await ask(service, request)
        assert told == [request]
        assert await service.capture(request) == 2
    finally:
        await service.close()


async def test_what_reuse_saved_is_counted_a_request_at_a_time(service: DecoderService) -> None:
    """As the runs' overview counts it: nothing without reuse, and nothing twice."""
    await service.precompute(chunks_of(service))
    await ask(service, request_for(service, OFF))
    assert service.store_stats().counters["saved_ms"] == 0
    expected = 0
    for _ in range(2):
        first, *_ = [event async for event in service.answer(request_for(service))]
        assert isinstance(first, Prefilled)
        assert first.report.tokens.reused > 0
        expected += round(first.full_prefill_ms_estimate - first.prefill_ms)
    assert service.store_stats().counters["saved_ms"] == expected
