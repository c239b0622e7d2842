"""Estimates: every source is asked each probe once, also over restarts."""

import asyncio

import pytest

from app.db.reliability_rows import NewProbe
from app.db.rows import NewRun
from app.errors import CollectionNotFound, EstimateRunning, InvalidValue, ServerBusy
from app.sources.types import ProbePlan
from app.sources.worker import EstimationWorker
from reliability.errors import UnknownEstimator
from tests.fakes.source_reader import TableReader

pytestmark = pytest.mark.anyio


def plan(*questions: str, **more: object) -> ProbePlan:
    probes = tuple(NewProbe(question) for question in questions)
    return ProbePlan(**({"collection": "c", "take_from": "questions", "questions": probes} | more))


async def four(desk) -> TableReader:
    """Two sources agree, one does not, one is silent."""
    names = ("a", "b", "wrong", "silent")
    ids = [
        await desk.document(name, f"{name} was founded in 18{n}7.") for n, name in enumerate(names)
    ]
    answers = dict(zip(ids, ("Anna Berg", "Berg, Anna", "Otto Kurz", None), strict=True))
    return TableReader(answers, {source: source for source in ids})


async def finish(desk, reader: TableReader, answers_aim: int = 200) -> None:
    """Until nothing is left, by a worker of its own."""
    estimation = desk.estimation(reader, answers_aim)
    worker = EstimationWorker(estimation, desk.store.estimates, desk.beliefs)
    await worker.start()
    await worker.wait_idle()
    await worker.stop()


async def test_every_source_is_asked_and_believed_by_its_answers(desk) -> None:
    reader = await four(desk)
    row = await desk.estimation(reader).start(plan(*(f"Who was {n}?" for n in range(8))))
    await finish(desk, reader)
    row = await desk.store.estimates.get(row.id)
    assert (row.state, row.done, row.answers, row.silent) == ("done", 8, 24, 8)
    assert len(reader.asked) == 32
    figures = {name: a / (a + b) for name, (a, b) in (await desk.figures()).items()}
    assert min(figures["a"], figures["b"]) > 0.55 > 0.45 > figures["wrong"]
    assert figures["silent"] == pytest.approx(0.5)
    version = await desk.store.versions.get(row.version_id)
    assert (version.estimator, version.reason) == ("larder", f"estimate {row.id}")
    assert (await desk.beliefs.rebuild(version.id)).is_same


async def test_known_answers_count_as_labels(desk) -> None:
    reader = await four(desk)
    probes = tuple(NewProbe(f"Who was {n}?", "past", "Otto Kurz") for n in range(6))
    await desk.estimation(reader).start(plan(questions=probes))
    await finish(desk, reader)
    figures = {name: a / (a + b) for name, (a, b) in (await desk.figures()).items()}
    assert figures["wrong"] > 0.7 > 0.4 > figures["a"]
    assert {row.topic for row in await desk.store.observations.active()} == {"past"}


async def test_passages_that_copy_are_one_family(desk) -> None:
    reader = await four(desk)
    a, b = list(reader.answers)[:2]
    reader.answers = dict.fromkeys((a, b), "Anna Berg")
    await desk.estimation(reader).start(plan("Who?"))
    await finish(desk, reader)
    families = {row.source_id: row.family for row in await desk.store.observations.active()}
    assert families[a] == families[b] is not None
    assert (await desk.explainer.explain(a)).counts.copies == 1


async def test_a_killed_estimate_goes_on_where_it_was(desk) -> None:
    reader = await four(desk)
    row = await desk.estimation(reader).start(plan(*(f"q{n}" for n in range(5))))
    first = desk.estimation(reader)
    assert await first.step(row)
    assert await first.step(row)
    await desk.store.estimates.lease(row.id)  # the process dies with this one in hand
    await finish(desk, reader)
    after = await desk.store.estimates.get(row.id)
    assert (after.state, after.done, after.answers) == ("done", 5, 15)
    assert len(reader.asked) == len(set(reader.asked)) == 20


async def test_stopping_in_the_middle_of_a_probe_loses_nothing(desk) -> None:
    reader = await four(desk)
    row = await desk.estimation(reader).start(plan("q"))
    stuck = asyncio.Event()

    class Slow(TableReader):
        async def answer(self, question, source_id, collection_id):
            stuck.set()
            await asyncio.sleep(60)

    worker = EstimationWorker(desk.estimation(Slow({}, {})), desk.store.estimates, desk.beliefs)
    await worker.start()
    await stuck.wait()
    await worker.stop(grace_s=0)
    assert await desk.store.observations.active() == []
    await finish(desk, reader)
    assert (await desk.store.estimates.get(row.id)).done == 1


