"""Beliefs are folds: rebuilt to the bit, the same in every process, and caught up at a start."""

from dataclasses import replace

import pytest

from app.db.observations import append_rows
from app.db.reliability_rows import NewObservation
from app.sources.types import Label, Undo
from reliability.errors import UnknownEstimator
from reliability.estimators.larder import LarderConfig, LarderEstimator
from reliability.table import build_table
from reliability.types import BetaPosterior
from tests.unit.app_sources.conftest import DAY

pytestmark = pytest.mark.anyio


async def three(desk) -> dict[str, int]:
    """Two good sources and a poor one, asked 40 questions on two topics."""
    names = {name: await desk.source(name) for name in ("good", "fair", "poor")}
    skills = {names["good"]: 0.95, names["fair"]: 0.8, names["poor"]: 0.2}
    await desk.ask_many(skills, 40, topics=("past", "future"))
    return names


async def test_an_estimate_is_a_version_and_what_ranking_reads(desk) -> None:
    names = await three(desk)
    version = await desk.beliefs.refit("probes")
    assert (version.id, version.estimator, version.observations) == (1, "larder", 120)
    good, fair, poor = [await desk.reliability(names[name]) for name in ("good", "fair", "poor")]
    assert min(good, fair) > 0.6 > 0.4 > poor
    posteriors = await desk.store.versions.posteriors(version.id)
    assert {row.topic for row in posteriors} == {None, "past", "future"}
    whole = {row.source_id: row for row in posteriors if row.topic is None}
    assert whole[names["good"]].alpha == (await desk.store.sources.get(names["good"])).alpha
    assert all(row.low < row.alpha / (row.alpha + row.beta) < row.high for row in posteriors)


@pytest.mark.parametrize("estimator", ["larder", "majority", "ra_rag", "beta_em", "dawid_skene"])
async def test_every_version_is_rebuilt_exactly(desk, estimator: str) -> None:
    names = await three(desk)
    first = await desk.beliefs.refit("probes", estimator)
    await desk.curator.label(Label("0: who was number 3?", "Otto Kurz", 0.0, "mara"))
    await desk.curator.merge(names["poor"], names["fair"], "mara")
    await desk.curator.set_state(names["good"], "quarantined", "mara")
    await desk.curator.undo(Undo(observations=(1, 2, 3)), "mara")
    versions = await desk.store.versions.list(10)
    assert [version.estimator for version in versions] == [estimator] * 5
    for version in versions:
        rebuilt = await desk.beliefs.rebuild(version.id)
        assert rebuilt.largest_difference == 0.0
        assert rebuilt.is_same
    assert versions[-1] == first


async def test_an_unknown_estimator_is_refused(desk) -> None:
    await three(desk)
    with pytest.raises(UnknownEstimator, match="larder"):
        await desk.beliefs.refit("probes", "oracle")
    assert await desk.store.versions.latest() is None


async def test_an_update_moves_what_ranking_reads_and_writes_no_version(desk) -> None:
    names = await three(desk)
    await desk.beliefs.refit("probes")
    before = await desk.figures()
    for n in range(5):
        said = {names["good"]: "Eva Sund", names["fair"]: "Eva Sund", names["poor"]: "Otto Murz"}
        await desk.ask(f"new {n}", said, day=4 + n, topic="past")
        assert (await desk.beliefs.catch_up()).id == 1
    after = await desk.figures()
    assert after["good"][0] > before["good"][0]
    assert after["poor"][0] < before["poor"][0]
    assert await desk.beliefs.pending() == 15
    await desk.beliefs.catch_up()
    assert await desk.figures() == after  # to the bit, and by another process
    version = await desk.beliefs.refit("night")
    assert (version.id, await desk.beliefs.pending()) == (2, 0)
    refitted = await desk.figures()
    for name in names:
        mean, updated = refitted[name][0] / sum(refitted[name]), after[name][0] / sum(after[name])
        assert mean == pytest.approx(updated, abs=0.1)


async def test_a_new_source_or_a_persons_word_needs_an_estimate(desk) -> None:
    names = await three(desk)
    await desk.beliefs.refit("probes")
    await desk.ask("new", {await desk.source("stranger"): "Eva", names["good"]: "Eva"}, day=5)
    assert (await desk.beliefs.catch_up()).id == 2
    await desk.ask_many({names["good"]: 0.9, names["fair"]: 0.8}, 101, seed=1)
    assert (await desk.beliefs.catch_up()).id == 3
    assert await desk.beliefs.pending() == 0


