"""DecoderService.vote over a tiny model: several sources at once, each as if it were alone."""

import asyncio
from dataclasses import replace

import pytest

from app.decoder.load import load_decoder
from app.decoder.service import MAX_BRANCHES, DecoderService
from app.decoder.types import (
    DecodeRequest,
    Finished,
    GenerationParams,
    Passage,
    TokenText,
    Voted,
    VotePrefilled,
)
from app.errors import QuestionTooLong, ServerBusy
from app.settings import Settings
from kvstore import reasons
from kvstore.memory_index import MemoryIndex
from kvstore.types import ReuseOptions
from tests.unit.app_decoder.conftest import SECRET, DictRecords

pytestmark = pytest.mark.anyio

TEXTS = ("The mill was built in 1742. " * 4, "A toll of two pfennigs. " * 5, "It fell in. " * 7)


def requests_for(service: DecoderService, *max_tokens: int) -> list[DecodeRequest]:
    """One passage each, and an answer of its own length."""
    passages = [Passage(n, service.encode_passage(f"Notes {n}", t)) for n, t in enumerate(TEXTS)]
    pairs = zip(passages, max_tokens, strict=False)
    return [DecodeRequest((p,), "Why?", params=GenerationParams(count)) for p, count in pairs]


async def vote(
    service: DecoderService, requests: list[DecodeRequest]
) -> tuple[VotePrefilled, list[Voted]]:
    first, *votes = [event async for event in service.vote(requests)]
    assert isinstance(first, VotePrefilled)
    assert all(isinstance(event, Voted) for event in votes)
    return first, sorted((v for v in votes if isinstance(v, Voted)), key=lambda v: v.place)


async def alone(service: DecoderService, request: DecodeRequest) -> tuple[str, str, int]:
    """Text, reason and number of tokens of a plain answer, nothing reused."""
    events = [e async for e in service.answer(replace(request, reuse=ReuseOptions(mode="off")))]
    last = events[-1]
    assert isinstance(last, Finished)
    text = "".join(event.text for event in events if isinstance(event, TokenText))
    return text, last.reason, last.num_generated


async def test_each_vote_is_what_its_source_alone_would_answer(service: DecoderService) -> None:
    requests = requests_for(service, 12, 3, 20)
    requests[2] = replace(requests[2], params=GenerationParams(20, stop=("e", "x")))
    await service.precompute([passage for request in requests for passage in request.passages])
    first, votes = await vote(service, requests)
    assert [(v.text, v.reason, v.num_generated) for v in votes] == [
        await alone(service, request) for request in requests
    ]
    for request, report in zip(requests, first.reports, strict=True):
        assert report.tokens.exact_prefix > len(request.passages[0].token_ids)
        assert report.tokens.exact_prefix + report.tokens.fresh == report.tokens.prompt
    assert first.prefill_ms > 0
    assert first.full_prefill_ms_estimate > 0
    assert first.queue_ms >= 0


async def test_the_event_loop_goes_on_while_sources_are_asked(service: DecoderService) -> None:
    task = asyncio.create_task(vote(service, requests_for(service, 60, 60, 60)))
    turns = 0
    while not task.done():
        await asyncio.sleep(0.001)
        turns += 1
    await task
    assert turns > 10


async def test_closing_a_vote_stops_the_model(service: DecoderService) -> None:
    votes = service.vote(requests_for(service, 1500, 1500))
    assert isinstance(await anext(votes), VotePrefilled)
    await votes.aclose()
    async with asyncio.timeout(120):
        _, short = await vote(service, requests_for(service, 2))
    assert short[0].num_generated <= 2


async def test_a_vote_that_left_the_line_is_not_computed(service: DecoderService) -> None:
    first = service.vote(requests_for(service, 300))
    await anext(first)
    waiting = asyncio.create_task(vote(service, requests_for(service, 300)))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await first.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await vote(service, requests_for(service, 2))


async def test_bad_votes_are_refused(
    service: DecoderService, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = requests_for(service, 2)[0]
    for count in (0, MAX_BRANCHES + 1):
        with pytest.raises(ValueError, match=f"1 to {MAX_BRANCHES} branches"):
            await vote(service, [request] * count)
    with pytest.raises(QuestionTooLong):
        await vote(service, [request, replace(request, question="x" * 2048)])
    monkeypatch.setattr("app.decoder.service.MAX_WAITING", 0)
    with pytest.raises(ServerBusy):
        await vote(service, [request])


async def test_a_damaged_entry_is_computed_and_stored_anew(
    service: DecoderService, settings: Settings
) -> None:
    (request,) = requests_for(service, 4)[:1]
    await service.precompute(request.passages)
    for path in (settings.data_dir / "kv").glob("??/*.safetensors"):
        path.write_bytes(path.read_bytes()[:100])
    first, votes = await vote(service, [request])
    assert first.reports[0].segments[0].reason == reasons.CORRUPT
    assert (votes[0].text, votes[0].reason, votes[0].num_generated) == await alone(service, request)
    again, _ = await vote(service, [request])
    assert again.reports[0].segments[0].reason == reasons.EXACT_PREFIX


async def test_a_model_without_chunk_reuse_votes_too(
    settings: Settings, records: DictRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kvstore.families.KEY_SOURCES", {})
    service = await load_decoder(settings, MemoryIndex(), records, SECRET)
    try:
        requests = requests_for(service, 6, 3)
        first, votes = await vote(service, requests)
        assert [r.tokens.fresh for r in first.reports] == [r.tokens.prompt for r in first.reports]
        assert [(v.text, v.reason, v.num_generated) for v in votes] == [
            await alone(service, request) for request in requests
        ]
    finally:
        await service.close()


async def test_a_vote_counts_what_it_saved_as_one(service: DecoderService) -> None:
    requests = requests_for(service, 4, 4)
    await service.precompute([passage for request in requests for passage in request.passages])
    for mode, is_counted in (("off", False), ("auto", True)):
        before = service.store_stats().counters["saved_ms"]
        options = ReuseOptions(mode=mode)
        first, _ = await vote(service, [replace(each, reuse=options) for each in requests])
        saved = round(first.full_prefill_ms_estimate - first.prefill_ms) if is_counted else 0
        assert service.store_stats().counters["saved_ms"] - before == saved
