"""Server-sent events: encoding, heartbeats, and stopping the source when the reader leaves.

Knows no event of ours: it carries text.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import anyio
from anyio.abc import ObjectSendStream
from starlette.responses import StreamingResponse
from starlette.types import Send

# Proxies and browsers drop silent connections after 30 to 60 s.
HEARTBEAT_SECONDS = 15.0
HEARTBEAT = ": still working\n\n"
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def encode(data: object, *, event: str | None = None, event_id: int | None = None) -> str:
    """One event. JSON holds no raw newline, so `data` is always a single line."""
    lines = []
    if event is not None:
        lines.append(f"event: {event}")
    if event_id is not None:
        lines.append(f"id: {event_id}")
    lines.append(f"data: {json.dumps(data, ensure_ascii=False, separators=(',', ':'))}")
    return "\n".join(lines) + "\n\n"


async def with_heartbeat(
    lines: AsyncGenerator[str, None], seconds: float = HEARTBEAT_SECONDS
) -> AsyncGenerator[str, None]:
    """Pass `lines` on and fill silences with comments. Closes `lines` however this ends.

    `lines` runs in a task of its own, so that a heartbeat can go out while it waits and all of
    its steps see one task.
    """
    send, receive = anyio.create_memory_object_stream[str](0)
    pump = asyncio.create_task(_pump(lines, send))
    try:
        async with receive:
            while True:
                line = HEARTBEAT
                with anyio.move_on_after(seconds):
                    line = await receive.receive()
                yield line
    except anyio.EndOfStream:
        await pump  # raises what ended `lines`, if anything did
    finally:
        pump.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({pump})


async def _pump(lines: AsyncGenerator[str, None], send: ObjectSendStream[str]) -> None:
    async with send, aclosing(lines):
        async for line in lines:
            await send.send(line)


class EventStream(StreamingResponse):
    """`text/event-stream` whose source is stopped as soon as the client has gone."""

    media_type = "text/event-stream"

    def __init__(
        self, lines: AsyncGenerator[str, None], heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._body = with_heartbeat(lines, heartbeat_seconds)
        super().__init__(self._body, headers=HEADERS)

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            # Cancelled inside `send`, the generator would otherwise wait for the collector.
            with anyio.CancelScope(shield=True):
                await self._body.aclose()
