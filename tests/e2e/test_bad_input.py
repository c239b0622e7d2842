"""What goes wrong from outside, on real processes: each time one clear line, and nothing lost."""

import json
import re
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.fakes.pdf_bytes import make_pdf
from tests.support.processes import Server, run_larder

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FIFTY_MB = 50 * 2**20
GOOD = "# Tolls\n\nThe toll on the old bridge was two pfennigs a cart until 1868.\n"
WAIT_S = 300


def files() -> dict[str, bytes]:
    """By name; only the first is a document."""
    return {
        "good.md": GOOD.encode(),
        "broken.pdf": b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog",
        "locked.pdf": make_pdf([["Nobody may read this."]], password="secret"),
        "photo.bin": bytes(range(256)) * 40,
        "empty.txt": b"",
        "huge.txt": b"far too long\n" * (FIFTY_MB // 13 + 1),
    }


REASONS = {
    "broken.pdf": "damaged",
    "locked.pdf": "password",
    "photo.bin": "not a text file",
    "empty.txt": "is empty",
    "huge.txt": "larger than",
}


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=WAIT_S, trust_env=False) as client:
        yield client


def one_error(text: str) -> str:
    """The only line of standard error that is not progress."""
    errors = [line for line in text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, text
    assert "Traceback" not in text
    return errors[0]


def test_a_taken_port_is_told_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        started = time.monotonic()
        done = run_larder(tmp_path / "data", "serve", "--port", port)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: port {port} on 127.0.0.1 is taken")
    assert len(done.stderr.splitlines()) == 1
    assert time.monotonic() - started < 60  # no model was loaded, even on a busy machine
    assert not (tmp_path / "data").exists()


def test_a_second_server_is_told_who_is_there(server: Server) -> None:
    done = run_larder(server.data_dir, "serve", "--port", "0")
    assert done.returncode == 2
    error = one_error(done.stderr)
    assert f"in use by process {server.pid} ({server.url})" in error


def test_a_missing_model_is_named(tmp_path: Path) -> None:
    done = run_larder(tmp_path / "data", "serve", "--port", "0", model="/nonexistent")
    assert done.returncode == 2
    assert "LARDER_MODEL names /nonexistent, which is not a folder" in one_error(done.stderr)


def test_an_upload_takes_what_is_a_document_and_says_what_is_not(http: httpx2.Client) -> None:
    collection = http.post("/api/v1/collections", json={"name": "mixed"}).json()["id"]
    path = f"/api/v1/collections/{collection}/documents"
    parts = [("file", (name, body)) for name, body in files().items()]
    reply = http.post(path, files=parts)
    assert reply.status_code == 202
    items = {item["name"]: item for item in reply.json()["items"]}
    assert {name for name, item in items.items() if "code" in item} == {"empty.txt", "huge.txt"}
    assert items["empty.txt"]["code"] == "empty_document"
    assert items["huge.txt"]["code"] == "document_too_large"
    settled = {name: settle(http, item["id"]) for name, item in items.items() if "id" in item}
    said = {name: item.get("detail") or settled[name]["error"] for name, item in items.items()}
    assert said.pop("good.md") is None
    check_reasons(said)
    assert settled.pop("good.md")["state"] == "ready"
    assert [(d["state"], d["chunks"]) for d in settled.values()] == [("failed", 0)] * 3
    held = http.get(f"/api/v1/collections/{collection}").json()
    assert (held["documents_ready"], held["chunks"]) == (1, 1)


def settle(http: httpx2.Client, document_id: int) -> dict[str, object]:
    deadline = time.monotonic() + WAIT_S
    while (document := http.get(f"/api/v1/documents/{document_id}").json())["state"] not in {
        "ready",
        "failed",
    }:
        assert time.monotonic() < deadline, document
        time.sleep(0.1)
    return document


def check_reasons(said: dict[str, str]) -> None:
    assert said.keys() == REASONS.keys()
    for name, words in REASONS.items():
        assert words in said[name], said[name]


def test_the_only_file_being_too_large_is_413(http: httpx2.Client) -> None:
    collection = http.post("/api/v1/collections", json={"name": "huge"}).json()["id"]
    path = f"/api/v1/collections/{collection}/documents"
    reply = http.post(path, files={"file": ("huge.txt", b"x" * FIFTY_MB)})
    assert (reply.status_code, reply.json()["code"]) == (413, "document_too_large")
    assert http.get(path).json()["items"] == []


def test_the_command_line_lists_each_failure(server: Server, tmp_path: Path) -> None:
    for name, body in files().items():
        (tmp_path / name).write_bytes(body)
    done = run_larder(server.data_dir, "ingest", str(tmp_path), "-c", "mixed-cli", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert (report["documents"], report["chunks"]) == (1, 1)
    check_reasons(dict(report["failures"]))
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == len(REASONS)
    assert "Traceback" not in done.stderr


def test_an_unknown_collection(server: Server, http: httpx2.Client) -> None:
    body = {"question": "Why?", "collection": "atlantis"}
    reply = http.post("/api/v1/runs", json=body)
    assert (reply.status_code, reply.json()["code"]) == (404, "collection_not_found")
    done = run_larder(server.data_dir, "ask", "Why?", "-c", "atlantis")
    assert (done.returncode, done.stdout) == (2, "")
    assert one_error(done.stderr) == "error: there is no collection 'atlantis'"


def test_no_passage_matches(server: Server, http: httpx2.Client) -> None:
    """An empty collection has nothing to find; the model is not asked to make something up."""
    http.post("/api/v1/collections", json={"name": "bare"})
    done = run_larder(server.data_dir, "ask", "Who built it?", "-c", "bare", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["finish_reason"] == "no_match"
    assert "bare" in report["answer"]
    assert (report["plan"], report["citations"], report["tokens"]["prompt"]) == (None, [], 0)


def test_a_question_longer_than_the_context(server: Server, http: httpx2.Client) -> None:
    http.post("/api/v1/collections", json={"name": "short"})
    collection = http.get("/api/v1/collections").json()["items"][-1]["id"]
    reply = http.post(
        f"/api/v1/collections/{collection}/documents", files={"file": ("good.md", GOOD.encode())}
    )
    settle(http, reply.json()["items"][0]["id"])
    question = "What was the toll? " * 1700
    reply = http.post("/api/v1/runs", json={"question": question, "collection": str(collection)})
    assert reply.status_code == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["code"] == "question_too_long"
    assert re.search(r"\d+ tokens too long for the model's context", reply.json()["detail"])
    done = run_larder(server.data_dir, "ask", question, "-c", str(collection))
    assert done.returncode == 2
    assert "too long for the model's context" in one_error(done.stderr)


def test_the_database_holds_no_half_document(server: Server) -> None:
    """After all of the above: what failed left a row that says why, and nothing else."""
    with sqlite3.connect(f"file:{server.data_dir / 'larder.db'}?mode=ro", uri=True) as connection:
        orphans = connection.execute(
            "SELECT count(*) FROM chunks JOIN documents ON documents.id = document_id"
            " WHERE state <> 'ready'"
        ).fetchone()
        unexplained = connection.execute(
            "SELECT count(*) FROM documents WHERE state = 'failed' AND error IS NULL"
        ).fetchone()
    connection.close()
    assert (orphans, unexplained) == ((0,), (0,))
