"""Labels, quarantine, merges and undoing, and what hostile or odd input does."""

import math

import pytest

from app.db.observations import append_rows
from app.db.reliability_rows import NewObservation
from app.errors import InvalidValue, SourceNotFound, VersionNotFound
from app.sources.types import Claim, Label, Undo
from reliability.errors import InvalidReliability
from tests.unit.app_sources.conftest import DAY

pytestmark = pytest.mark.anyio

QUESTION = "Who built the mill?"


async def pair(desk) -> tuple[int, int]:
    """Two sources that disagree, which nobody has settled."""
    one, other = await desk.source("one"), await desk.source("other")
    for n in range(6):
        await desk.ask(f"{QUESTION} {n}", {one: "Anna Berg", other: "Otto Kurz"}, day=n / 3)
    await desk.beliefs.refit("probes")
    return one, other


async def test_labels_decide_between_two_that_disagree(desk) -> None:
    one, other = await pair(desk)
    assert await desk.reliability(one) == pytest.approx(await desk.reliability(other), abs=0.2)
    for n in range(4):
        change = await desk.curator.label(Label(f"{QUESTION} {n}", "Anna Berg", 1.0, "mara"))
    assert change.observations == 1
    assert await desk.reliability(one) > 0.7 > 0.4 > await desk.reliability(other)
    counts = (await desk.explainer.explain(one)).counts
    assert (counts.answers, counts.checked_by_people, counts.cross_checked) == (6, 4, 2)


async def test_a_label_of_a_sources_own_word(desk) -> None:
    one = await desk.source("one")
    change = await desk.curator.label(Label(QUESTION, "Anna Berg", 1.0, "mara", source_id=one))
    assert (change.before, change.version) == (0.5, 1)
    assert change.after == await desk.reliability(one) > 0.5
    change = await desk.curator.label(Label("Where?", "There", 0.0, "mara", source_id=one))
    assert change.after < change.before


async def test_contradictory_labels_cancel_out(desk) -> None:
    await pair(desk)
    before = await desk.figures()
    for author, verdict in (("mara", 1.0), ("ole", 0.0)):
        await desk.curator.label(Label(f"{QUESTION} 0", "Anna Berg", verdict, author))
    after = await desk.figures()
    for name in before:
        assert after[name] == pytest.approx(before[name], rel=1e-9)


@pytest.mark.parametrize("verdict", [math.nan, math.inf, -math.inf, -0.1, 1.1])
async def test_a_verdict_that_cannot_be_counted_is_refused(desk, verdict: float) -> None:
    with pytest.raises(InvalidValue, match="between 0 and 1"):
        await desk.curator.label(Label(QUESTION, "Anna", verdict, "mara"))
    assert await desk.store.observations.last_id() == 0


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (Label(" ", "Anna", 1.0, "mara"), "question"),
        (Label("q" * 2001, "Anna", 1.0, "mara"), "2,000"),
        (Label(QUESTION, "", 1.0, "mara"), "answer"),
        (Label(QUESTION, "Anna", 1.0, ""), "person"),
        (Label(QUESTION, "Anna", 1.0, "mara", topic="t" * 201), "topic"),
    ],
)
async def test_labels_without_their_parts_are_refused(desk, label: Label, message: str) -> None:
    with pytest.raises(InvalidValue, match=message):
        await desk.curator.label(label)
    with pytest.raises(SourceNotFound):
        await desk.curator.label(Label(QUESTION, "Anna", 1.0, "mara", source_id=99))
    assert await desk.store.observations.last_id() == 0


async def test_sources_that_never_answer_stay_where_they_start(desk) -> None:
    one, silent = await desk.source("one"), await desk.source("silent")
    never = await desk.source("never asked")
    for n in range(5):
        await desk.ask(f"q{n}", {one: None, silent: "I don't know"})
    await desk.beliefs.refit("probes")
    for source in (one, silent, never):
        assert await desk.reliability(source) == pytest.approx(0.5)
    counts = (await desk.explainer.explain(one)).counts
    assert (counts.answers, counts.silent, counts.unchecked) == (0, 5, 0)


async def test_one_source_alone_hardly_promotes_itself(desk) -> None:
    one = await desk.source("one")
    async with desk.store.database.transaction() as session:
        for n in range(50):
            row = NewObservation("probe", one, f"q{n}", f"answer {n}")
            await append_rows(session, [row], n * DAY)
    await desk.beliefs.refit("probes")
    assert await desk.reliability(one) == pytest.approx(0.5, abs=0.25)
    explained = await desk.explainer.explain(one)
    assert (explained.counts.unchecked, explained.counts.cross_checked) == (50, 0)
    assert explained.high - explained.low > 0.3


async def test_quarantine_takes_a_sources_word_out_and_release_brings_it_back(desk) -> None:
    one, other = await pair(desk)
    before = await desk.figures()
    change = await desk.curator.set_state(other, "quarantined", "mara", "sold its name")
    assert change.version == 2
    assert await desk.reliability(other) == pytest.approx(0.5)
    assert (await desk.explainer.explain(one)).counts.answers == 6
    await desk.curator.set_state(other, "active", "mara")
    assert await desk.figures() == before
    actions = [event.action for event in (await desk.explainer.explain(other)).events]
    assert actions == ["released", "quarantined"]


