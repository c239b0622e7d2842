"""The process that reads files: `python -m retrieval.parsing.child SETTINGS`, started by `pool`.

Takes one frame after the other from its input and answers each. It ends by itself when its parent
does, when it has nothing to do for a while, and by the kernel's hand when a file takes too long or
too much memory. Knows nothing of who asks.
"""

import contextlib
import faulthandler
import json
import os
import queue
import resource
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import BinaryIO

from retrieval.errors import ParseError
from retrieval.parsing.wire import (
    BadFrame,
    Header,
    document_frame,
    error_header,
    read_frame,
    write_frame,
)
from retrieval.types import Document

EXIT_IDLE = 0
EXIT_MEMORY = 77
INTERNAL = "internal"  # an error that is no `ParseError`: a mistake in a parser, for the log

Parse = Callable[[bytes, str, str | None], Document]


@dataclass(frozen=True, slots=True)
class ChildSettings:
    seconds: float  # for one document; the pool ends the child a little earlier
    memory_bytes: int
    idle_s: float
    docling_models: str | None = None

    def to_argument(self) -> str:
        return json.dumps(asdict(self))


def serve(parse: Parse, settings: ChildSettings) -> None:
    """Answer frames until the parent is gone or there is nothing to do. Never returns."""
    requests, replies = _take_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to answer
    faulthandler.enable()
    _limit_memory(settings.memory_bytes)
    waiting: queue.SimpleQueue[tuple[Header, bytes]] = queue.SimpleQueue()
    threading.Thread(target=_receive, args=(requests, waiting), daemon=True).start()
    while True:
        try:
            header, body = waiting.get(timeout=settings.idle_s)
        except queue.Empty:
            os._exit(EXIT_IDLE)
        # The kernel ends the process, however busy it is: the last resort where the parent was
        # killed during a parse that holds the interpreter, so that no end of input is noticed.
        signal.setitimer(signal.ITIMER_REAL, settings.seconds)
        try:
            reply, text = _answer(parse, header, body)
            signal.setitimer(signal.ITIMER_REAL, 0)
            del header, body
            write_frame(replies, reply | {"held_bytes": _held_bytes()}, text)
            del reply, text  # not kept while waiting
        except MemoryError:
            os._exit(EXIT_MEMORY)


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """The pipes under numbers of their own: what a parser prints must not end up in a reply."""
    requests = os.fdopen(os.dup(0), "rb")
    replies = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, replies


def _limit_memory(limit: int) -> None:
    for kind, most in ((resource.RLIMIT_AS, limit), (resource.RLIMIT_CORE, 0)):
        # A lower limit that the machine sets is as good.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (most, most))


def _receive(requests: BinaryIO, waiting: queue.SimpleQueue[tuple[Header, bytes]]) -> None:
    """In a thread of its own, so that the end of the parent is noticed during a parse."""
    try:
        while (frame := read_frame(requests)) is not None:
            waiting.put(frame)
            del frame
    except MemoryError:
        os._exit(EXIT_MEMORY)
    except (BadFrame, OSError):
        os._exit(1)
    os._exit(EXIT_IDLE)


def _answer(parse: Parse, header: Header, body: bytes) -> tuple[Header, bytes]:
    name, media_type = str(header["name"]), header["media_type"]
    try:
        document = parse(body, name, None if media_type is None else str(media_type))
        return document_frame(document)
    except ParseError as error:
        return error_header(error), b""
    except MemoryError:
        raise
    except Exception:
        return {"error": INTERNAL, "message": traceback.format_exc()}, b""


def _held_bytes() -> int:
    """Memory this process holds; 0 where the system does not say. Not `ru_maxrss`: a new process
    starts with that of its parent."""
    try:
        with open("/proc/self/statm", encoding="ascii") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()
    except OSError:
        return 0


def main() -> None:
    from retrieval.parsing.registry import parse

    settings = ChildSettings(**json.loads(sys.argv[1]))
    serve(partial(parse, docling_models=settings.docling_models), settings)


if __name__ == "__main__":
    main()
