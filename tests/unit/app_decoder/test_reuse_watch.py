"""The production watch on a tiny model: what is drawn, what is caught, what stays switched off."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from app.db.rows import WatchedRow
from app.db.session import Database
from app.db.watch import Watch
from app.decoder import service as service_module
from app.decoder.drift import CAP
from app.decoder.load import load_decoder
from app.decoder.service import DecoderService
from app.decoder.types import DecodeRequest, GenerationParams, Passage, Prefilled
from app.decoder.watch import NO_LOT, ReuseWatch, Shares
from app.settings import Settings
from kvstore import reasons
from kvstore.full_check import Drift, check_steps
from kvstore.memory_index import MemoryIndex
from kvstore.ram_tier import RamTier
from kvstore.reuse import ReuseEngine
from kvstore.types import ChunkKV, EntryKey, ReuseOptions
from tests.support.calibrated import calibrate_for
from tests.unit.app_decoder.conftest import SECRET, DictRecords

pytestmark = pytest.mark.anyio

LIMIT = 0.1
NORMAL = Drift(0.02, 1.0, 8, 400.0)
POISONED = Drift(5.0, 0.1, 8, 400.0)
TARGET = 0.01  # this random model drifts by 0.001 at ratio 0.05, and by 0.17 on poisoned rows


@pytest.fixture
async def rows(tmp_path: Path) -> AsyncIterator[Watch]:
    database = await Database.open(f"sqlite+aiosqlite:///{tmp_path / 'watch.db'}")
    yield Watch(database)
    await database.close()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "AFTER_ANSWER_S", 0.0)


async def open_watch(rows: Watch, shares: Shares | None = None) -> ReuseWatch:
    watch = ReuseWatch(rows, "m", LIMIT, shares or Shares(), seed=1)
    await watch.start()
    return watch


async def test_coins_fall_as_often_as_stated_and_the_same_for_the_same_seed(rows: Watch) -> None:
    shares = Shares(watch=0.05, holdout=0.02)
    first, second = await open_watch(rows, shares), await open_watch(rows, shares)
    lots = [first.draw() for _ in range(20_000)]
    assert lots == [second.draw() for _ in range(20_000)]
    assert sum(lot.watched for lot in lots) == pytest.approx(1000, rel=0.15)
    assert sum(lot.arm == "off" for lot in lots) == pytest.approx(400, rel=0.25)
    assert sum(lot.arm == "on" for lot in lots) == pytest.approx(400, rel=0.25)
    assert not any(lot.watched and lot.arm == "off" for lot in lots)
    nobody = await open_watch(rows)
    assert {nobody.draw() for _ in range(100)} == {NO_LOT}


async def test_normal_drift_suspends_nothing(rows: Watch) -> None:
    watch = await open_watch(rows)
    for _ in range(50):
        await watch.note_drift(1, NORMAL, 80.0)
    assert (watch.suspended, watch.sentence()) == ((), None)
    assert watch.counts()["checked"] == 50


async def test_a_collection_is_suspended_and_stays_so_over_a_restart(rows: Watch) -> None:
    watch = await open_watch(rows)
    for _ in range(30):
        await watch.note_drift(1, NORMAL, 80.0)
        await watch.note_drift(2, NORMAL, 80.0)
    for _ in range(8):
        await watch.note_drift(2, POISONED, 80.0)
    assert (watch.refusal(2), watch.refusal(1)) == (reasons.DRIFT_OVER_LIMIT, None)
    again = await open_watch(rows)
    assert (again.refusal(2), again.refusal(1)) == (reasons.DRIFT_OVER_LIMIT, None)
    assert again.sentence() == watch.sentence()
    assert "the collection" in (watch.sentence() or "")
    for _ in range(8):  # its drift counts no more
        await again.note_drift(2, POISONED, 80.0)
    assert again.refusal(1) is None


async def test_a_second_collection_takes_the_model_along(rows: Watch) -> None:
    watch = await open_watch(rows)
    for collection_id in (1, 2):
        for _ in range(8):
            await watch.note_drift(collection_id, POISONED, 80.0)
    assert watch.refusal(3) == reasons.DRIFT_OVER_LIMIT
    assert "every collection" in (watch.sentence() or "")


async def test_drift_spread_over_many_collections_suspends_the_model(rows: Watch) -> None:
    watch = await open_watch(rows)
    for number in range(10):
        await watch.note_drift(number, POISONED, 80.0)
    assert [row.collection_id for row in watch.suspended] == [None]


async def test_a_reset_lifts_and_forgets(rows: Watch) -> None:
    watch = await open_watch(rows)
    for _ in range(7):
        await watch.note_drift(1, POISONED, 80.0)
    assert await watch.reset() == 1
    assert watch.refusal(1) is None
    for _ in range(3):
        await watch.note_drift(1, POISONED, 80.0)
    assert watch.refusal(1) is None
    assert (await open_watch(rows)).refusal(1) is None


async def test_a_restart_takes_up_the_evidence(rows: Watch) -> None:
    watch = await open_watch(rows)
    for _ in range(4):
        await watch.note_drift(1, POISONED, 80.0)
    again = await open_watch(rows)
    for _ in range(3):
        await again.note_drift(1, POISONED, 80.0)
    assert again.refusal(1) == reasons.DRIFT_OVER_LIMIT


class PoisonedTier:
    """A RAM tier that hands out other values than were put in, for what stands behind primers."""

    def __init__(self, inner: RamTier) -> None:
        self.inner = inner
        self.on = False

    def get(self, key: EntryKey) -> ChunkKV | None:
        found = self.inner.get(key)
        if found is None or not self.on or "," not in key.preceding:
            return found
        return replace(found, values=found.values.flip(2) * 8)

    def __getattr__(self, name: str) -> object:
        return getattr(self.inner, name)


@pytest.fixture
async def watched(
    settings: Settings, records: DictRecords, rows: Watch
) -> AsyncIterator[DecoderService]:
    """Every request is checked."""
    every = settings.model_copy(update={"watch_share": 1.0, "kv_ram_bytes": 10**8})
    await calibrate_for(every, records, SECRET, target=TARGET)
    service = await load_decoder(every, MemoryIndex(), records, SECRET, watch_rows=rows)
    service._store._ram = PoisonedTier(service._store._ram)  # type: ignore[assignment]
    yield service
    await service.close()


def passages_of(service: DecoderService) -> tuple[Passage, ...]:
    texts = ["The mill was built in 1742. " * 4, "A toll of two pfennigs. " * 5, "It fell in. " * 7]
    return tuple(
        Passage(n, service.encode_passage(f"Notes {n}", text)) for n, text in enumerate(texts)
    )


async def ask(
    service: DecoderService, number: int, reuse: ReuseOptions | None = None, collection: int = 1
) -> Prefilled:
    request = DecodeRequest(
        passages_of(service),
        f"Why {number}?",
        params=GenerationParams(6),
        reuse=reuse or ReuseOptions(),
        collection_id=collection,
    )
    first, *_ = [event async for event in service.answer(request)]
    assert isinstance(first, Prefilled)
    while service._checks:
        await next(iter(service._checks))
    return first


async def test_checks_are_kept_and_say_what_a_full_prefill_would_have_said(
    watched: DecoderService, rows: Watch
) -> None:
    await watched.precompute(passages_of(watched))
    for number in range(3):
        assert (await ask(watched, number)).report.reason == reasons.REUSE
    seen = await rows.summary(watched.identity)
    assert seen.checked == 3
    assert seen.kl_max is not None
    assert 0 < seen.kl_max < CAP * 2 * TARGET
    assert seen.full.p50_ms is not None
    assert seen.full.p50_ms > 0
    assert watched.chunk_reuse().allowed


async def test_what_reused_nothing_or_asked_for_something_is_not_checked(
    watched: DecoderService, rows: Watch
) -> None:
    await ask(watched, 0)  # nothing is stored yet
    await watched.precompute(passages_of(watched))
    for reuse in (ReuseOptions(mode="exact"), ReuseOptions(policy="none", ratio=0.0)):
        await ask(watched, 1, reuse)
    assert (await rows.summary(watched.identity)).checked == 0


async def test_a_poisoned_store_is_caught_and_stays_switched_off(
    watched: DecoderService, settings: Settings, records: DictRecords, rows: Watch
) -> None:
    await watched.precompute(passages_of(watched))
    for number in range(3):
        await ask(watched, number)
    tier = watched._store._ram
    assert isinstance(tier, PoisonedTier)
    tier.on = True
    caught = None
    for number in range(3, 40):
        report = (await ask(watched, number)).report
        if report.reason == reasons.DRIFT_OVER_LIMIT:
            caught = number - 3
            break
    assert caught is not None
    assert caught <= 10
    assert (report.tokens.reused, report.tokens.recomputed) == (0, 0)
    assert report.tokens.exact_prefix > 0
    assert report.mode == "auto"
    assert (await ask(watched, 50, collection=2)).report.reason == reasons.REUSE
    status = watched.chunk_reuse()
    assert not status.allowed
    assert status.reason.startswith("drift_over_limit: Answers drifted more than")
    again = await load_decoder(settings, MemoryIndex(), records, SECRET, watch_rows=rows)
    try:
        assert (await ask(again, 60)).report.reason == reasons.DRIFT_OVER_LIMIT
        stated = ReuseOptions(policy="none", ratio=0.0)
        assert (await ask(again, 61, stated)).report.reason == reasons.DRIFT_OVER_LIMIT
        assert again.watch is not None
        assert await again.watch.reset() >= 1
        assert again.chunk_reuse().allowed
    finally:
        await again.close()


async def test_a_bias_on_passages_is_no_drift(watched: DecoderService, rows: Watch) -> None:
    passages = [replace(passage, bias=-2.0) for passage in passages_of(watched)]
    segments = watched._segments(DecodeRequest(tuple(passages), "Why?"))
    engine = watched._engine
    assert isinstance(engine, ReuseEngine)
    capacity = sum(len(segment.token_ids) for segment in segments)
    exact = engine.prefill(segments, ReuseOptions(mode="off"), capacity=capacity).logits
    *_, drift = check_steps(engine.runner, segments, [], exact[None])
    assert drift is not None
    assert drift.kl < 1e-8
    plain = [replace(segment, bias=0.0) for segment in segments]
    *_, without = check_steps(engine.runner, plain, [], exact[None])
    assert without is not None
    assert without.kl > 100 * max(drift.kl, 1e-12)


async def test_the_holdout_runs_without_reuse_and_says_so(
    settings: Settings, records: DictRecords, rows: Watch
) -> None:
    half = settings.model_copy(update={"watch_share": 0.0, "holdout_share": 0.5})
    await calibrate_for(half, records, SECRET, target=TARGET)
    service = await load_decoder(half, MemoryIndex(), records, SECRET, watch_rows=rows)
    try:
        await service.precompute(passages_of(service))
        reports = [(await ask(service, number)).report for number in range(16)]
        off = [report for report in reports if report.reason == reasons.HOLDOUT]
        assert 2 <= len(off) <= 14
        assert all(report.tokens.fresh == report.tokens.prompt for report in off)
        assert {report.mode for report in reports} == {"auto"}
        seen = await rows.summary(service.identity)
        assert (seen.off.n, seen.on.n, seen.checked) == (len(off), 16 - len(off), 0)
    finally:
        await service.close()


async def test_checks_are_skipped_while_questions_wait(
    watched: DecoderService, rows: Watch
) -> None:
    await watched.precompute(passages_of(watched))
    watched._waiting = 1
    await ask(watched, 0)
    assert watched.watch is not None
    assert watched.watch.counts()["skipped"] == 1
    assert (await rows.summary(watched.identity)).checked == 0


async def test_a_check_that_breaks_is_logged_and_nothing_else(
    watched: DecoderService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await watched.precompute(passages_of(watched))

    def broken(*_: object) -> object:
        raise OSError("no space left")

    monkeypatch.setattr(service_module, "check_steps", broken)
    await ask(watched, 0)
    assert "could not be checked" in caplog.text


async def test_rows_hold_figures_only() -> None:
    assert not {"question", "answer", "text"} & set(WatchedRow.__dataclass_fields__)


def test_a_recorder_keeps_only_what_is_certain() -> None:
    from kvstore.full_check import MAX_TOKENS, AnswerRecorder

    recorder = AnswerRecorder(torch.zeros(5), lambda tokens: torch.zeros(len(tokens), 5))
    recorder.extend([1])
    recorder.extend([2, 3])  # guesses
    recorder.extend([4])
    assert recorder.tokens == [1]
    assert recorder.logits().shape == (2, 5)
    long = AnswerRecorder(torch.zeros(5), lambda tokens: torch.zeros(len(tokens), 5))
    for token in range(MAX_TOKENS + 9):
        long.extend([token])
    assert len(long.tokens) == MAX_TOKENS
