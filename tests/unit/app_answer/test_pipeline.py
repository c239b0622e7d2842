"""The read path where the reader leaves, and where the engines disappoint."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest

from app.answer.types import (
    AnswerEvent,
    Assessed,
    Completed,
    Delta,
    Failed,
    Question,
    Retrieved,
    RunStarted,
)
from app.bootstrap import Container, open_container
from app.decoder.types import GenerationParams
from kvstore.order import TIE
from tests.fakes.app import make_settings, use_fakes
from tests.fakes.decoder import FakeDecoder

pytestmark = pytest.mark.anyio

T = TypeVar("T")
ANSWER = "The pool opens at 7:00. It closes at 21:00."


@pytest.fixture
def decoder() -> FakeDecoder:
    return FakeDecoder(ANSWER)


@pytest.fixture
async def container(
    tmp_path: Path, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Container]:
    use_fakes(monkeypatch, decoder)
    settings = make_settings(tmp_path / "data", passages=2)
    async with open_container(settings, lambda _: None) as opened:
        collection = await opened.collections.create("town")
        for number in range(4):
            text = f"The pool opens at {number + 5}:00. It closes at 21:00. " + "Filler. " * 20
            await opened.ingest.accept(
                collection.id, f"source {number}", f"{number}.txt", text.encode(), None
            )
        opened.worker.submit()
        await opened.worker.wait_idle()
        yield opened


def question(**values: object) -> Question:
    return Question("When does the pool open?", "town", **values)  # type: ignore[arg-type]


async def all_events(container: Container, asked: Question) -> list[AnswerEvent]:
    return [event async for event in container.answers.answer(asked)]


def only(events: list[AnswerEvent], kind: type[T]) -> T:
    (found,) = [event for event in events if isinstance(event, kind)]
    return found


async def test_runners_up_are_dropped_with_a_reason(container: Container) -> None:
    assessed = only(await all_events(container, question()), Assessed)
    assert len(assessed.kept) == 2
    assert [item.reason for item in assessed.dropped] == ["over_limit", "over_limit"]


async def test_passages_that_do_not_fit_are_named(
    container: Container, decoder: FakeDecoder
) -> None:
    decoder.context_len = 100
    events = await all_events(container, question(params=GenerationParams(max_tokens=40)))
    assessed = only(events, Assessed)
    assert len(assessed.kept) == 1
    assert "context_full" in {item.reason for item in assessed.dropped}
    assert only(events, Completed).answer == ANSWER


async def test_closing_stops_the_decoder_and_stores_the_run(
    container: Container, decoder: FakeDecoder
) -> None:
    async with aclosing(container.answers.answer(question())) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
    assert decoder.cancelled == 1
    (run,) = await container.runs.recent(1)
    assert (run.finish_reason, run.answer) == ("cancelled", "The ")
    assert run.tokens.prompt > 0
    assert run.plan is not None


async def test_a_cancelled_task_stores_the_run(container: Container, decoder: FakeDecoder) -> None:
    decoder.pause = 0.5
    task = asyncio.create_task(all_events(container, question()))
    while not decoder.requests:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (run,) = await container.runs.recent(1)
    assert run.finish_reason == "cancelled"


async def test_closing_before_anything_happened(container: Container) -> None:
    events = container.answers.answer(question())
    assert isinstance(await anext(events), RunStarted)
    await events.aclose()
    (run,) = await container.runs.recent(1)
    assert (run.finish_reason, run.tokens.prompt) == ("cancelled", 0)


async def test_a_decoder_that_says_nothing_is_an_error(
    container: Container, decoder: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(request: object) -> AsyncIterator[object]:
        return
        yield

    monkeypatch.setattr(decoder, "answer", silent)
    failed = only(await all_events(container, question()), Failed)
    assert (failed.code, failed.status) == ("internal_error", 500)


async def test_what_the_cache_holds_goes_first_among_equals(
    container: Container, decoder: FakeDecoder
) -> None:
    """All four passages match alike; the one that was evicted makes room for one that was not."""
    events = await all_events(container, question(trust="plain"))
    scores = [passage.score for passage in only(events, Retrieved).passages[:2]]
    assert scores[0] - scores[1] <= TIE * scores[0]
    first, second = decoder.requests[-1].passages
    decoder.stored.remove(first.token_ids)
    await all_events(container, question(trust="plain"))
    assert decoder.requests[-1].passages == (second, first)
