"""Entry files under one folder, spread over 256 subfolders by the first two digits of their digest.

Knows files, not what they cost or who uses them. Methods raise OSError as it comes.
"""

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from kvstore.entry_file import KEY_FIELDS, STATISTIC, TEMP_SUFFIX, write_file
from kvstore.errors import CorruptEntry
from kvstore.quarantine import Quarantine
from kvstore.types import EntryKey

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; nothing of it is checked."""

    key: EntryKey
    num_tokens: int


class EntryFolder:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._quarantine = Quarantine(directory / "quarantine")

    def read(self, digest: str) -> bytes:
        return self._path(digest).read_bytes()

    def write(self, digest: str, data: bytes) -> None:
        """Whole or not at all, also after a crash."""
        path = self._path(digest)
        path.parent.mkdir(exist_ok=True)
        write_file(path, data)

    def remove(self, digest: str) -> int:
        """Bytes that went, a damaged copy in quarantine too; 0 where there is no such file."""
        num_bytes = 0
        for path in (self._path(digest), self._quarantine.folder / (digest + SUFFIX)):
            try:
                num_bytes += path.stat().st_size
                path.unlink()
            except FileNotFoundError:
                continue
        return num_bytes

    def size(self, digest: str) -> int:
        return self._path(digest).stat().st_size

    def changed_at(self, digest: str) -> float:
        return self._path(digest).stat().st_mtime

    def header(self, digest: str) -> Header:
        """Raises CorruptEntry where the file does not open as one of ours."""
        return self._header(self._path(digest))

    def set_aside(self) -> Iterator[tuple[str, EntryKey | None]]:
        """Digest and key of each file in quarantine; None where it cannot be told any more."""
        for path in sorted(self._quarantine.folder.glob("*" + SUFFIX)):
            digest = path.name.removesuffix(SUFFIX)
            try:
                yield digest, self._header(path).key
            except (CorruptEntry, FileNotFoundError):
                yield digest, None

    def _header(self, path: Path) -> Header:
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                num_tokens = int(file.get_slice("token_ids").get_shape()[0])
            return Header(EntryKey(**{name: metadata[name] for name in KEY_FIELDS}), num_tokens)
        except FileNotFoundError:
            raise
        except (SafetensorError, OSError, KeyError, IndexError) as error:
            raise CorruptEntry(f"{path.name[:12]}: {error}") from error

    def statistics(self, digest: str) -> dict[str, torch.Tensor]:
        """The statistics alone: a few of the file's pages. Raises CorruptEntry where it does not
        open as one of ours."""
        try:
            with safe_open(self._path(digest), framework="pt") as file:
                names = [name for name in file.keys() if name.startswith(STATISTIC)]  # noqa: SIM118
                return {name.removeprefix(STATISTIC): file.get_tensor(name) for name in names}
        except FileNotFoundError:
            raise
        except (SafetensorError, OSError) as error:
            raise CorruptEntry(f"{digest[:12]}: {error}") from error

    def put_aside(self, digest: str) -> None:
        """Move a damaged file to quarantine, where it is in nobody's way."""
        self._quarantine.take(self._path(digest))

    def digests(self) -> Iterator[str]:
        """Of every entry file there is; empty where the folder is gone."""
        for folder in self._folders():
            for path in folder.glob("*" + SUFFIX):
                if path == self._path(path.name.removesuffix(SUFFIX)):
                    yield path.name.removesuffix(SUFFIX)

    def clear_leftovers(self) -> None:
        """Remove temporary files of processes that ended while writing, and put aside entry files
        that lie where no look-up would find them."""
        for folder in self._folders():
            for path in list(folder.glob("*" + SUFFIX)):
                if path != self._path(path.name.removesuffix(SUFFIX)):
                    self._quarantine.take(path)
            for leftover in folder.glob("*" + TEMP_SUFFIX):
                if not _is_being_written(leftover):
                    self._unlink(leftover)

    def _unlink(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            logger.warning("leftover %s stays: %s", path.name[:12], error)

    def _folders(self) -> list[Path]:
        try:
            inside = list(self._directory.iterdir())
        except OSError as error:
            logger.warning("the KV folder cannot be read: %s", error)
            return []
        return [path for path in inside if path != self._quarantine.folder and path.is_dir()]

    def _path(self, digest: str) -> Path:
        return self._directory / digest[:2] / (digest + SUFFIX)


def _is_being_written(leftover: Path) -> bool:
    """Whether another process that is alive has this temporary file open (its name says which)."""
    pid = leftover.name.removesuffix(TEMP_SUFFIX).rpartition(".")[2]
    if not pid.isdecimal() or int(pid) == os.getpid():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
