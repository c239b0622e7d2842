"""A thumb about an answer: small weight, capped, about the sources it rests on."""

import pytest

from app.db.rows import NewRun, RunResult
from app.errors import InvalidValue, RunNotFound, ServerBusy
from app.sources import feedback as module
from app.sources.types import Undo

pytestmark = pytest.mark.anyio


async def run_over(
    desk, *sources: str, cited: int | None = None, **result
) -> tuple[str, list[int]]:
    """A finished run that was shown a passage of each source; its id, and the chunks."""
    parts = []
    for name in sources:
        document = await desk.store.add(f"{name}.txt", [f"{name} says 7:00"], source=name)
        ((chunk_id, _),) = await desk.store.chunks.unembedded(document.id)
        parts.append({"chunk_id": chunk_id, "document_id": document.id, "source": name})
    run_id = await desk.store.runs.start(NewRun("When does it open?", 1, "c", "m", "auto"))
    values = {"answer": "At 7:00.", "finish_reason": "stop"} | result
    ended = RunResult(**values, passages=tuple(parts), citations=tuple(parts[:cited]))
    await desk.store.runs.finish(run_id, ended)
    return run_id, [part["chunk_id"] for part in parts]


async def test_a_thumb_is_about_the_sources_that_the_answer_cites(desk) -> None:
    run_id, _ = await run_over(desk, "a", "b", "c", cited=2)
    change = await desk.feedback.give(run_id, is_good=True)
    assert (change.observations, change.version, change.is_counted) == (2, 1, True)
    rows = await desk.store.observations.active()
    assert {(row.kind, row.verdict, row.weight, row.author) for row in rows} == {
        ("feedback", 1.0, 0.5, "user")
    }
    assert {row.run_id for row in rows} == {run_id}
    figures = await desk.figures()
    assert figures["c"] == (2.0, 2.0)
    for name in ("a", "b"):
        assert 0.5 < figures[name][0] / sum(figures[name]) < 0.6


async def test_a_thumb_down_about_one_passage(desk) -> None:
    run_id, chunks = await run_over(desk, "a", "b")
    await desk.feedback.give(run_id, is_good=False, author="ole", chunk_id=chunks[1])
    figures = await desk.figures()
    assert figures["a"] == (2.0, 2.0)
    assert 0.4 < figures["b"][0] / sum(figures["b"]) < 0.5
    await desk.curator.undo(Undo(author="ole"), "mara")
    assert (await desk.figures())["b"] == (2.0, 2.0)


async def test_what_cannot_be_judged_is_refused(desk) -> None:
    run_id, _ = await run_over(desk, "a", cited=0)
    with pytest.raises(InvalidValue, match="cites no passage"):
        await desk.feedback.give(run_id, is_good=True)
    with pytest.raises(InvalidValue, match="not given passage 99"):
        await desk.feedback.give(run_id, is_good=True, chunk_id=99)
    with pytest.raises(RunNotFound):
        await desk.feedback.give("run_9", is_good=True)
    broken, _ = await run_over(desk, "b", finish_reason="error", answer="")
    with pytest.raises(InvalidValue, match="no answer"):
        await desk.feedback.give(broken, is_good=True)
    gone, _ = await run_over(desk, "c")
    await desk.store.removal.delete((await desk.store.runs.get(gone)).passages[0]["document_id"])
    with pytest.raises(InvalidValue, match="deleted"):
        await desk.feedback.give(gone, is_good=True)
    assert await desk.store.observations.last_id() == 0


def told(kind: str, chunks: list[int], answers: list[str], given: int = 1) -> dict[str, object]:
    """A verdict: each passage's answer, of which the first `given` are given."""
    votes = [
        {"chunk_id": chunk, "answer": answer} for chunk, answer in zip(chunks, answers, strict=True)
    ]
    return {"kind": kind, "votes": votes, "answers": [{"answer": a} for a in answers[:given]]}


async def test_a_thumb_is_about_what_each_source_says_itself(desk) -> None:
    """Not about the composed text, which tells both sides of a disagreement."""
    text = "Sources disagree.\n- 7:00 (according to a)\n- 8:00 (according to b)"
    _, chunks = await run_over(desk, "a", "b")
    parts = [{"chunk_id": c, "document_id": n + 1} for n, c in enumerate(chunks)]
    run_id = await desk.store.runs.start(NewRun("When does it open?", 1, "c", "m", "auto"))
    verdict = told("disagree", chunks, ["7:00", "8:00"], given=2)
    await desk.store.runs.finish(
        run_id,
        RunResult(text, "stop", passages=tuple(parts), citations=tuple(parts), verdict=verdict),
    )
    with pytest.raises(InvalidValue, match="name the passage"):
        await desk.feedback.give(run_id, is_good=True)
    assert await desk.store.observations.last_id() == 0
    await desk.feedback.give(run_id, is_good=True, chunk_id=chunks[1])
    rows = await desk.store.observations.active()
    assert [row.answer for row in rows] == ["8:00"]
    names = {row.id: row.name for row in await desk.store.sources.list()}
    assert {names[row.source_id] for row in rows} == {"b"}


async def test_a_thumb_is_about_those_that_state_the_answer(desk) -> None:
    _, chunks = await run_over(desk, "a", "b", "c")
    parts = [
        {"chunk_id": c, "document_id": n + 1, "answer_start": 0, "answer_end": 9}
        for n, c in enumerate(chunks)
    ]
    run_id = await desk.store.runs.start(NewRun("When does it open?", 1, "c", "m", "auto"))
    verdict = told("answer", chunks[:2], ["At 7:00.", "8:00"])
    await desk.store.runs.finish(
        run_id,
        RunResult(
            "It opens. At 7:00.", "stop", passages=tuple(parts), citations=(*parts[:1], parts[2]),
            verdict=verdict,
        ),
    )  # fmt: skip
    await desk.feedback.give(run_id, is_good=True)
    assert [row.answer for row in await desk.store.observations.active()] == ["At 7:00."]
    await desk.feedback.give(run_id, is_good=True, chunk_id=chunks[2])
    assert (await desk.store.observations.active())[-1].answer == "It opens."
    await desk.feedback.give(run_id, is_good=True, chunk_id=chunks[1], author="other")
    assert (await desk.store.observations.active())[-1].answer == "8:00"


async def test_a_users_fourth_thumb_of_a_day_does_not_count(
    desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = await run_over(desk, "a")
    counted = [
        (await desk.feedback.give(run_id, is_good=True, author="fan")).is_counted for _ in range(4)
    ]
    assert counted == [True, True, True, False]
    monkeypatch.setattr(module, "MAX_STORED_A_DAY", 4)
    with pytest.raises(ServerBusy, match="tomorrow"):
        await desk.feedback.give(run_id, is_good=True, author="other")


async def test_a_storm_of_users_moves_a_source_a_little(desk) -> None:
    run_id, _ = await run_over(desk, "a", "b")
    for n in range(15):
        await desk.feedback.give(run_id, is_good=False, author=f"bot {n}")
    await desk.beliefs.refit("night")
    assert await desk.reliability((await desk.store.sources.find("a")).id) > 0.35
    (row,) = await desk.store.versions.list(1)
    assert row.observations == 20
