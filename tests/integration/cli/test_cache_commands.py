"""`larder cache` as a user types it, over real tiers."""

import json
import re
from pathlib import Path

import pytest

from app.settings import load_settings
from kvstore.memory_index import MemoryIndex
from tests.fakes.app import live_server
from tests.fakes.storing_decoder import StoringDecoder
from tests.integration.cli.conftest import ANSWER, Larder

Captured = pytest.CaptureFixture[str]


@pytest.fixture
def decoder(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> StoringDecoder:
    from tests.fakes.app import use_fakes

    fake = StoringDecoder(data_dir / "kv", MemoryIndex(), ANSWER)
    use_fakes(monkeypatch, fake)
    return fake


@pytest.fixture
def town(larder: Larder, folder: Path, capsys: Captured) -> None:
    assert larder("ingest", str(folder), "--collection", "town", "--source", "council") == 0
    capsys.readouterr()


def test_ls_and_stats(larder: Larder, town: None, capsys: Captured) -> None:
    assert larder("cache", "ls", "--collection", "town") == 0
    shown = capsys.readouterr().out
    assert re.search(r"pool\.md\s+1\s+1\s+2\s+\S+\s+0", shown)
    assert larder("cache", "stats") == 0
    captured = capsys.readouterr()
    assert re.search(r"disk\s+4\s+0", captured.out)
    assert "0 evicted" in captured.err
    assert larder("cache", "stats", "--json") == 0
    assert json.loads(capsys.readouterr().out)["tiers"][1]["entries"] == 4
    assert larder("cache", "ls", "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["items"]) == 2


def test_explain(larder: Larder, town: None, capsys: Captured) -> None:
    assert larder("cache", "explain", "--document", "1") == 0
    shown = capsys.readouterr().out
    assert re.search(r"1\s+head\s+disk", shown)
    assert re.search(r"primed\s+disk.+mean of: prefix", shown)
    larder("cache", "evict", "--document", "1")
    capsys.readouterr()
    assert larder("cache", "explain", "--chunk", "1") == 0
    assert "disk_budget" in capsys.readouterr().out
    assert larder("cache", "explain", "--chunk", "1", "--json") == 0
    assert json.loads(capsys.readouterr().out)["items"][0]["entries"] == []
    assert larder("cache", "explain") == 2


def test_pin_evict_warm_unpin_purge(larder: Larder, town: None, capsys: Captured) -> None:
    assert larder("cache", "pin", "--document", "1") == 0
    assert "chunks 1, entries 2, without 0" in capsys.readouterr().err
    assert larder("cache", "evict", "--to", "0B") == 0
    assert "entries 2" in capsys.readouterr().err
    assert larder("cache", "warm", "--all") == 0
    assert "stored 1, already 1" in capsys.readouterr().err.replace("\n", " ")
    assert larder("cache", "warm", "--all", "--json") == 0
    assert json.loads(capsys.readouterr().out)["already"] == 2
    assert larder("cache", "unpin", "--source", "council", "--json") == 0
    assert json.loads(capsys.readouterr().out)["entries"] == 4
    assert larder("cache", "purge", "--collection", "town") == 0
    captured = capsys.readouterr()
    assert "entries 4" in captured.err
    assert re.search(r"disk\s+4\s+\d", captured.out)
    assert larder("cache", "pin", "--all") == 0
    shown = capsys.readouterr().err
    assert "without 2" in shown
    assert "`larder cache warm` makes them" in shown


def test_verify(larder: Larder, town: None, data_dir: Path, capsys: Captured) -> None:
    assert larder("cache", "verify") == 0
    assert re.search(r"disk\s+ok\s+4", capsys.readouterr().out)
    path = next((data_dir / "kv").glob("*/*.safetensors"))
    path.write_bytes(path.read_bytes()[:-1])
    assert larder("cache", "verify", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["tiers"]["disk"] == {"ok": 3, "damaged": 1}


def test_what_is_wrong_is_one_line(larder: Larder, town: None, capsys: Captured) -> None:
    assert larder("cache", "purge") == 2
    assert "name exactly one of --collection" in capsys.readouterr().err
    assert larder("cache", "evict", "--to", "much") == 2
    assert "much is not a size" in capsys.readouterr().err
    assert larder("cache", "warm", "--document", "99") == 2
    assert "there is no document 99" in capsys.readouterr().err


def test_a_running_server_does_it(
    larder: Larder, town: None, data_dir: Path, capsys: Captured
) -> None:
    with live_server(load_settings(data_dir=data_dir)):
        assert larder("cache", "purge", "--all") == 0
    assert "entries 4" in capsys.readouterr().err
