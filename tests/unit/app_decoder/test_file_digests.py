"""A kept digest is used while the file is untouched, and never after it was changed."""

import hashlib
import os
from pathlib import Path

import pytest

from app.decoder import file_digests
from app.decoder.file_digests import FileDigests


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(file_digests, "SETTLED_NS", -1)
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    return path


def test_the_second_time_nothing_is_read(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = weights.with_name("digests.json")
    first = FileDigests(kept).sha256(weights)
    assert first == hashlib.sha256(b"one").hexdigest()
    monkeypatch.setattr(file_digests, "sha256_of", lambda _: "read again")
    assert FileDigests(kept).sha256(weights) == first
    os.utime(weights, ns=(1, 1))
    assert FileDigests(kept).sha256(weights) == "read again"


def test_a_change_that_keeps_size_and_time_of_writing_is_seen(weights: Path) -> None:
    digests = FileDigests(weights.with_name("digests.json"))
    digests.sha256(weights)
    before = weights.stat()
    weights.write_bytes(b"two")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert digests.sha256(weights) == hashlib.sha256(b"two").hexdigest()


def test_a_file_just_written_is_not_kept(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    FileDigests(tmp_path / "digests.json").sha256(tmp_path / "new")
    assert not (tmp_path / "digests.json").exists()


def test_a_disk_that_refuses_costs_the_next_start_only(weights: Path) -> None:
    folder = weights.with_name("digests.json")
    folder.mkdir()  # cannot be replaced by a file, not even by root
    assert FileDigests(folder).sha256(weights) == hashlib.sha256(b"one").hexdigest()
    assert sorted(path.name for path in weights.parent.iterdir()) == ["digests.json", "weights"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"WEIGHTS": 5}', '{"WEIGHTS": []}'])
def test_a_damaged_list_is_started_again(weights: Path, content: str) -> None:
    kept = weights.with_name("digests.json")
    kept.write_text(content.replace("WEIGHTS", str(weights.resolve())), encoding="utf-8")
    assert FileDigests(kept).sha256(weights) == hashlib.sha256(b"one").hexdigest()
