"""`larder ingest --sync`: a folder that is followed, whatever happens to it."""

import json
from pathlib import Path

import pytest

from app.cli.files import walk
from app.cli.remote import ServerError
from app.cli.sync import SyncReport, watch
from tests.integration.cli.conftest import Larder

Captured = pytest.CaptureFixture[str]


def report_of(capsys: Captured) -> dict:
    return json.loads(capsys.readouterr().out)


def test_a_folder_is_followed(larder: Larder, folder: Path, capsys: Captured) -> None:
    command = ("ingest", "--sync", str(folder), "-c", "town", "--json")
    for number in range(10):
        (folder / f"{number}.md").write_text(f"Note {number}.", encoding="utf-8")
    (folder / "empty.md").touch()
    assert larder(*command) == 0
    assert report_of(capsys) == {
        "added": 12,
        "changed": 0,
        "unchanged": 0,
        "removed": 0,
        "collection": "town",
        "failures": [],
    }
    (folder / "pool.md").write_text("The pool is closed.", encoding="utf-8")
    (folder / "town" / "budget.md").unlink()
    (folder / "bad.md").write_bytes(b"\x00\x01\x02")
    assert larder(*command) == 1
    report = report_of(capsys)
    counts = {name: report[name] for name in ("added", "changed", "unchanged", "removed")}
    assert counts == {"added": 1, "changed": 1, "unchanged": 10, "removed": 1}
    assert "bad.md" in str(report["failures"])
    for path in list(folder.glob("*.md")):
        path.unlink()
    assert larder(*command) == 1
    assert "--force removes them" in str(report_of(capsys)["failures"])
    assert larder(*command[:-1], "--force") == 0
    assert "removed" in capsys.readouterr().out


def test_folders_of_one_name_do_not_touch_each_other(
    larder: Larder, tmp_path: Path, capsys: Captured
) -> None:
    for place, text in (("a", "The ferry."), ("b", "The pool.")):
        (tmp_path / place / "docs").mkdir(parents=True)
        (tmp_path / place / "docs" / f"{place}.md").write_text(text, encoding="utf-8")
    for place in ("a", "b", "a"):
        assert (
            larder("ingest", "--sync", str(tmp_path / place / "docs"), "-c", "town", "--json") == 0
        )
        assert report_of(capsys)["removed"] == 0
    assert larder("collections", "ls", "--json") == 0
    assert report_of(capsys)["items"][0]["documents"] == 2


def test_tags_and_a_date_of_a_folder(larder: Larder, folder: Path, capsys: Captured) -> None:
    facts = ("--tag", "law", "--tag", "tax", "--date", "2001-05-01")
    assert larder("ingest", "--sync", str(folder), "-c", "town", *facts) == 0
    capsys.readouterr()
    for tag, is_found in (("law", True), ("press", False)):
        larder("ask", "When does the pool open?", "-c", "town", "--tag", tag, "--json")
        assert (report_of(capsys)["finish_reason"] != "no_match") == is_found


def test_a_file_that_failed_is_sent_again(larder: Larder, folder: Path, capsys: Captured) -> None:
    (folder / "bad.md").write_bytes(b"\x00\x01\x02")
    for changed in (0, 1):  # the same bytes
        assert larder("ingest", "--sync", str(folder), "-c", "town", "--json") == 1
        report = report_of(capsys)
        assert (report["changed"], len(report["failures"])) == (changed, 1)


def test_what_sync_does_not_take(larder: Larder, folder: Path, capsys: Captured) -> None:
    assert larder("ingest", "--sync", str(folder), str(folder), "-c", "town") == 2
    assert larder("ingest", "--sync", str(folder / "gone"), "-c", "town") == 2
    assert larder("ingest", "--watch", str(folder), "-c", "town") == 2
    shown = capsys.readouterr().err
    for reason in ("--sync takes one folder", "is no folder", "belong to --sync"):
        assert reason in shown


class Looks:
    """A folder whose state at each look is written down; the test ends when there is no more."""

    def __init__(self, *looks: dict[str, tuple[int, int]] | Exception) -> None:
        self.looks = list(looks)
        self.runs = 0

    def snapshot(self) -> dict[str, tuple[int, int]]:
        if not self.looks:
            raise KeyboardInterrupt
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look

    async def run(self) -> SyncReport:
        self.runs += 1
        return SyncReport(added=self.runs)


@pytest.mark.anyio
async def test_watching_waits_until_a_folder_is_still(capsys: Captured) -> None:
    one, two, three = {"a": (1, 1)}, {"a": (2, 2)}, {"a": (3, 3)}
    away = ServerError("unreachable", "Larder does not answer")
    looks = Looks(one, one, one, two, three, three, away, three, three, one, one)
    reports: list[SyncReport] = []
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    with pytest.raises(KeyboardInterrupt):
        await watch(looks, 0.5, reports.append, sleep)  # type: ignore[arg-type]
    assert [report.added for report in reports] == [1, 2, 3]
    assert set(slept) == {0.5}
    assert "does not answer" in capsys.readouterr().err


def test_names_are_those_within_the_folder(folder: Path) -> None:
    assert [file.name for file in walk(folder)] == ["pool.md", "town/budget.md"]


def test_links_out_of_the_folder_are_left_out_and_said(
    larder: Larder, folder: Path, tmp_path: Path, capsys: Captured
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("The word is osprey.", encoding="utf-8")
    (folder / "link.txt").symlink_to(outside / "secret.txt")
    (folder / "folder").symlink_to(outside)
    (folder / "same.md").symlink_to(folder / "pool.md")  # stays within
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "gone.md").symlink_to(folder / "nothing")
    assert [file.name for file in walk(folder)] == ["pool.md", "same.md", "town/budget.md"]
    for sync in ("--sync", None):
        command = ["ingest", *([sync] if sync else []), str(folder), "-c", "town", "--json"]
        assert larder(*command) == 0
        said = capsys.readouterr().err
        assert "link.txt is left out: the link leads out of the folder" in said
        assert "folder is left out" in said
        assert said.count("is left out") == 2


def test_a_folder_that_is_a_link_is_walked(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "here").symlink_to(folder)
    assert [file.name for file in walk(tmp_path / "here")] == ["pool.md", "town/budget.md"]
