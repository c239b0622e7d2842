"""Events from the worker thread to whoever waits for them."""

from collections.abc import Callable, Iterator
from typing import TypeVar

Event = TypeVar("Event")
Send = Callable[[Event | BaseException | None], None]


def send_all(events: Iterator[Event], send: Send[Event]) -> None:
    """In the worker thread: send every event, then None; an error goes the same way."""
    try:
        for event in events:
            send(event)
    except Exception as error:
        send(error)
    finally:
        send(None)
