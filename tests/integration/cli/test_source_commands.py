"""`larder sources` as a curator types it, with and without a running server."""

import asyncio
import json
import re
from pathlib import Path

import httpx2
import pytest

from app.bootstrap import open_storage
from app.cli.estimate import read_questions
from app.db.reliability_rows import NewProbe
from app.errors import InvalidValue
from app.settings import load_settings
from tests.fakes.app import live_server
from tests.fakes.decoder import FakeDecoder
from tests.integration.cli.conftest import Larder

Captured = pytest.CaptureFixture[str]
LABEL = ("--question", "When does it open?", "--answer", "7:00")


@pytest.fixture
def council(larder: Larder, folder: Path, capsys: Captured) -> str:
    larder("ingest", str(folder), "-c", "town", "-s", "council")
    capsys.readouterr()
    return "council"


def listed(larder: Larder, capsys: Captured) -> dict[str, dict[str, object]]:
    capsys.readouterr()
    assert larder("sources", "ls", "--json") == 0
    return {item["name"]: item for item in json.loads(capsys.readouterr().out)["items"]}


def shown(larder: Larder, capsys: Captured, name: str) -> dict[str, object]:
    capsys.readouterr()
    assert larder("sources", "show", name, "--observations", "10", "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_curators_day(larder: Larder, council: str, capsys: Captured) -> None:
    assert larder("sources", "label", council, *LABEL, "--right", "--topic", "hours") == 0
    assert re.search(r"council: reliability 0\.50 -> 0\.[67]", capsys.readouterr().err)
    assert larder("sources", "label", council, *LABEL, "--verdict", "0.5", "--by", "ole") == 0
    assert larder("sources", "quarantine", council, "--note", "to be seen") == 0
    assert listed(larder, capsys)["council"]["state"] == "quarantined"
    assert larder("sources", "quarantine", council, "--release", "--json") == 0
    assert json.loads(capsys.readouterr().out)["version"] == 4
    assert larder("sources", "rename", council, "Town council") == 0
    assert "council -> Town council" in capsys.readouterr().err
    assert larder("sources", "show", "council", "--observations", "5") == 0
    text = capsys.readouterr().out
    for part in ("Town council (id 1), active", "1 checked by people", "hours", "released", "7:00"):
        assert part in text
    assert larder("sources", "review") == 0
    assert "question to label" in capsys.readouterr().out
    assert larder("sources", "undo", "--author", "ole") == 0
    assert "1 observations; now version 5" in capsys.readouterr().err
    explained = shown(larder, capsys, "Town council")
    assert explained["counts"]["undone"] == 1
    numbers = [item["id"] for item in explained["observations"] if item["undone_by"] is None]
    undo = [part for number in numbers for part in ("--observation", str(number))]
    assert larder("sources", "undo", *undo, "--json") == 0
    assert json.loads(capsys.readouterr().out)["observations"] == 1
    assert listed(larder, capsys)["Town council"]["reliability"] == pytest.approx(0.5)
    assert larder("sources", "undo", "--version", "2") == 0
    assert listed(larder, capsys)["Town council"]["reliability"] > 0.5


def test_two_names_of_one_source(
    larder: Larder, council: str, folder: Path, capsys: Captured
) -> None:
    larder("ingest", str(folder / "pool.md"), "-c", "town", "-s", "mirror")
    larder("sources", "label", "mirror", *LABEL, "--right")
    capsys.readouterr()
    assert larder("sources", "merge", "mirror", council) == 0
    assert "mirror: merged into council; reliability" in capsys.readouterr().err
    sources = listed(larder, capsys)
    assert sources["mirror"]["merged_into"] == sources["council"]["id"]
    assert sources["mirror"]["reliability"] == sources["council"]["reliability"] > 0.5
    assert larder("sources", "undo", "--merge", "mirror") == 0
    assert listed(larder, capsys)["council"]["reliability"] == pytest.approx(0.5)
    assert larder("sources", "undo", "--source", "mirror", "--json") == 0
    assert json.loads(capsys.readouterr().out)["observations"] == 1


def test_where_a_source_starts(larder: Larder, council: str, capsys: Captured) -> None:
    assert larder("sources", "set", council, "--class", "curated") == 0
    assert "council: reliability 0.50 -> 0.83" in capsys.readouterr().err
    assert shown(larder, capsys, council)["class"] == "curated"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("label", "council", *LABEL), "--right or --wrong"),
        (("label", "council", *LABEL, "--verdict", "nan"), "between 0 and 1"),
        (("label", "council", *LABEL, "--verdict", "inf"), "between 0 and 1"),
        (("label", "council", *LABEL, "--verdict", "-0.5"), "between 0 and 1"),
        (("label", "nobody", *LABEL, "--right"), "there is no source 'nobody'"),
        (("show", "nobody"), "there is no source 'nobody'"),
        (("set", "council"), "--reliability, --class"),
        (("set", "council", "--class", "royal"), "unknown class of source 'royal'"),
        (("merge", "council", "council"), "itself"),
        (("undo",), "one of them"),
        (("undo", "--version", "9"), "no version 9"),
        (("undo", "--observation", "9"), "nothing to undo under 9"),
        (("undo", "--merge", "council"), "not merged"),
    ],
)
def test_mistakes_are_one_line(
    larder: Larder, data_dir: Path, capsys: Captured, arguments: tuple[str, ...], message: str
) -> None:
    make_source()
    assert larder("sources", *arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def make_source() -> None:
    async def make() -> None:
        async with open_storage(load_settings()) as storage:
            await storage.sources.get_or_create("council")

    asyncio.run(make())


def test_beside_a_running_server(larder: Larder, council: str, capsys: Captured) -> None:
    with live_server(load_settings()) as url:
        assert larder("sources", "label", council, *LABEL, "--wrong") == 0
        reply = httpx2.get(f"{url}/api/v1/sources/1").json()
        assert reply["reliability"] < 0.5
        label = {"question": "Where?", "answer": "Kiln Lane", "verdict": 1}
        httpx2.post(f"{url}/api/v1/sources/1/labels", json=label).raise_for_status()
        assert shown(larder, capsys, council)["counts"]["labels"] == 2


def test_estimate_asks_and_shows_what_it_changed(
    larder: Larder, council: str, decoder: FakeDecoder, tmp_path: Path, capsys: Captured
) -> None:
    decoder.script = "At 7:00 on weekdays."
    file = tmp_path / "probes.jsonl"
    lines = ['{"question": "When does the pool open?", "answer": "7:00", "more": 1}', ""]
    file.write_text("\n".join(lines), encoding="utf-8")
    assert larder("sources", "estimate", "-c", "town", "--questions", str(file), "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["state"], report["done"], report["answers"]) == ("done", 1, 1)
    assert report["sources"][0]["before"] == 0.5 < report["sources"][0]["after"]
    assert larder("sources", "estimate", "-c", "town", "--limit", "1") == 0
    assert re.search(r"council\s+1\s+0\.\d\d\s+0\.\d\d", capsys.readouterr().out)


def test_an_estimate_that_was_cut_off_is_gone_on_with(
    larder: Larder, council: str, decoder: FakeDecoder, capsys: Captured
) -> None:
    start_estimate()
    assert larder("sources", "estimate", "-c", "town", "--json") == 0
    captured = capsys.readouterr()
    assert "going on with estimate 1" in captured.err
    assert json.loads(captured.out)["id"] == 1


def start_estimate() -> None:
    async def start() -> None:
        async with open_storage(load_settings()) as storage:
            await storage.estimates.start(1, "larder", [NewProbe("When?")], "mara")
            await storage.estimates.lease(1)

    asyncio.run(start())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no questions"),
        ("{", "line 1 of probes.jsonl is not JSON"),
        ('\n["q"]', 'line 2 of probes.jsonl has no text "question"'),
    ],
)
def test_question_files_that_cannot_be_read(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "probes.jsonl"
    with pytest.raises(InvalidValue, match="no file"):
        read_questions(file)
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidValue, match=re.escape(message)):
        read_questions(file)


def test_an_estimate_without_sources_is_refused(
    larder: Larder, data_dir: Path, capsys: Captured
) -> None:
    data_dir.mkdir()
    assert larder("sources", "estimate", "-c", "nowhere") == 2
    assert "there is no collection 'nowhere'" in capsys.readouterr().err
