"""Real documents for `larder bench ingest`: documentation and sources out of a folder."""

import hashlib
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidValue

SUFFIXES = frozenset({".md", ".rst", ".txt", ".html", ".py"})
MIN_BYTES, MAX_BYTES = 1_000, 60_000


@dataclass(frozen=True, slots=True)
class BenchDocument:
    name: str
    body: bytes


def installed_packages() -> Path:
    """Where this interpreter's packages lie."""
    return Path(sysconfig.get_path("purelib"))


def collect(folder: Path, count: int) -> list[BenchDocument]:
    """`count` different text files of 1 to 60 kB, the same ones each time, in mixed order.

    Raises `InvalidValue` where there are fewer.
    """
    paths = [path for path in folder.rglob("*") if path.suffix in SUFFIXES and path.is_file()]
    paths.sort(
        key=lambda path: hashlib.sha256(path.relative_to(folder).as_posix().encode()).digest()
    )
    found: dict[bytes, BenchDocument] = {}
    for path in paths:
        if len(found) == count:
            break
        if MIN_BYTES <= path.stat().st_size <= MAX_BYTES:
            body = path.read_bytes()
            name = path.relative_to(folder).as_posix().replace("/", "-")
            found.setdefault(hashlib.sha256(body).digest(), BenchDocument(name, body))
    if len(found) < count:
        raise InvalidValue(
            f"{folder} holds {len(found):,} different text files of {MIN_BYTES:,} to "
            f"{MAX_BYTES:,} bytes, not {count:,}; name another folder or fewer documents"
        )
    return list(found.values())


def small_documents(count: int) -> list[BenchDocument]:
    """Different documents of one short passage each, for long runs."""
    return [
        BenchDocument(f"{number}.md", f"# Note {number}\n\nLamp {number} was lit.\n".encode())
        for number in range(count)
    ]
