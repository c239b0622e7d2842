"""Larder as a process of its own, the way a user starts it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.packaged_model import ROOT

READY = "Larder is ready: "
START_S = 600  # seconds here, minutes on a machine that is shared with many
STOP_S = 120

# The limit comes first; then this is `larder` itself. Python leaves SIGXFSZ ignored, so a write
# beyond the limit fails as it does on a full disk.
LIMITED = (
    "import resource, sys; limit = int(sys.argv.pop(1));"
    "resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit));"
    "from app.cli import main; main()"
)


@dataclass(frozen=True, slots=True)
class Server:
    url: str
    pid: int
    data_dir: Path


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    given = {f"LARDER_{name.upper()}": value for name, value in settings.items()}
    return os.environ | {"LARDER_DATA_DIR": str(data_dir), "OMP_WAIT_POLICY": "PASSIVE"} | given


def command(*arguments: str, file_limit: int | None = None) -> list[str]:
    if file_limit is None:
        return [sys.executable, "-m", "app", *arguments]
    return [sys.executable, "-c", LIMITED, str(file_limit), *arguments]


def run_larder(
    data_dir: Path, *arguments: str, file_limit: int | None = None, **settings: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments, file_limit=file_limit),
        cwd=ROOT,
        env=environment(data_dir, **settings),
        capture_output=True,
        text=True,
        timeout=START_S,
        check=False,
    )


@contextmanager
def serving(data_dir: Path, **settings: str) -> Iterator[Server]:
    """`larder serve` on a free port; stopped, and if it must be killed, when the block ends."""
    log = data_dir.with_name(f"{data_dir.name}.log")
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(
            command("serve", "--port", "0"),
            cwd=ROOT,
            env=environment(data_dir, **settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield Server(_wait_for_url(process, log), process.pid, data_dir)
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for_url(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while process.poll() is None and time.monotonic() < deadline:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.startswith(READY):
                return line.removeprefix(READY).strip()
        time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{log.read_text(encoding='utf-8')}")
