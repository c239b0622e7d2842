"""SHA-256 of large files, computed once while they stay as they are.

Half a gigabyte takes three seconds to hash on a slow core, at every start. A file is unchanged
while size, inode and the times of its last write and last change are the same; the time of
change is the system's own and cannot be set back by a copy.
"""

import hashlib
import json
import logging
import os
import time
from pathlib import Path

logger = logging.getLogger(__name__)

# A file written this shortly before it was hashed could change again within one tick of the clock.
SETTLED_NS = 2 * 10**9


class FileDigests:
    """Kept in one JSON file, which may be deleted at any time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    def sha256(self, file: Path) -> str:
        """Hex digest of a file's content. Raises OSError."""
        stat = file.stat()
        stamp = [stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns]
        known = self._known.get(str(file.resolve()))
        if known is not None and known[:-1] == stamp:
            return str(known[-1])
        digest = sha256_of(file)
        if time.time_ns() - stat.st_ctime_ns > SETTLED_NS:
            self._known[str(file.resolve())] = [*stamp, digest]
            self._write()
        return digest

    def _write(self) -> None:
        temporary = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._known), encoding="utf-8")
            temporary.replace(self._path)
        except OSError as error:  # a full disk, say: the next start hashes again
            logger.warning("%s was not written: %s", self._path.name, error)
            temporary.unlink(missing_ok=True)


def sha256_of(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _read(path: Path) -> dict[str, list[int | str]]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(known, dict):
        return {}
    return {file: entry for file, entry in known.items() if isinstance(entry, list)}
