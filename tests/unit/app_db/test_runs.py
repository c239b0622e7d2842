"""Runs: stored, found, summed up, and emptied of documents that were deleted."""

import pytest
from sqlalchemy import update

from app.db.models import Run
from app.db.overview import Measured, summarise
from app.db.rows import NewRun, RunResult, RunTokens
from app.errors import InvalidValue, RunNotFound

pytestmark = pytest.mark.anyio

NEW = NewRun("why?", 1, "papers", "model", "auto", policy=None, ratio=None)


def result(document_id: int, answer: str = "because") -> RunResult:
    return RunResult(
        answer=answer,
        finish_reason="stop",
        tokens=RunTokens(100, 10, 60, 20, 10, 7),
        timings_ms={"ttft": 50.0, "total": 80.0},
        prefill_ms=30.0,
        full_prefill_ms_estimate=200.0,
        policy="question",
        ratio=0.05,
        plan={"segments": [{"title": "secret title"}]},
        passages=({"document_id": document_id, "text": "secret text"},),
        citations=({"document_id": document_id, "quote": "secret"},),
    )


async def test_a_run_comes_back_as_it_was_stored(store) -> None:
    document = await store.add("a", ["secret text"])
    run_id = await store.runs.start(NEW)
    row = await store.runs.get(run_id)
    assert (row.question, row.finish_reason, row.answer, row.plan) == ("why?", None, "", None)
    await store.runs.finish(run_id, result(document.id))
    row = await store.runs.get(run_id)
    assert (row.answer, row.finish_reason, row.mode) == ("because", "stop", "auto")
    assert (row.policy, row.ratio, row.ttft_ms) == ("question", 0.05, 50.0)
    assert row.tokens == RunTokens(100, 10, 60, 20, 10, 7)
    assert row.timings_ms == {"ttft": 50.0, "total": 80.0}
    assert row.plan == {"segments": [{"title": "secret title"}]}
    assert row.passages == ({"document_id": document.id, "text": "secret text"},)
    assert row.citations == ({"document_id": document.id, "quote": "secret"},)
    assert not row.is_redacted
    for call in (store.runs.get("run_x"), store.runs.finish("run_x", result(document.id))):
        with pytest.raises(RunNotFound):
            await call


async def test_newest_first(store) -> None:
    ids = [await store.runs.start(NEW) for _ in range(3)]
    assert [row.id for row in await store.runs.recent(2)] == [ids[2], ids[1]]


async def test_deleting_a_document_empties_the_runs_that_saw_it(store) -> None:
    document = await store.add("a", ["secret text"])
    kept = await store.add("b", ["other"])
    saw, late, other = [await store.runs.start(NEW) for _ in range(3)]
    await store.runs.finish(saw, result(document.id, "secret answer"))
    await store.runs.finish(other, result(kept.id))
    await store.removal.delete(document.id)
    await store.runs.finish(late, result(document.id, "secret answer"))  # was running meanwhile
    for run_id in (saw, late):
        row = await store.runs.get(run_id)
        assert row.is_redacted
        assert (row.answer, row.plan, row.passages, row.citations) == ("", None, (), ())
        assert (row.question, row.tokens.reused) == ("why?", 60)
    assert not (await store.runs.get(other)).is_redacted


async def test_overview_of_a_window(store) -> None:
    document = await store.add("a", ["one", "two"])
    now = 1_000_000.0
    spec = [(now - 10, "auto"), (now - 3600 * 23.9, "off"), (now - 3600 * 25, "auto")]
    for created_at, mode in spec:
        run_id = await store.runs.start(NewRun("q", 1, "c", "m", mode))
        await store.runs.finish(run_id, result(document.id))
        async with store.database.transaction() as session:
            await session.execute(update(Run).where(Run.id == run_id).values(created_at=created_at))
    await store.runs.start(NEW)  # not finished: not counted
    row = await store.runs.overview(24, now=now)
    assert (row.runs, row.documents, row.chunks) == (2, 1, 2)
    assert row.tokens == RunTokens(200, 20, 120, 40, 20, 14)
    assert row.saved_ms_estimate == pytest.approx(170.0)
    assert len(row.series) == 48
    assert row.series[0].runs == row.series[-1].runs == 1
    assert sum(bucket.reused for bucket in row.series) == 120
    assert row.series[1].start - row.series[0].start == pytest.approx(1800)
    assert (row.reuse.n, row.reuse.p50_ms, row.off.n) == (1, 50.0, 1)
    for hours in (0, 24 * 91):
        with pytest.raises(InvalidValue):
            await store.runs.overview(hours)


def measured(mode: str, ttft: float | None, exact: int = 0, prefill: float | None = 1) -> Measured:
    return Measured(5.0, mode, 10, exact, 0, 0, 10 - exact, 1, ttft, prefill, 3.0)


def test_samples_and_savings() -> None:
    runs = [
        measured("auto", 10.0, exact=5),
        measured("auto", 20.0, exact=5),
        measured("auto", 99.0),  # nothing came from the store: in neither sample
        measured("off", None),
        measured("auto", None, exact=5, prefill=None),
        measured("exact", 30.0, exact=5, prefill=7.0),  # slower than the estimate counts against
    ]
    row = summarise(runs, 1, 10.0, documents=0, chunks=0)
    assert row.reuse.values_ms == (10.0, 20.0, 30.0)
    assert (row.reuse.p50_ms, row.reuse.p95_ms) == (20.0, pytest.approx(29.0))
    assert (row.off.n, row.off.p50_ms, row.off.values_ms) == (0, None, ())
    assert row.saved_ms_estimate == 2.0 + 2.0 - 4.0
