"""The data directory: its layout, the server secret, and the lock against a second process."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from filelock import FileLock, Timeout

from app.errors import DataDirDamaged, DataDirInUse, InvalidSettings

SECRET_LEN = 32


@dataclass(frozen=True, slots=True)
class DataDir:
    """Where things lie. `create` makes what is missing and leaves what is there alone."""

    root: Path

    @classmethod
    def create(cls, root: Path) -> "DataDir":
        """Raises `InvalidSettings` where there can be no such folder or nothing can be written."""
        data_dir = cls(root.absolute())
        with _usable(data_dir.root):
            for folder in (data_dir.root, data_dir.kv, data_dir.models):
                folder.mkdir(parents=True, exist_ok=True)
            data_dir._create_secret()
        return data_dir

    @property
    def kv(self) -> Path:
        return self.root / "kv"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def database(self) -> Path:
        return self.root / "larder.db"

    @property
    def secret_file(self) -> Path:
        return self.root / "secret"

    def secret(self) -> bytes:
        """32 random bytes, made once; namespaces of the KV store are derived from them."""
        value = self.secret_file.read_bytes()
        if len(value) != SECRET_LEN:
            raise DataDirDamaged(
                f"{self.secret_file} holds {len(value)} bytes, not {SECRET_LEN}; restore it from a "
                "backup, or delete it together with the folder kv"
            )
        return value

    def node(self) -> str:
        """A name for this directory, made once, by which a database that several servers share
        tells whose jobs were left behind."""
        path = self.root / "node"
        if not path.exists():
            temporary = self.root / f"node.{os.getpid()}.tmp"
            _write_durably(temporary, secrets.token_hex(8).encode(), mode=0o600)
            temporary.replace(path)
        return path.read_text(encoding="ascii").strip()

    def _create_secret(self) -> None:
        if self.secret_file.exists():
            self.secret()  # one that cannot be used is told now, not at the first question
            return
        # Written whole under another name first: a crash never leaves half a secret.
        temporary = self.root / f"secret.{os.getpid()}.tmp"
        _write_durably(temporary, secrets.token_bytes(SECRET_LEN), mode=0o600)
        temporary.replace(self.secret_file)


class DataDirLock:
    """Held while a process works on a data directory; the kernel frees it when that process dies.

    `owner.json` beside the lock tells the next one who is there. It may be stale: only the lock
    counts.
    """

    def __init__(self, data_dir: DataDir, url: str | None = None) -> None:
        self._root = data_dir.root
        self._url = url
        self._owner_file = data_dir.root / "owner.json"
        self._lock = FileLock(data_dir.root / "larder.lock", timeout=0)

    def acquire(self) -> None:
        """Raises `DataDirInUse` at once where another process holds it."""
        try:
            with _usable(self._root):
                self._lock.acquire()
        except Timeout:
            raise DataDirInUse(self._describe_holder()) from None
        self.announce(self._url)

    def announce(self, url: str | None) -> None:
        """Say where the holder is reached (again, once a free port is known)."""
        self._url = url
        text = json.dumps({"pid": os.getpid(), "url": url})
        temporary = self._owner_file.with_suffix(".tmp")
        _write_durably(temporary, text.encode(), mode=0o600)
        temporary.replace(self._owner_file)

    def release(self) -> None:
        if self._lock.is_locked:
            self._owner_file.unlink(missing_ok=True)
            self._lock.release()

    def __enter__(self) -> "DataDirLock":
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()

    def _describe_holder(self) -> str:
        pid, url = read_owner(self._owner_file)
        who = f"process {pid}" if pid is not None else "another process"
        where = f" ({url})" if url else ""
        return (
            f"{self._root} is in use by {who}{where}; stop it, or choose another folder with "
            "LARDER_DATA_DIR"
        )


@contextmanager
def _usable(root: Path) -> Iterator[None]:
    """What the operating system refuses, as one sentence."""
    try:
        yield
    except Timeout:  # of the lock: an OSError too
        raise
    except OSError as error:
        raise InvalidSettings(
            f"{root} cannot be the data directory: {error.strerror or error}; choose another "
            "folder with LARDER_DATA_DIR"
        ) from error


def read_owner(path: Path) -> tuple[int | None, str | None]:
    """Process id and URL out of an owner file; None for what is missing or unreadable."""
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None, None
    if not isinstance(owner, dict):
        return None, None
    pid, url = owner.get("pid"), owner.get("url")
    return pid if isinstance(pid, int) else None, url if isinstance(url, str) else None


def _write_durably(path: Path, data: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
