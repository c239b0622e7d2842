"""The built pages in app/static must come from the sources in web/ as they are now."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
WEB = ROOT / "web"
STATIC = ROOT / "app" / "static"


def _source_files() -> Iterator[Path]:
    for folder, subfolders, files in os.walk(WEB):
        subfolders[:] = [name for name in subfolders if not _is_skipped(name)]
        yield from (Path(folder, name) for name in files)


def _is_skipped(folder: str) -> bool:
    return folder == "node_modules" or folder.startswith(".")


def _digest() -> str:
    """As in web/scripts/stamp.mjs: name, NUL and bytes with LF line ends, sorted by name."""
    digest = hashlib.sha256()
    for name in sorted(path.relative_to(WEB).as_posix() for path in _source_files()):
        digest.update(name.encode() + b"\0")
        digest.update((WEB / name).read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()


def test_built_pages_match_their_sources() -> None:
    stamped = (STATIC / "source.sha256").read_text(encoding="utf-8").strip()
    assert stamped == _digest(), (
        "web/ changed since app/static was built: "
        "run `npm --prefix web ci && npm --prefix web run build`"
    )


def test_page_runs_no_inline_script_and_names_no_other_host() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    assert "<script>" not in page
    assert "//" not in page.replace("<!doctype html>", "")


def test_every_file_the_page_names_was_built() -> None:
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    named = [part.split('"')[0] for part in page.split('="/')[1:]]
    assert named
    assert all((STATIC / name).is_file() for name in named)


def test_lockfile_names_no_registry() -> None:
    assert '"resolved"' not in (WEB / "package-lock.json").read_text(encoding="utf-8")