async def test_a_storm_of_probes_in_a_day_moves_a_source_by_twenty(desk) -> None:
    names = await three(desk)
    await desk.beliefs.refit("probes")
    before = await desk.figures()
    async with desk.store.database.transaction() as session:
        for n in range(60):
            rows = [NewObservation("probe", s, f"storm {n}", "Eva") for s in names.values()]
            await append_rows(session, rows, (9 + n / 1000) * DAY)
    await desk.beliefs.catch_up()
    after = await desk.figures()
    assert sum(after["good"]) - sum(before["good"]) <= 20 + 1e-9


async def test_nothing_observed_is_no_version(desk) -> None:
    assert await desk.beliefs.catch_up() is None
    assert await desk.beliefs.start() is None
    assert await desk.beliefs.pending() == 0
    version = await desk.beliefs.refit("asked")
    assert (version.observations, await desk.store.versions.posteriors(1)) == (0, [])
    assert (await desk.beliefs.rebuild(1)).is_same


async def test_a_start_makes_up_for_a_crash(desk) -> None:
    names = await three(desk)
    assert (await desk.beliefs.start()).reason == "first observations"
    assert (await desk.beliefs.start()).id == 1
    document = await desk.store.add("a", ["one"], source="good")
    await desk.store.observations.undo([1], "mara", "")
    assert (await desk.beliefs.start()).id == 2
    await desk.store.source_changes.set_state(names["poor"], "quarantined", "mara")
    version = await desk.beliefs.start()
    assert (version.id, version.reason) == (3, "what it rested on had changed")
    assert (await desk.beliefs.start()).id == 3
    assert document.source_id == names["good"]


@pytest.mark.parametrize("zeros", [29, 308, 309, 5000])
async def test_no_number_stops_learning(desk, zeros: int) -> None:
    """One with 309 zeros is no float: it once kept every estimate from being made."""
    one, two = await desk.source("one"), await desk.source("two")
    huge = "1" + "0" * zeros
    await desk.ask("How many?", {one: huge[:4000], two: "5"})
    await desk.ask("How many?", {one: huge[:4000], two: "5 million"}, day=1)
    await desk.beliefs.refit("probes")
    log = await desk.beliefs.observations()
    assert len({row.answer for row in log.rows}) == 3


async def test_sources_of_whom_nobody_said_anything_start_where_those_as_active_are(desk) -> None:
    """Sources that speak once are mostly wrong here; a new one of them is not taken for even."""
    good = [await desk.source(f"good {n}") for n in range(4)]
    once = [await desk.source(f"once {n}") for n in range(40)]
    stated = await desk.source("stated")
    await desk.curator.set_class(stated, "curated", "mara")
    async with desk.store.database.transaction() as session:
        for n, source in enumerate([*once, stated]):
            rows = [NewObservation("probe", other, f"who was {n}?", "Anna Berg") for other in good]
            wrong = NewObservation("probe", source, f"who was {n}?", f"Otto {'KLMNP'[n % 5]}urz")
            await append_rows(session, [*rows, wrong], n * DAY / 10)
    await desk.beliefs.refit("probes")
    log = await desk.beliefs.observations()
    plain = {stated: BetaPosterior(5, 1)}
    same = LarderEstimator(LarderConfig(BetaPosterior(2, 2), plain)).fit(build_table(log.rows))
    for source in (good[0], once[0], stated):
        assert await desk.reliability(source) == pytest.approx(same.posterior(source).mean)
    assert await desk.reliability(once[0]) < 0.3 < 0.6 < await desk.reliability(stated)


