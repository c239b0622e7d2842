"""`larder serve`: in this process until it is ready, and as a process of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx2
import pytest

from app.cli import prepare, serve
from app.db.datadir import DataDir, DataDirLock, read_owner
from tests.integration.cli.conftest import Larder

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def test_a_taken_port_is_refused_before_anything_is_loaded(
    larder: Larder, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert larder("serve", "--port", port) == 2
    captured = capsys.readouterr().err
    assert f"port {port} on 127.0.0.1 is taken" in captured
    assert not data_dir.exists()


def test_an_address_that_is_not_here(larder: Larder, capsys: pytest.CaptureFixture[str]) -> None:
    assert larder("serve", "--host", "192.0.2.1", "--port", "0") == 2
    assert "cannot listen on 192.0.2.1" in capsys.readouterr().err


def test_a_second_server_is_refused(
    larder: Larder, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DataDirLock(DataDir.create(data_dir), "http://127.0.0.1:1"):
        assert larder("serve", "--port", "0") == 2
    error = capsys.readouterr().err
    assert "is in use by process" in error
    assert "http://127.0.0.1:1" in error


def test_a_server_that_does_not_answer_is_named(
    larder: Larder, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with DataDirLock(DataDir.create(data_dir), url):
        assert larder("ask", "Why?", "-c", "town") == 2
    assert f"Larder at {url} does not answer" in capsys.readouterr().err


def test_a_holder_without_a_server_is_named(
    larder: Larder, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with DataDirLock(DataDir.create(data_dir)):
        assert larder("ask", "Why?", "-c", "town") == 2
    assert f"in use by process {os.getpid()}" in capsys.readouterr().err


def test_serve_answers_until_it_is_told_to_stop(
    larder: Larder,
    data_dir: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The signal goes to this process, which goes on: nothing is cut off by it."""
    answers: list[int] = []

    def visit() -> None:
        while (url := read_owner(data_dir / "owner.json")[1]) is None:
            time.sleep(0.05)
        answers.append(httpx2.get(f"{url}/healthz", timeout=300).status_code)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(serve, "set_up_logging", lambda level: None)
    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    monkeypatch.setattr(prepare, "REPOSITORY", data_dir / "no-repository")
    serve.run_serve(None, 0, demo=True)
    visitor.join(300)
    assert answers == [200]
    assert "Larder is ready: http://127.0.0.1:" in capsys.readouterr().err
    assert read_owner(data_dir / "owner.json") == (None, None)


def test_as_a_process(tmp_path: Path) -> None:
    """No model is loaded, no traceback is shown, standard output holds the result only."""
    environment = os.environ | {"LARDER_DATA_DIR": str(tmp_path / "data")}
    command = [sys.executable, "-m", "app"]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    listed = run("collections", "ls", "--json")
    assert (listed.returncode, json.loads(listed.stdout)) == (0, {"items": []}), listed.stderr
    failed = run("sources", "set", "nobody", "--reliability", "0.5")
    assert failed.returncode == 2
    assert failed.stderr.strip() == "error: there is no source 'nobody'"
    assert run("no-such-command").returncode == 2
