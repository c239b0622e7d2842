"""Chances of answers: learned from what people judged, kept with each version, else the default."""

import pytest

from app.answer.verdict import Basis, judge_passages
from app.db.reliability_rows import NewObservation
from app.db.rows import NewRun, RunResult, RunTokens
from app.errors import InvalidValue
from app.evaluation.chances import chance_rows
from app.evaluation.reliability_run import check_names
from app.sources.judging import default_calibration, default_line
from app.sources.types import Label, Undo
from tests.unit.app_sources.conftest import DAY, Desk

SKILLS = {"A": 0.9, "B": 0.9, "C": 0.7, "D": 0.5, "E": 0.5}


async def probed(desk: Desk, questions: int = 60) -> None:
    skills = {await desk.source(name): skill for name, skill in SKILLS.items()}
    await desk.ask_many(skills, questions)


async def answered(desk: Desk, count: int, answer: str = "Anna Berg") -> None:
    """A person's answers to the first probes, as a file of questions brings them."""
    rows = [
        NewObservation(
            "label", None, f"0: who was number {n}?", answer, verdict=1.0, author="curator"
        )
        for n in range(count)
    ]
    await desk.store.observations.append(rows, observed_at=7 * DAY)
    await desk.beliefs.refit("labels")


async def run_of(desk: Desk, question: str, verdict: dict[str, object]) -> str:
    run_id = await desk.store.runs.start(
        NewRun(question, 1, "c", "model", "auto", None, None, "vote")
    )
    result = RunResult(
        answer="Anna Berg", finish_reason="stop", tokens=RunTokens(), timings_ms={}, verdict=verdict
    )
    await desk.store.runs.finish(run_id, result)
    return run_id


def verdict_data(source_id: int, answer: str = "Anna Berg") -> dict[str, object]:
    vote = {
        "chunk_id": 1,
        "source_id": source_id,
        "family": 1,
        "answer": answer,
        "said": answer,
        "alignment": 1.0,
        "sense": "",
    }
    return {
        "kind": "answer",
        "takes_several": False,
        "votes": [vote],
        "sources": [{"source_id": source_id, "alpha": 8.0, "beta": 2.0}],
    }


async def test_until_twenty_answers_are_judged_the_default_serves(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 19)
    assert (await desk.beliefs.calibration()) == default_calibration()
    assert default_calibration().origin == "worlds"
    assert default_line()[1] > 10_000


async def test_labels_teach_a_map_that_is_kept_with_its_version(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 40)
    version = await desk.beliefs.version()
    found = await desk.beliefs.calibration()
    assert (found.origin, found.answers, found.thumbs, found.version) == ("labels", 40, 0, version)
    await desk.curator.label(Label("0: who was number 41?", "Anna Berg", 1.0, "curator"))
    now = await desk.beliefs.calibration()
    assert (now.answers, now.version) == (41, version + 1)
    kept = await desk.store.versions.calibration(version)
    assert kept is not None
    assert kept.answers == 40
    assert kept.accept == found.accept
    basis = judge_passages([], Basis("who?", "vote", version, found)).calibration
    assert basis is not None
    assert basis.accept == pytest.approx(found.accept or 0.7, abs=1e-3)


async def test_taking_the_labels_back_takes_the_map_back(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 40)
    await desk.curator.undo(Undo(author="curator"), "curator")
    assert (await desk.beliefs.calibration()).origin == "worlds"


async def test_a_run_is_judged_by_labels_that_came_later(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 30)
    before = await desk.beliefs.calibration()
    source = await desk.source("A")
    for number in range(10):
        question = f"who built house {number}?"
        await run_of(desk, question, verdict_data(source))
        await desk.curator.label(Label(question, "Otto Kurz", 1.0, "curator"))
    after = await desk.beliefs.calibration()
    assert after.answers == 40
    # Ten answers at 0.8 or so, all of them wrong.
    raw = [0.8, 0.9]
    assert all(
        stated < earlier
        for stated, earlier in zip(
            after.calibrator(raw),
            before.calibrator(raw),
            strict=True,  # type: ignore[arg-type]
        )
    )


async def test_a_label_judges_no_run_of_another_collection(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 30)
    source = await desk.source("A")
    await run_of(desk, "When?", verdict_data(source))  # in collection 1
    for place, count in ((2, 30), (1, 31)):
        row = NewObservation(
            "label", None, "When?", "Otto", verdict=1.0, author="m", collection_id=place
        )
        await desk.store.observations.append([row])
        await desk.beliefs.refit("labels")
        assert (await desk.beliefs.calibration()).answers == count