async def test_a_probe_that_breaks_its_reader_is_given_up_and_the_estimate_fails(desk) -> None:
    reader = await four(desk)
    reader.error = RuntimeError("no")
    row = await desk.estimation(reader).start(plan("q"))
    await finish(desk, reader)
    after = await desk.store.estimates.get(row.id)
    assert (after.state, after.failed, after.error) == ("failed", 1, "no probe could be asked")
    assert await desk.store.versions.latest() is None


async def test_a_busy_decoder_is_asked_again_later(desk) -> None:
    reader = await four(desk)
    reader.error = ServerBusy("32 questions are waiting")
    row = await desk.estimation(reader).start(plan("q"))
    worker = EstimationWorker(
        desk.estimation(reader), desk.store.estimates, desk.beliefs, retry_s=0.01
    )
    await worker.start()
    while len(reader.asked) < 5:
        await asyncio.sleep(0.01)
    reader.error = None
    await worker.wait_idle()
    await worker.stop()
    await worker.stop()
    assert (await desk.store.estimates.get(row.id)).state == "done"


async def test_feedback_is_estimated_at_night(desk) -> None:
    a = await desk.source("a")
    await desk.beliefs.refit("start")
    await desk.ask("q", {a: "x"})
    worker = EstimationWorker(
        desk.estimation(await four(desk)), desk.store.estimates, desk.beliefs, night_s=0.01
    )
    await worker.start()
    while (await desk.store.versions.latest()).reason != "night":
        await asyncio.sleep(0.01)
    await worker.stop()
    assert await desk.beliefs.pending() == 0


async def test_what_cannot_be_started(desk) -> None:
    empty = TableReader({}, {})
    with pytest.raises(CollectionNotFound):
        await desk.estimation(empty).start(plan("q", collection="nowhere"))
    await desk.store.collections.create("empty")
    with pytest.raises(InvalidValue, match="no source"):
        await desk.estimation(empty).start(plan("q", collection="empty"))
    reader = await four(desk)
    with pytest.raises(InvalidValue, match="no questions"):
        await desk.estimation(reader).start(plan())
    with pytest.raises(InvalidValue, match="no questions"):
        await desk.estimation(reader).start(plan(take_from="runs"))
    with pytest.raises(UnknownEstimator):
        await desk.estimation(reader).start(plan("q", estimator="oracle"))
    await desk.estimation(reader).start(plan("q"))
    with pytest.raises(EstimateRunning):
        await desk.estimation(reader).start(plan("q"))


async def test_questions_of_past_runs_and_of_documents(desk) -> None:
    reader = await four(desk)
    for text in ("Who?", "Where?", "Who?"):
        await desk.store.runs.start(NewRun(text, 1, "c", "m", "auto"))
    await desk.store.runs.start(NewRun("Elsewhere?", 2, "d", "m", "auto"))
    row = await desk.estimation(reader).start(plan(take_from="runs"))
    assert row.total == 2
    await desk.store.estimates.end(row.id, "cancelled")
    await desk.document("long", "Few words.", "The mill by the river burnt down in 1912.")
    row = await desk.estimation(reader).start(plan(take_from="documents", limit=10))
    probe = await desk.store.estimates.lease(row.id)
    assert probe.question.endswith("The mill by the river burnt down in ____.")
    assert probe.document_id is not None


async def test_no_question_is_asked_after_everybody_has_answered_enough(desk) -> None:
    reader = await four(desk)
    silent = next(source for source, answer in reader.answers.items() if answer is None)
    questions = plan(*(f"Who was {n}?" for n in range(9)))
    row = await desk.estimation(reader).start(questions)
    await finish(desk, reader, answers_aim=5)
    row = await desk.store.estimates.get(row.id)
    assert (row.state, row.done) == ("done", 9)  # one knows nothing, so all are asked
    reader.answers = {**reader.answers, silent: "Otto Kurz"}
    row = await desk.estimation(reader).start(questions)
    await finish(desk, reader, answers_aim=5)
    row = await desk.store.estimates.get(row.id)
    assert (row.state, row.done, row.failed) == ("done", 5, 4)
    assert set((await desk.store.estimates.answers_of(row.id)).values()) == {5}


async def test_an_estimate_of_one_day_counts_whole(desk) -> None:
    """Forty probes of one day are forty, where forty met in answers are twenty."""
    reader = await four(desk)
    await desk.estimation(reader).start(plan(*(f"Who was {n}?" for n in range(40))))
    await finish(desk, reader)
    alpha, beta = (await desk.figures())["a"]
    assert alpha + beta > 35
