"""Observations: appended, undone, read as they were; a deleted document takes its own along."""

import pytest

from app.db import observations as module
from app.db.reliability_rows import NewObservation, NewProbe
from app.db.rows import NewRun, RunResult
from app.errors import InvalidValue

pytestmark = pytest.mark.anyio


def probe(source: int | None, question: str = "q", answer: str | None = "a", **more) -> object:
    return NewObservation("probe", source, question, answer, **more)


async def ids(store, as_of: int | None = None) -> list[int]:
    return [row.id for row in await store.observations.active(as_of)]


async def test_rows_come_back_as_they_were_given(store) -> None:
    document, other = await store.add("a", ["one"]), await store.add("b", ["two"])
    given = NewObservation(
        "label",
        document.source_id,
        "When?",
        "1912",
        topic="bridges",
        verdict=0.25,
        weight=0.5,
        family=7,
        author="mara",
        note="seen on the plaque",
        document_id=document.id,
        question_document_id=other.id,
        run_id="run_1",
        estimate_id=5,
        collection_id=6,
    )
    (number,) = await store.observations.append([given], observed_at=1.5)
    (row,) = await store.observations.active()
    assert (row.id, row.observed_at, row.undone_by) == (number, 1.5, None)
    for name in NewObservation.__slots__:
        assert getattr(row, name) == getattr(given, name)


async def test_many_rows_keep_their_order(store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 7)
    source = await store.sources.get_or_create("s")
    found = await store.observations.append([probe(source.id, f"q{n}") for n in range(30)])
    assert found == sorted(found)
    rows = await store.observations.active()
    assert [row.question for row in rows] == [f"q{n}" for n in range(30)]
    assert len({row.observed_at for row in rows}) == 1
    assert await store.observations.append([]) == []
    assert await store.observations.last_id() == found[-1]


async def test_undoing_adds_a_row_and_deletes_none(store) -> None:
    source = await store.sources.get_or_create("s")
    first, second, third = await store.observations.append([probe(source.id) for _ in range(3)])
    undone = await store.observations.undo([second, second], "mara", "typo")
    assert undone.count == 1
    assert await ids(store) == [first, third]
    assert await ids(store, as_of=third) == [first, second, third]
    assert await ids(store, as_of=second) == [first, second]
    rows = await store.observations.of_source([source.id], 10)
    assert [(row.id, row.undone_by) for row in rows] == [
        (third, None),
        (second, undone.undo_id),
        (first, None),
    ]
    (undo,) = await store.observations.after(third)
    assert (undo.kind, undo.author, undo.note) == ("undo", "mara", "typo")
    assert [row.id for row in await store.observations.of_source([source.id], 1, third)] == [second]


@pytest.mark.parametrize("wanted", [[], [99], [0], list(range(1, 1002))])
async def test_what_is_not_there_cannot_be_undone(store, wanted: list[int]) -> None:
    with pytest.raises(InvalidValue):
        await store.observations.undo(wanted, "mara", "")
    assert await store.observations.last_id() == 0


async def test_an_undone_row_is_not_undone_twice_nor_is_an_undo(store) -> None:
    (number,) = await store.observations.append([probe(None)])
    undone = await store.observations.undo([number], "mara", "")
    for again in (number, undone.undo_id):
        with pytest.raises(InvalidValue, match="nothing to undo"):
            await store.observations.undo([again], "mara", "")


async def test_a_person_and_a_source_can_be_taken_out_whole(store) -> None:
    a, b = [await store.sources.get_or_create(name) for name in "ab"]
    await store.observations.append([probe(a.id, author="troll"), probe(b.id, author="mara")])
    await store.observations.append([probe(a.id, author="mara")])
    assert (await store.observations.undo_author("troll", "mara", "")).count == 1
    assert (await store.observations.undo_author("troll", "mara", "")).count == 0
    assert (await store.observations.undo_source([a.id], "mara", "")).count == 1
    assert [row.source_id for row in await store.observations.active()] == [b.id]


async def test_going_back_undoes_what_came_and_restores_what_went(store) -> None:
    kept, lost = await store.observations.append(
        [probe(None, "kept"), probe(None, "lost", weight=0.5)], observed_at=100.0
    )
    await store.observations.undo([lost], "mara", "")
    await store.observations.append([probe(None, "new")])
    changed = await store.observations.return_to(lost, "mara", "wrong way")
    assert changed.count == 2
    rows = await store.observations.active()
    assert [(row.question, row.observed_at, row.weight) for row in rows] == [
        ("kept", 100.0, 1.0),
        ("lost", 100.0, 0.5),
    ]
    assert rows[0].id == kept
    assert rows[1].id > lost


async def test_a_deleted_document_takes_its_observations_along(store) -> None:
    document = await store.add("a", ["one"])
    other = await store.add("b", ["two"])
    source = document.source_id
    run_id = await store.runs.start(new_run(document.collection_id))
    await store.runs.finish(run_id, result(document.id))
    await store.observations.append(
        [
            probe(source, "answered there", document_id=document.id),
            probe(source, "made of it", question_document_id=document.id),
            probe(source, "about a run that quotes it", run_id=run_id),
            probe(source, "other", document_id=other.id),
        ]
    )
    deleted = await store.removal.delete(document.id)
    assert deleted.observations == 3
    assert [row.question for row in await store.observations.active()] == ["other"]


