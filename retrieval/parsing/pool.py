"""Parses each file in a child process that is limited in time and memory and replaced now and then.

One file at a time; the child starts with the first one. Whatever a file does to its reader, the
caller gets a document or a `ParseError`, and the next file gets a working child. Knows no format.
"""

import logging
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

import retrieval
from retrieval.config import ParseLimits
from retrieval.errors import ParseError
from retrieval.parsing.child import EXIT_IDLE, EXIT_MEMORY, INTERNAL, ChildSettings
from retrieval.parsing.wire import BadFrame, Header, read_frame, to_document, write_frame
from retrieval.types import Document

log = logging.getLogger(__name__)

CHILD = ("-m", "retrieval.parsing.child")
_STOP_S = 5.0  # for a child whose input has ended; it is killed then

# The child's own alarm, should its parent be gone: after the pool has lost patience.
_ALARM_AFTER = 1.2

# A child that holds more than this share of its memory between two files is replaced; with all
# formats loaded it holds 110 MB.
_GROWN_SHARE = 3

# Everything the child gets of the environment. No variable of the server, which may hold secrets;
# the numeric libraries that openpyxl looks for take 30 MB of address space for each thread.
_PACKAGES = str(Path(retrieval.__file__).parents[1])
_ENVIRONMENT = {
    "PYTHONPATH": _PACKAGES,
    "PYTHONUTF8": "1",
    "LC_ALL": "C.UTF-8",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


class ParserPool:
    """`parse` may be called from any thread; `close` ends a parse that is under way."""

    def __init__(self, limits: ParseLimits | None = None, child: Sequence[str] = CHILD) -> None:
        self._limits = limits or ParseLimits()
        settings = ChildSettings(
            _ALARM_AFTER * self._limits.seconds,
            self._limits.memory_bytes,
            self._limits.idle_s,
            self._limits.docling_models,
        )
        self._command = [sys.executable, "-P", *child, settings.to_argument()]
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._num_parsed = 0  # by the child of now
        self._is_closed = False

    def parse(self, data: bytes, name: str, media_type: str | None = None) -> Document:
        """As `registry.parse`; a file that breaks its reader is a `ParseError` as well."""
        with self._turn:
            reply = self._exchange(data, name, media_type)
            if reply is None:  # it had just gone to rest; a new one does not within a file
                reply = self._exchange(data, name, media_type)
            if reply is None:
                raise self._stopped(name, "it could not be started")
        header, body = reply
        if header.get("error") == INTERNAL:
            log.error("reading %s failed\n%s", name, header.get("message"))
            raise ParseError(
                f"{name} could not be read; it may be damaged. "
                "Open and save it again, or upload another copy."
            )
        try:
            return to_document(header, body)
        except BadFrame as error:
            raise self._stopped(name, str(error)) from error

    @property
    def pid(self) -> int | None:
        """Of the child, where there is one."""
        return None if self._process is None else self._process.pid

    def close(self) -> None:
        """No child is left when this returns."""
        self._is_closed = True
        process = self._process
        if process is not None:
            process.kill()
        with self._turn:
            self._discard()

    def _exchange(
        self, data: bytes, name: str, media_type: str | None
    ) -> tuple[Header, bytes] | None:
        """The child's reply; None where it had ended for want of work before it saw the file."""
        process = self._running()
        is_late = threading.Event()
        timer = threading.Timer(self._limits.seconds, _end, (process, is_late))
        timer.daemon = True
        timer.start()
        try:
            write_frame(_pipe(process.stdin), {"name": name, "media_type": media_type}, data)
            reply = read_frame(_pipe(process.stdout))
        except (BadFrame, OSError) as error:
            log.warning("the reader of %s stopped within a message: %s", name, error)
            reply = None
        finally:
            timer.cancel()
            timer.join()  # it may be about to end the child
        if reply is None:
            self._explain(name, self._discard(), is_late.is_set())
            return None
        self._num_parsed += 1
        if is_late.is_set() or self._is_worn(reply[0]):
            self._discard()
        return reply

    def _is_worn(self, header: Header) -> bool:
        """After so many files, or where what they left behind would cramp the next."""
        held = header.get("held_bytes")
        has_grown = isinstance(held, int) and held > self._limits.memory_bytes // _GROWN_SHARE
        return has_grown or self._num_parsed >= self._limits.documents_per_child

    def _running(self) -> subprocess.Popen[bytes]:
        if self._is_closed:
            raise RuntimeError("the parser pool is closed")
        if self._process is not None and self._process.poll() is not None:
            self._discard()
        if self._process is None:
            self._num_parsed = 0
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=_ENVIRONMENT,
                start_new_session=True,  # Ctrl+C in a terminal goes to the server alone
            )
            if self._is_closed:  # meanwhile, by another thread that saw no child
                self._process.kill()
        return self._process

    def _discard(self) -> int:
        """End the child, if there is one, and say how it ended."""
        process, self._process = self._process, None
        if process is None:
            return EXIT_IDLE
        for pipe in (process.stdin, process.stdout):
            try:
                _pipe(pipe).close()
            except OSError as error:  # what was left to write to a child that is gone
                log.debug("closing a pipe: %s", error)
        try:
            return process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()

    def _explain(self, name: str, status: int, is_late: bool) -> None:
        """Raises what a child's end means for the file; returns where it means nothing."""
        if is_late or status == -signal.SIGALRM:
            raise ParseError(
                f"{name} takes longer than {self._limits.seconds:g} seconds to read. "
                "Split it into smaller files and upload these."
            )
        if status == EXIT_MEMORY:
            raise ParseError(
                f"{name} takes more than {self._limits.memory_bytes // 2**20:,} MiB of memory to "
                "read. Split it into smaller files and upload these."
            )
        if self._is_closed:
            raise RuntimeError("the parser pool was closed during a parse")
        if status != EXIT_IDLE:
            raise self._stopped(name, f"exit status {status}")

    @staticmethod
    def _stopped(name: str, reason: str) -> ParseError:
        log.error("the reader of %s stopped: %s", name, reason)
        return ParseError(
            f"{name} stopped the program that reads it; it may be damaged. "
            "Open and save it again, or upload another copy."
        )


def _end(process: subprocess.Popen[bytes], is_late: threading.Event) -> None:
    is_late.set()
    process.kill()


def _pipe(stream: object) -> BinaryIO:
    return cast(BinaryIO, stream)
