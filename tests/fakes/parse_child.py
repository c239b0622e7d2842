"""A child for `ParserPool` whose parser does what the first word of a file says.

Started as a program; the words are those of `_DOES`.
"""

import ctypes
import json
import os
import re
import sys
import time

from retrieval.errors import EncryptedDocument
from retrieval.parsing import registry
from retrieval.parsing.child import ChildSettings, serve
from retrieval.types import Document

_held: list[bytes] = []


def parse(data: bytes, name: str, media_type: str | None) -> Document:
    word, _, number = data.decode("utf-8", "replace").partition(" ")
    if word == "hold":
        _hold(int(number))
    elif word in _DOES:
        _DOES[word]()
    return registry.parse(data, name, media_type)


def _hang() -> None:
    time.sleep(600)


def _hang_locked() -> None:
    """In C and with the interpreter's lock held, so that no other thread gets to run."""
    re.match(r"(a*)*b", "a" * 60)


def _eat() -> None:
    kept = []
    while True:
        kept.append(bytearray(2**24))


def _hold(mebibytes: int) -> None:
    _held.append(b"x" * (mebibytes * 2**20))


def _eat_at_once() -> None:
    bytearray(2**40)


def _crash() -> None:
    ctypes.string_at(0)


def _break() -> None:
    raise KeyError("a mistake in a parser")


def _refuse() -> None:
    raise EncryptedDocument("it is protected")


def _print() -> None:
    os.write(1, b"not for the reply")


def _show() -> None:
    raise EncryptedDocument(json.dumps(dict(os.environ)))


_DOES = {
    "hang": _hang,
    "hang-locked": _hang_locked,
    "eat": _eat,
    "eat-at-once": _eat_at_once,
    "crash": _crash,
    "exit": lambda: os._exit(3),
    "break": _break,
    "refuse": _refuse,
    "print": _print,
    "environment": _show,
}

if __name__ == "__main__":
    serve(parse, ChildSettings(**json.loads(sys.argv[1])))
