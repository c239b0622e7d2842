"""Commands as a user types them: what they print, and their exit codes."""

import json
import re
from pathlib import Path

import httpx2
import pytest

from app.cli import demo, prepare
from app.settings import load_settings
from tests.fakes.app import live_server
from tests.fakes.decoder import FakeDecoder
from tests.integration.cli.conftest import ANSWER, BUDGET, POOL, Larder

Captured = pytest.CaptureFixture[str]
QUESTION = "When does the pool open, and what does a ticket cost?"


def test_help_names_every_command(larder: Larder, capsys: Captured) -> None:
    assert larder("--help") == 0
    shown = capsys.readouterr().out
    for name in ("serve", "prepare", "ingest", "ask", "doctor", "sources", "collections"):
        assert name in shown


def test_ingest_shows_a_summary(larder: Larder, folder: Path, capsys: Captured) -> None:
    assert larder("ingest", str(folder), "--collection", "town", "--source", "council") == 0
    captured = capsys.readouterr()
    assert re.search(r"town\s+2\s+2\s+\d+\s+2", captured.out)
    assert larder("collections", "ls") == 0
    assert re.search(r"town\s+2\s+2\s+2", capsys.readouterr().out)


def test_ingest_as_json_and_again(larder: Larder, folder: Path, capsys: Captured) -> None:
    for _ in range(2):
        assert larder("ingest", str(folder / "pool.md"), "-c", "town", "--json") == 0
        report = json.loads(capsys.readouterr().out)
        assert (report["documents"], report["chunks"], report["failures"]) == (1, 1, [])
    larder("collections", "ls", "--json")
    assert json.loads(capsys.readouterr().out)["items"][0]["documents"] == 1


