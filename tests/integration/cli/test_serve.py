"""`larder serve`: in this process until it is ready, and as a process of its own."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest

from app.cli import demo, serve
from app.db.datadir import DataDir, DataDirLock, read_owner
from app.decoder.types import PrecomputeReport
from tests.fakes.decoder import FakeDecoder
from tests.integration.cli.conftest import POOL, Larder

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
    monkeypatch.setattr(demo, "REPOSITORY", data_dir / "no-repository")
    serve.run_serve(None, 0, demo=True)
    visitor.join(300)
    assert answers == [200]
    assert "Larder is ready: http://127.0.0.1:" in capsys.readouterr().err
    assert read_owner(data_dir / "owner.json") == (None, None)


def test_a_first_start_is_ready_before_the_demo_is_stored(
    larder: Larder,
    decoder: FakeDecoder,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """People ask while the KV of the demo documents is computed; one that is no text is told."""
    folder = tmp_path / "repository" / "demo" / "millbrook" / "council"
    folder.mkdir(parents=True)
    (folder / "pool.md").write_text(POOL, encoding="utf-8")
    (folder / "void.md").write_text("", encoding="utf-8")
    monkeypatch.setattr(demo, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setattr(serve, "set_up_logging", lambda level: None)
    notes: list[str] = []
    monkeypatch.setattr(serve, "print_note", notes.append)
    titles: list[str] = []
    monkeypatch.setattr(demo, "print_report", lambda report, title: titles.append(title))
    may_store, precompute = threading.Event(), decoder.precompute

    async def wait_and_precompute(*arguments: Any, **options: Any) -> PrecomputeReport:
        while not may_store.is_set():
            await asyncio.sleep(0.01)
        return await precompute(*arguments, **options)

    monkeypatch.setattr(decoder, "precompute", wait_and_precompute)
    states: list[str] = []

    def visit() -> None:
        while not (found := [note for note in notes if note.startswith("Larder is ready: ")]):
            time.sleep(0.05)
        url = f"{found[0].removeprefix('Larder is ready: ')}/api/v1/collections/1/documents"
        while not states or states[-1] != "ready":
            states.append(httpx2.get(url, timeout=300).json()["items"][0]["state"])
            may_store.set()
            time.sleep(0.05)
        while not titles:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    serve.run_serve(None, 0, demo=True)
    visitor.join(300)
    assert states[0] == "indexed"
    assert titles == ["millbrook / council"]
    assert "void.md" in capsys.readouterr().err


def test_as_a_process(tmp_path: Path) -> None:
    """No model is loaded, no traceback is shown, standard output holds the result only."""
    DataDir.create(tmp_path / "data")
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
