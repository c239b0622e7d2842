import asyncio
from collections.abc import AsyncGenerator

import anyio
import pytest
from starlette.types import Message

from app.api.sse import HEARTBEAT, EventStream, encode, with_heartbeat

pytestmark = pytest.mark.anyio


async def test_encode_is_one_line_of_json_per_event() -> None:
    text = encode({"text": "a\nb – ü"}, event="message.delta", event_id=3)
    assert text == 'event: message.delta\nid: 3\ndata: {"text":"a\\nb – ü"}\n\n'


async def test_encode_without_name_and_id() -> None:
    assert encode([1]) == "data: [1]\n\n"


async def lines(log: list[str], *, pause: float = 0.0) -> AsyncGenerator[str, None]:
    try:
        for number in range(3):
            await anyio.sleep(pause)
            yield f"{number}"
    finally:
        log.append("closed")


async def test_heartbeat_passes_lines_on_and_closes_the_source() -> None:
    log: list[str] = []
    assert [line async for line in with_heartbeat(lines(log))] == ["0", "1", "2"]
    assert log == ["closed"]


async def test_silence_is_filled_with_comments() -> None:
    seen = [line async for line in with_heartbeat(lines([], pause=0.05), seconds=0.01)]
    assert seen.count(HEARTBEAT) >= 3
    assert [line for line in seen if line != HEARTBEAT] == ["0", "1", "2"]


async def test_an_error_of_the_source_reaches_the_reader() -> None:
    async def broken() -> AsyncGenerator[str, None]:
        yield "first"
        raise ValueError("no more")

    stream = with_heartbeat(broken())
    assert await anext(stream) == "first"
    with pytest.raises(ValueError, match="no more"):
        await anext(stream)


async def test_closing_early_stops_the_source_where_it_waits() -> None:
    log: list[str] = []
    stream = with_heartbeat(lines(log, pause=30), seconds=0.01)
    assert await anext(stream) == HEARTBEAT
    await stream.aclose()
    assert log == ["closed"]


async def serve_until_disconnect(stream: EventStream, after: asyncio.Event) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        await after.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 2:
            after.set()

    await stream({"type": "http", "asgi": {"spec_version": "2.3"}}, receive, send)
    return sent


async def test_a_client_that_leaves_cancels_the_source() -> None:
    log: list[str] = []

    async def endless() -> AsyncGenerator[str, None]:
        try:
            yield "first"
            await anyio.sleep(60)
        finally:
            await anyio.sleep(0.01)  # what a source does last, for example storing the run
            log.append("stored")

    sent = await serve_until_disconnect(EventStream(endless()), asyncio.Event())
    assert log == ["stored"]
    headers = dict(sent[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store"