def test_failures_are_listed_and_the_rest_is_in(
    larder: Larder, folder: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARDER_MAX_DOCUMENT_BYTES", "1000")
    (folder / "big.md").write_text("x" * 1001, encoding="utf-8")
    (folder / "empty.md").touch()
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert larder("ingest", str(folder), "-c", "town") == 1
    captured = capsys.readouterr()
    assert re.search(r"town\s+2\s+2\s", captured.out)
    assert "error: big.md: big.md is larger than 1,000 bytes" in captured.err
    assert "error: empty.md: empty.md is empty" in captured.err
    assert "error: picture.png: picture.png is a PNG image" in captured.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ingest", "gone.md", "-c", "town"), "gone.md is neither a file nor a folder"),
        (("ask", "Why?", "-c", "nowhere"), "there is no collection 'nowhere'"),
        (("ask", "Why?", "-c", "nowhere", "--ratio", "7"), "ratio"),
        (("sources", "set", "nobody", "--reliability", "0.5"), "there is no source 'nobody'"),
        (("serve", "--port", "99999"), "LARDER_PORT"),
    ],
)
def test_mistakes_are_one_line_and_exit_code_2(
    larder: Larder, data_dir: Path, capsys: Captured, arguments: tuple[str, ...], message: str
) -> None:
    data_dir.mkdir()
    assert larder(*arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error
    assert "Traceback" not in error


def test_an_empty_folder_is_a_mistake(larder: Larder, tmp_path: Path, capsys: Captured) -> None:
    (tmp_path / "bare").mkdir()
    assert larder("ingest", str(tmp_path / "bare"), "-c", "town") == 2
    assert "there are no files in" in capsys.readouterr().err


def test_ask_streams_then_cites(larder: Larder, folder: Path, capsys: Captured) -> None:
    larder("ingest", str(folder), "-c", "town", "-s", "council")
    capsys.readouterr()
    assert larder("ask", QUESTION, "--collection", "town") == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(ANSWER)
    assert "[1] Kiln Lane pool  (council, reliability 0.50)" in captured.out
    assert (
        "“The pool in Kiln Lane opens at 7:00 on weekdays and at 9:30 at weekends.”" in captured.out
    )
    assert "prompt tokens came from the store" in captured.err
    assert "Low support (52%, calibrated on generated worlds only)" in captured.err
    assert "Pieces of evidence: 1 for it, 0 for something else." in captured.err


def test_ask_as_json(larder: Larder, folder: Path, capsys: Captured, decoder: FakeDecoder) -> None:
    larder("ingest", str(folder), "-c", "town")
    capsys.readouterr()
    arguments = ("--reuse", "auto", "--policy", "seam", "--ratio", "0.3", "--max-tokens", "50")
    assert larder("ask", QUESTION, "-c", "town", "--json", *arguments) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["answer"] == ANSWER
    assert {"citations", "tokens", "timings_ms", "plan", "model", "question"} <= set(report)
    assert report["plan"]["segments"][0]["kind"] == "prefix"
    reuse = decoder.requests[0].reuse
    assert (reuse.mode, reuse.policy, reuse.ratio) == ("auto", "seam", 0.3)
    assert report["trust"] == report["verdict"]["trust"] == "weighted"
    assert report["explanation"]["kind"] == report["verdict"]["kind"]
    assert larder("ask", QUESTION, "-c", "town", "--trust", "vote", "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"]["trust"] == "vote"


def test_ask_without_a_match(larder: Larder, folder: Path, capsys: Captured) -> None:
    larder("ingest", str(folder), "-c", "town")
    capsys.readouterr()
    assert larder("ask", "Zebras?", "-c", "town") == 0
    captured = capsys.readouterr()
    assert "Nothing in the collection “town” matches" in captured.out
    assert "prompt tokens" not in captured.err


def test_filters(larder: Larder, folder: Path, capsys: Captured) -> None:
    told = ("--tag", "baths", "--date", "2026-05-01", "--source", "council")
    assert larder("ingest", str(folder / "pool.md"), "-c", "town", *told) == 0
    capsys.readouterr()
    for wanted, is_found in [
        (("--tag", "baths", "--since", "2026-05-01", "--until", "2026-05-01"), True),
        (("--source", "council", "--source", "nobody", "--min-reliability", "0.4"), True),
        (("--tag", "baths", "--tag", "law"), False),
        (("--until", "2026-04-30"), False),
        (("--min-reliability", "0.6"), False),
    ]:
        assert larder("ask", QUESTION, "-c", "town", "--json", *wanted) == 0
        reason = json.loads(capsys.readouterr().out)["finish_reason"]
        assert (reason != "no_match") == is_found, wanted
    assert larder("ingest", str(folder), "-c", "town", "--date", "soon") == 2
    assert "is not a date" in capsys.readouterr().err


def test_sources(larder: Larder, folder: Path, capsys: Captured) -> None:
    larder("ingest", str(folder), "-c", "town", "-s", "council")
    assert larder("sources", "set", "council", "--reliability", "0.8") == 0
    assert "council: reliability 0.50 -> 0.80" in capsys.readouterr().err
    assert larder("sources", "ls") == 0
    assert re.search(r"council\s+0\.80\s+2", capsys.readouterr().out)
    larder("sources", "ls", "--json")
    assert json.loads(capsys.readouterr().out)["items"][0]["name"] == "council"


def test_commands_use_a_running_server(
    larder: Larder, folder: Path, data_dir: Path, capsys: Captured
) -> None:
    with live_server(load_settings(data_dir=data_dir)) as url:
        assert larder("ingest", str(folder), "-c", "town", "-s", "council") == 0
        assert f"Using the server at {url}" in capsys.readouterr().err
        assert larder("ask", QUESTION, "-c", "town") == 0
        assert capsys.readouterr().out.startswith(ANSWER)
        assert larder("sources", "set", "council", "--reliability", "0.9") == 0
        assert larder("doctor") in {0, 1}
        assert f"used by the server at {url}" in capsys.readouterr().out


def test_prepare_is_idempotent_and_follows_edits(
    larder: Larder, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "repository"
    council = repository / "demo" / "millbrook" / "council"
    council.mkdir(parents=True)
    (repository / "docs").mkdir()
    (council / "pool.md").write_text(POOL, encoding="utf-8")
    (repository / "docs" / "api.md").write_text(BUDGET, encoding="utf-8")
    monkeypatch.setattr(demo, "REPOSITORY", repository)
    for _ in range(2):
        assert larder("prepare") == 0
        larder("collections", "ls", "--json")
        found = json.loads(capsys.readouterr().out[-2000:].split("\n{", 1)[-1].join(["{", ""]))
        assert {item["name"]: item["documents"] for item in found["items"]} == {
            "millbrook": 1,
            "larder-docs": 1,
        }
    (council / "pool.md").write_text(POOL.replace("4.80", "5.20"), encoding="utf-8")
    assert larder("prepare") == 0
    assert "removed the older pool.md" in capsys.readouterr().err
    monkeypatch.setattr(prepare, "is_converted", lambda _: True)
    capsys.readouterr()
    assert larder("prepare") == 0
    shown = capsys.readouterr().err
    assert "are ready" in shown
    assert "loading" not in shown  # told from the tables: a second start loads no model here
    larder("collections", "ls", "--json")
    found = json.loads(capsys.readouterr().out)
    assert {item["documents"] for item in found["items"]} == {1}


def test_a_deleted_demo_document_stays_away(
    larder: Larder, tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "repository" / "docs"
    docs.mkdir(parents=True)
    for name, text in (("pool", POOL), ("budget", BUDGET)):
        (docs / f"{name}.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(demo, "REPOSITORY", tmp_path / "repository")
    monkeypatch.setattr(prepare, "is_converted", lambda _: True)
    assert larder("prepare") == 0
    with live_server(load_settings()) as url:
        httpx2.delete(f"{url}/api/v1/documents/1").raise_for_status()
        assert larder("prepare") == 0
        capsys.readouterr()
        larder("collections", "ls", "--json")
    found = json.loads(capsys.readouterr().out)
    assert [item["documents"] for item in found["items"]] == [1]


def test_doctor_says_what_is_wrong(
    larder: Larder, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LARDER_KV_DISK_BYTES", "900TB")
    assert larder("doctor") == 1
    shown = capsys.readouterr().out
    assert re.search(r"^ok\s+torch\s+\d", shown, re.MULTILINE)
    assert re.search(r"^ok\s+database\s+ok", shown, re.MULTILINE)
    assert re.search(r"^ok\s+chunk reuse\s+proven", shown, re.MULTILINE)
    assert re.search(r"^problem\s+disk\s+.*LARDER_KV_DISK_BYTES", shown, re.MULTILINE)
