"""`larder doctor`: is everything there, does it work, and what to do where it does not."""

import asyncio
import importlib.metadata
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.text import Text

from app.cli.connect import connect, running_server
from app.cli.output import out, print_note
from app.cli.remote import JsonObject
from app.errors import LarderError
from app.main import STATIC
from app.settings import Settings, load_settings
from kvstore.errors import KVStoreError
from retrieval.errors import RetrievalError

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line; `advice` is there where something is wrong."""

    part: str
    state: str
    advice: str | None = None


def run_doctor() -> None:
    """Exit code 1 where anything is wrong."""
    settings = load_settings()
    findings = [*check_machine(settings), *asyncio.run(_check_application(settings))]
    for finding in findings:
        _print(finding)
    if any(finding.advice for finding in findings):
        raise typer.Exit(1)


def check_machine(settings: Settings) -> Iterator[Finding]:
    """What can be seen without loading anything."""
    version = platform.python_version()
    is_old = sys.version_info < OLDEST_PYTHON
    yield Finding("python", version, "install Python 3.11 or newer" if is_old else None)
    for package in ("torch", "transformers"):
        yield _check_package(package)
    yield _check_disk(settings)
    server = running_server(settings)
    user = f", used by the server at {server}" if server else ""
    yield Finding("data directory", f"{settings.data_dir}{user}")
    yield _check_page(STATIC)


def _check_package(name: str) -> Finding:
    try:
        return Finding(name, importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "missing", "run `make install`")


def _check_disk(settings: Settings) -> Finding:
    """The KV store may grow up to its budget; what it holds already is counted as free."""
    data_dir = settings.data_dir.absolute()
    folder = next(path for path in (data_dir, *data_dir.parents) if path.exists())
    entries = (path for path in (data_dir / "kv").rglob("*") if path.is_file())
    used = sum(path.stat().st_size for path in entries)
    free = shutil.disk_usage(folder).free
    state = f"{free / 1e9:,.1f} GB free"
    if free + used >= settings.kv_disk_bytes:
        return Finding("disk", state)
    return Finding(
        "disk",
        state,
        f"the KV store may take {settings.kv_disk_bytes / 1e9:,.1f} GB; free some room, or set "
        "LARDER_KV_DISK_BYTES lower",
    )


def _check_page(static: Path) -> Finding:
    if (static / "index.html").is_file():
        return Finding("web page", "built")
    return Finding("web page", "not built", "app/static is missing; all else works")


async def _check_application(settings: Settings) -> list[Finding]:
    """Load everything, or ask the server that has done so."""
    try:
        async with connect(settings, print_note) as client:
            ready = await client.readiness()
            cache = await client.get("/api/v1/cache")
            watch = await client.get("/api/v1/cache/watch")
    except (LarderError, RetrievalError, KVStoreError) as error:
        return [Finding("server", "does not start", str(error))]
    return [*_check_parts(ready), *_check_reuse(cache), *_check_watch(watch)]


def _check_parts(ready: JsonObject) -> Iterator[Finding]:
    checks = ready["checks"]
    assert isinstance(checks, dict)
    for part, state in checks.items():
        yield Finding(part, state, None if state == "ok" else "see the server's log")


def _check_reuse(cache: JsonObject) -> Iterator[Finding]:
    reuse = cache["chunk_reuse"]
    assert isinstance(reuse, dict)
    yield Finding("decoder model", f"{cache['model']}, {cache['dtype']}")
    code = str(reuse["reason"]).split(":")[0]
    advice = None if reuse["allowed"] else _ADVICE.get(code, "only exact reuse is served")
    yield Finding("chunk reuse", str(reuse["reason"]), advice)


_ADVICE = {
    "not_calibrated": "run `larder calibrate`, then start Larder again",
    "drift_over_limit": "run `larder calibrate`, then start Larder again",
    "model_not_proven": "only exact reuse is served; choose another model",
    "exact_not_proven": "nothing is reused; choose another model",
    "model_unsupported": "nothing is reused; choose another model",
}


def _check_watch(watch: JsonObject) -> Iterator[Finding]:
    """What the production watch saw; it is at work only where chunks are reused."""
    if not watch["active"]:
        return
    state = f"{watch['checked']} answers checked against a full prefill"
    if watch["kl_mean"] is not None:
        state += f", mean drift {watch['kl_mean']:.4f} of at most {watch['limit']:g}"
    yield Finding("reuse watch", state)


def _print(finding: Finding) -> None:
    mark = ("problem", "bold red") if finding.advice else ("ok", "green")
    line = Text.assemble((f"{mark[0]:8}", mark[1]), f"{finding.part:16} {finding.state}")
    if finding.advice:
        line.append(f": {finding.advice}")
    out().print(line)