async def test_a_merged_source_shares_its_history_and_gets_it_back(desk) -> None:
    one, other = await pair(desk)
    third = await desk.source("third")
    for n in range(6):
        await desk.ask(f"{QUESTION} {n}", {third: "Anna Berg"}, day=n / 3)
    await desk.beliefs.refit("probes")
    before = await desk.figures()
    await desk.curator.merge(third, one, "mara")
    figures = await desk.figures()
    assert figures["third"] == figures["one"] != before["one"]
    explained = await desk.explainer.explain(third)
    assert (explained.source.id, explained.merged) == (one, ("third",))
    assert explained.counts.answers == 12
    await desk.curator.separate(third, "mara")
    assert await desk.figures() == before
    assert other


async def test_a_renamed_source_keeps_its_history(desk) -> None:
    one, _ = await pair(desk)
    row = await desk.curator.rename(one, "The One", "mara")
    assert row.name == "The One"
    explained = await desk.explainer.explain(one)
    assert explained.counts.answers == 6
    assert explained.aliases == ("one",)


async def test_undoing_makes_it_as_if_it_had_never_been(desk) -> None:
    one, _ = await pair(desk)
    before = await desk.figures()
    for n in range(3):
        await desk.curator.label(Label(f"{QUESTION} {n}", "Otto Kurz", 1.0, "troll"))
    poisoned = await desk.reliability(one)
    change = await desk.curator.undo(Undo(author="troll"), "mara", "paid for it")
    assert change.observations == 3
    assert await desk.figures() == before
    assert (await desk.curator.undo(Undo(author="troll"), "mara")).observations == 0
    change = await desk.curator.undo(Undo(source_id=one), "mara")
    assert (change.observations, change.after) == (6, pytest.approx(0.5))
    change = await desk.curator.undo(Undo(version=1), "mara")
    assert change.observations == 6
    for name, figures in (await desk.figures()).items():
        assert figures == pytest.approx(before[name], rel=1e-9)
    assert poisoned < before["one"][0] / sum(before["one"])
    assert (await desk.explainer.explain(one)).counts.undone == 6


async def test_undoing_a_source_takes_back_what_was_merged_into_it_said(desk) -> None:
    one, other = await pair(desk)
    third = await desk.source("third")
    await desk.ask(QUESTION, {third: "Anna Berg"})
    await desk.curator.merge(third, one, "mara")
    assert (await desk.curator.undo(Undo(source_id=one), "mara")).observations == 7
    left = await desk.store.observations.active()
    assert {row.source_id for row in left} == {other}


@pytest.mark.parametrize("nobody", ["", "  "])
async def test_nobodys_words_cannot_be_taken_back(desk, nobody: str) -> None:
    """Probes have no author: it once took back every one of them."""
    await pair(desk)
    with pytest.raises(InvalidValue, match="person"):
        await desk.curator.undo(Undo(author=nobody), "mara")
    assert len(await desk.store.observations.active()) == 12


@pytest.mark.parametrize("what", [Undo(), Undo((1,), author="a"), Undo(source_id=1, version=1)])
async def test_undoing_says_what(desk, what: Undo) -> None:
    with pytest.raises(InvalidValue, match="one of them"):
        await desk.curator.undo(what, "mara")


async def test_undoing_what_is_not_there(desk) -> None:
    for what, error in (
        (Undo(version=7), VersionNotFound),
        (Undo(source_id=7), SourceNotFound),
        (Undo((7,)), InvalidValue),
    ):
        with pytest.raises(error):
            await desk.curator.undo(what, "mara")
    assert await desk.store.observations.last_id() == 0


async def test_where_a_source_starts(desk) -> None:
    one = await desk.source("one")
    change = await desk.curator.set_class(one, "curated", "mara")
    assert (change.before, change.after) == (0.5, pytest.approx(5 / 6))
    change = await desk.curator.set_reliability(one, 0.2, "mara")
    assert (change.after, change.version) == (pytest.approx(0.2), None)
    await desk.ask(QUESTION, {one: "Anna", await desk.source("two"): "Anna"})
    change = await desk.curator.set_class(one, "web", "mara")
    assert change.version == 1
    assert change.after > 0.6
    with pytest.raises(InvalidReliability, match="curated"):
        await desk.curator.set_class(one, "royal", "mara")
    for value in (1.0, 0.00001, 0.0, math.nan):
        with pytest.raises(InvalidValue, match=r"between 0\.01 and 0\.99"):
            await desk.curator.set_reliability(one, value, "mara")


async def test_what_was_met_while_answering_counts_as_a_cross_check(desk) -> None:
    one, other = await pair(desk)
    claims = [Claim(one, "Anna Berg", 0.8, family=3), Claim(other, "Anna Berg", 1.0, family=3)]
    await desk.curator.observe("Who?", [*claims, Claim(other, None)], topic="mills")
    await desk.curator.observe("Who?", [])
    counts = (await desk.explainer.explain(one)).counts
    assert (counts.crosschecks, counts.copies) == (1, 1)
    with pytest.raises(InvalidValue, match="weight"):
        await desk.curator.observe("Who?", [Claim(one, "Anna", math.nan)])


async def test_a_deleted_document_changes_what_is_believed(desk) -> None:
    document = await desk.store.add("a", ["one"], source="one")
    one, other = document.source_id, await desk.source("other")
    rows = [
        NewObservation("probe", source, f"q{n}", "Anna", document_id=number)
        for n in range(5)
        for source, number in ((one, document.id), (other, None))
    ]
    await desk.store.observations.append(rows)
    version = await desk.beliefs.refit("probes")
    assert await desk.reliability(one) > 0.5
    await desk.store.removal.delete(document.id)
    assert not (await desk.beliefs.rebuild(version.id)).is_same
    await desk.beliefs.start()
    assert await desk.reliability(one) == pytest.approx(0.5)
