"""How often passages were used, in little memory: a Count-Min sketch with ageing (TinyLFU).

Counts may be too high where passages collide, never too low within one age. After AGE uses all
counts are halved, so what was popular long ago has to earn its place again.
"""

import hashlib
import logging
import os
import threading
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kvstore.keys import content_id

logger = logging.getLogger(__name__)

ROWS = 4
COLUMNS = 1 << 15  # with 10,000 passages a count is too high in fewer than one case in 100
MAX_COUNT = 255
AGE = 8 * COLUMNS  # uses
MAGIC = b"larder-uses-1\n"
SAVE_EVERY = 64  # uses; a crash forgets at most these


class UseCounter:
    """Safe to share between threads. `path`: where the counts survive a restart; None nowhere.
    `namespace`: whose uses, so that what one tenant reads says nothing about another's store."""

    def __init__(self, path: Path | None = None, namespace: str = "") -> None:
        self._path = path
        self._salt = namespace.encode()
        self._counts = np.zeros((ROWS, COLUMNS), dtype=np.uint8)
        self._seen = 0
        self._unsaved = 0
        self._lock = threading.Lock()
        if path is not None:
            self._load(path)

    def count(self, token_ids: Sequence[int]) -> int:
        """Note one use of these token ids; how many there were, this one included."""
        salted = hashlib.sha256(self._salt + content_id(token_ids).encode())
        columns = _columns(salted.hexdigest())
        with self._lock:
            counts = self._counts[range(ROWS), columns]
            now = min(int(counts.min()) + 1, MAX_COUNT)
            # Only the lowest cells grow (conservative update): collisions inflate less.
            self._counts[range(ROWS), columns] = np.maximum(counts, now)
            self._seen += 1
            if self._seen >= AGE:
                self._counts >>= 1
                self._seen //= 2
            self._unsaved += 1
            is_due = self._unsaved >= SAVE_EVERY
        if is_due:
            self.save()
        return now

    def save(self) -> None:
        """Write the counts down; a disk that refuses costs only their survival."""
        if self._path is None:
            return
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        with self._lock:  # while writing too: two threads would share the temporary name
            body = self._seen.to_bytes(8, "little") + self._counts.tobytes()
            self._unsaved = 0
            data = MAGIC + zlib.crc32(body).to_bytes(4, "little") + body
            try:
                temporary.write_bytes(data)
                temporary.replace(self._path)
            except OSError as error:
                logger.warning("use counts not saved: %s", error)

    def _load(self, path: Path) -> None:
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            logger.warning("use counts not read: %s", error)
            return
        body = data[len(MAGIC) + 4 :]
        checksum = zlib.crc32(body).to_bytes(4, "little")
        if data[: len(MAGIC) + 4] != MAGIC + checksum or len(body) != 8 + self._counts.nbytes:
            logger.warning("use counts in %s are damaged and start again", path.name)
            return
        self._seen = int.from_bytes(body[:8], "little")
        counts = np.frombuffer(body[8:], dtype=np.uint8)
        self._counts = counts.reshape(ROWS, COLUMNS).copy()


def _columns(digest: str) -> list[int]:
    """One column a row, from different digits of the digest."""
    return [int(digest[8 * row : 8 * row + 8], 16) % COLUMNS for row in range(ROWS)]