async def test_what_was_read_before_a_delete_is_not_stored_after_it(store) -> None:
    """A probe, a label or a thumb in flight: its document is hidden first, then gone."""
    document, other = await store.add("a", ["one"]), await store.add("b", ["two"])
    source = document.source_id
    run_id = await store.runs.start(new_run(document.collection_id))
    await store.runs.finish(run_id, result(document.id))
    read = [
        probe(source, "answered there", document_id=document.id),
        probe(source, "made of it", question_document_id=document.id, document_id=other.id),
        probe(source, "about a run that quotes it", run_id=run_id, document_id=other.id),
        probe(source, "other", document_id=other.id),
    ]
    await store.removal.request([document.id], "asked")
    assert len(await store.observations.append(read)) == 2  # the run is redacted with the delete
    await store.removal.delete(document.id)
    assert [row.question for row in await store.observations.active()] == ["other"]
    assert len(await store.observations.append(read)) == 1
    assert {row.question for row in await store.observations.active()} == {"other"}


async def test_a_label_goes_with_the_document_whose_words_it_repeats(store) -> None:
    document, other = await store.add("a", ["one"]), await store.add("b", ["two"])
    source = document.source_id
    asked = "Complete this: the mill burnt down in ____."
    await store.observations.append(
        [
            probe(source, asked, "1912", question_document_id=document.id, document_id=other.id),
            probe(source, "When?", "1912", document_id=document.id),
            probe(source, "When?", "1921", document_id=other.id),
        ]
    )
    word = {"verdict": 1.0, "author": "mara"}
    await store.observations.append(
        [
            NewObservation("label", source, asked, "1912", **word),
            NewObservation("label", None, asked, "1913", **word),
            NewObservation("label", source, "When?", "1912", **word),
            NewObservation("label", source, "When?", "1921", **word),
        ]
    )
    assert (await store.removal.delete(document.id)).observations == 5
    left = [(row.kind, row.answer) for row in await store.observations.active()]
    assert left == [("probe", "1921"), ("label", "1921")]


async def test_a_label_goes_with_the_document_that_it_quotes(store) -> None:
    text = "The word is osprey. It nests on the old crane by the harbour, and 20 % of it is rust."
    document = await store.add("a", [text])
    await store.add("b", ["The word is heron.", "Nothing is by the harbour."])
    source = document.source_id
    labels = [
        ("What is the word?", "Osprey", ""),  # its text, though no document is named
        ("What is the word?", "heron", ""),
        ("Which one?", "the word is", ""),  # the other document says that too
        ("Where is it?", "x", "the page says: it nests on the OLD crane"),
        ("Is 20 % of it rust?", "x", "seen by the harbour"),
        ("Does 20 % of it count?", "", ""),
    ]
    await store.observations.append(
        [
            NewObservation("label", source, *asked, note=note, verdict=1.0, author="mara")
            for *asked, note in labels
        ]
    )
    assert (await store.removal.delete(document.id)).observations == 2
    left = [(row.question, row.answer) for row in await store.observations.active()]
    assert left == [(question, answer) for question, answer, _ in (labels[i] for i in (1, 2, 4, 5))]


async def test_a_label_is_about_the_collection_in_which_it_was_asked(store) -> None:
    pool, library = [(await store.sources.get_or_create(name)).id for name in ("pool", "library")]
    await store.observations.append(
        [
            probe(pool, "When?", "7:00", collection_id=1),
            probe(library, "When?", "9:00", collection_id=2),
            probe(pool, "Where?", "There", collection_id=1),
        ]
    )
    word = {"verdict": 1.0, "author": "mara"}
    labels = [
        NewObservation("label", source, question, "x", **word)
        for source, question in (
            (library, "When?"),
            (None, "When?"),
            (None, "Where?"),
            (library, "Where?"),
            (pool, "Who?"),
        )
    ]
    await store.observations.append(labels)
    rows = [row for row in await store.observations.active() if row.kind == "label"]
    assert [row.collection_id for row in rows] == [2, None, 1, 1, None]


async def test_a_label_of_before_goes_with_the_document_its_question_was_made_of(store) -> None:
    document = await store.add("a", ["one"])
    word = NewObservation("label", None, "made of it", "x", verdict=1.0, author="mara")
    await store.observations.append([word])
    await store.estimates.start(
        document.collection_id, "larder", [NewProbe("made of it", document_id=document.id)], "m"
    )
    assert (await store.removal.delete(document.id)).observations == 1


def new_run(collection_id: int) -> object:
    return NewRun("Why?", collection_id, "c", "m", "auto")


def result(document_id: int) -> object:
    return RunResult("So.", "stop", passages=({"document_id": document_id},))