async def test_who_copies_by_habit_counts_once_however_it_is_worded(desk) -> None:
    """Caught with the same text six times: forty more answers in words of their own are one voice
    each, also in what is answered from then on."""
    one, two, good, fair = [await desk.source(name) for name in ("one", "two", "good", "fair")]
    async with desk.store.database.transaction() as session:
        for n in range(46):
            question, family = f"who was {n}?", n + 1 if n < 6 else None
            rows = [
                NewObservation("probe", source, question, "Otto Kurz", family=family)
                for source in (one, two)
            ]
            rows += [NewObservation("probe", s, question, "Anna Berg") for s in (good, fair)]
            await append_rows(session, rows, n * DAY / 10)
    version = await desk.beliefs.refit("probes")
    assert await desk.beliefs.copiers() == frozenset({(one, two)})
    assert await desk.reliability(one) < 0.3 < 0.7 < await desk.reliability(good)
    assert (await desk.beliefs.rebuild(version.id)).is_same
    assert (await desk.beliefs.start()).id == version.id
    assert (await desk.explainer.explain(one)).counts.copies == 46
    await desk.curator.undo(Undo(source_id=two), "mara")
    assert await desk.beliefs.copiers() == frozenset()


async def test_what_nobody_confirmed_for_long_fades(desk) -> None:
    """It once was as old as the last thing observed of anybody, and so never faded alone."""
    names = await three(desk)
    version = await desk.beliefs.refit("probes")
    alpha, beta = (await desk.figures())["good"]
    later = replace(desk, now=(180 + 4) * DAY)
    again = await later.beliefs.refit("night")
    faded = (await desk.figures())["good"]
    assert sum(faded) < 4 + 0.7 * (alpha + beta - 4)
    assert 0.5 < faded[0] / sum(faded) < alpha / (alpha + beta)
    for row in (version, again):
        assert (await later.beliefs.rebuild(row.id)).is_same
    assert (await later.beliefs.start()).id == again.id
    assert not await desk.beliefs.is_due()
    week_later = replace(desk, now=again.created_at + 7.1 * DAY)
    assert await week_later.beliefs.is_due()
    assert names


async def test_the_server_starts_even_where_nothing_can_be_learned(
    desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.ask("q", {await desk.source("one"): "x"})
    version = await desk.beliefs.refit("probes")
    await desk.ask("r", {await desk.source("two"): "y"})

    def broken(*_: object) -> None:
        raise OverflowError("no")

    monkeypatch.setattr("app.sources.beliefs.fold", broken)
    assert await desk.beliefs.start() == version
    assert "could not be brought up to date" in caplog.text


async def test_beliefs_of_old_versions_are_computed_again(
    desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.reliability_versions.KEPT_BELIEFS", 2)
    await three(desk)
    for _ in range(4):
        await desk.beliefs.refit("again")
    assert await desk.store.versions.posteriors(1) == []
    assert await desk.store.versions.posteriors(3) != []
    rebuilt = await desk.beliefs.rebuild(1)
    assert rebuilt.largest_difference is None
    assert rebuilt.is_same
    assert len(rebuilt.posteriors) == 9


async def test_the_log_is_folded_once_until_something_changes(desk) -> None:
    beliefs = desk.beliefs
    assert (await beliefs.observations()).rows == ()
    a, b = await desk.source("a"), await desk.source("b")
    ids = await desk.ask("who?", {a: "Anna Berg", b: "Otto Kurz"})
    first = await beliefs.observations()
    assert len(first.rows) == 2
    assert await beliefs.observations() is first
    await desk.store.observations.undo(ids[:1], "mara", "")
    assert len((await beliefs.observations()).rows) == 1
    await beliefs.refit("again")
    await desk.curator.set_state(b, "quarantined", "mara")
    assert (await beliefs.observations()).rows == ()


async def test_updates_one_by_one_are_the_fold_of_all_of_them(desk) -> None:
    """What one process keeps in hand is what another one computes from the rows."""
    names = [await desk.source(name) for name in "abcd"]
    await desk.ask_many(dict.fromkeys(names, 0.8), 30)
    await desk.beliefs.refit("first")
    kept = desk.beliefs
    for n in range(30):  # more than the cap of a day
        said = {
            names[n % 4]: "Anna Berg",
            names[(n + 1) % 4]: "Otto Kurz" if n % 3 else "Anna Berg",
        }
        await desk.ask(f"news {n}?", said, day=4)
        await kept.catch_up()
    one_by_one = await desk.figures()
    await desk.store.versions.believe(dict.fromkeys(names, (1.0, 1.0)))
    await desk.beliefs.catch_up()
    for name, figures in (await desk.figures()).items():
        assert figures == pytest.approx(one_by_one[name])