async def test_a_run_that_cannot_be_read_keeps_nobody_from_learning(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 30)
    source = await desk.source("A")
    broken = [
        verdict_data(source) | {"sources": [{"source_id": source, "alpha": 0.0, "beta": 4.0}]},
        verdict_data(source) | {"votes": [{"source_id": source}]},
    ]
    for number, verdict in enumerate(broken):
        question = f"who built house {number}?"
        await run_of(desk, question, verdict)
        await desk.curator.label(Label(question, "Otto Kurz", 1.0, "curator"))
    assert (await desk.beliefs.calibration()).answers == 30


async def test_thumbs_enter_with_small_weight(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 30)
    source = await desk.source("A")
    run_id = await run_of(desk, "who built the mill?", verdict_data(source))
    row = NewObservation(
        "feedback",
        source,
        "who built the mill?",
        "Anna Berg",
        verdict=0.0,
        weight=0.5,
        author="u",
        run_id=run_id,
    )
    before = (await desk.beliefs.calibration()).calibrator([0.8])[0]  # type: ignore[arg-type]
    await desk.store.observations.append([row], observed_at=8 * DAY)
    await desk.beliefs.refit("thumb")
    found = await desk.beliefs.calibration()
    assert (found.answers, found.thumbs) == (30, 1)
    moved = before - found.calibrator([0.8])[0]  # type: ignore[arg-type]
    assert 0 < moved < 0.02


async def test_a_verdict_says_what_its_chances_rest_on(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 40)
    learned = await desk.beliefs.calibration()
    for calibration in (learned, default_calibration(), None):
        verdict = judge_passages([], Basis("who?", "vote", 1, calibration))
        assert verdict.is_calibrated == (calibration is learned)
        basis = verdict.calibration
        assert (basis and basis.origin) == (calibration and calibration.origin)
        assert (basis and basis.answers) == (calibration and calibration.answers)


@pytest.mark.parametrize("labels", [20, 100])
async def test_stated_chances_come_true_end_to_end(labels: int) -> None:
    """ECE below 0.05 on kept-out questions: database, beliefs, verdicts; 1,200 questions a row."""
    worlds = check_names("beta,adversarial_7_of_9", ("beta", "adversarial_7_of_9"), "world")
    rows = await chance_rows(worlds, 2, labels, lambda: None)
    for row in rows:
        assert row["calibration"] == "none" or float(str(row["ece"])) < 0.05, row
    assert {row["calibration"] for row in rows} == {"none", "default", "labels"}


async def test_odd_observations_teach_nothing_and_break_nothing(desk: Desk) -> None:
    """Silent sources, one source only, contradictory labels, labels on what nobody said."""
    a, b = await desk.source("a"), await desk.source("b")
    for n in range(30):
        await desk.ask(f"silent {n}?", {a: None, b: None}, day=n)
        await desk.ask(f"alone {n}?", {a: "Anna Berg"}, day=n)
        rows = [
            NewObservation("label", None, question, answer, verdict=verdict, author=author)
            for question, answer, verdict, author in (
                (f"silent {n}?", "Anna Berg", 1.0, "mara"),
                (f"alone {n}?", "Anna Berg", 1.0, "mara"),
                (f"alone {n}?", "Anna Berg", 0.0, "ole"),
                (f"nobody asked {n}?", "Otto Kurz", 1.0, "mara"),
            )
        ]
        await desk.store.observations.append(rows, observed_at=n * DAY)
    await desk.beliefs.refit("odd")
    assert (await desk.beliefs.calibration()).origin == "worlds"
    for verdict in (float("nan"), float("inf"), -0.1, 1.1):
        with pytest.raises(InvalidValue):
            await desk.curator.label(Label("alone 1?", "Anna Berg", verdict, "curator", a))


async def test_labels_survive_a_merge_and_a_new_name(desk: Desk) -> None:
    await probed(desk)
    await answered(desk, 30)
    a, b = await desk.source("A"), await desk.source("B")
    await desk.curator.rename(a, "A new", "mara")
    await desk.curator.merge(b, a, "mara")
    assert (await desk.beliefs.calibration()).answers == 30
    await desk.curator.set_state(a, "quarantined", "mara")
    assert (await desk.beliefs.calibration()).origin in ("labels", "worlds")
