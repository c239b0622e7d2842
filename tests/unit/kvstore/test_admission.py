"""Use counts: never too low, seldom too high, kept over restarts, halved with age."""

import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import kvstore.admission
from kvstore.admission import COLUMNS, MAX_COUNT, UseCounter


def test_each_passage_is_counted() -> None:
    uses = UseCounter()
    assert [uses.count((1, 2)) for _ in range(3)] == [1, 2, 3]
    assert uses.count((2, 1)) == 1
    for _ in range(MAX_COUNT + 5):
        highest = uses.count((1, 2))
    assert highest == MAX_COUNT


def test_ten_thousand_passages_collide_seldom() -> None:
    uses = UseCounter()
    for n in range(10_000):
        uses.count((n,))
    too_high = sum(uses.count((n,)) > 1 for n in range(20_000, 21_000))
    assert too_high < 20


def test_counts_survive_a_restart_and_a_crash_forgets_few(tmp_path: Path) -> None:
    uses = UseCounter(tmp_path / "uses.bin")
    uses.count((1,))
    uses.save()
    assert UseCounter(tmp_path / "uses.bin").count((1,)) == 2
    for n in range(kvstore.admission.SAVE_EVERY):
        uses.count((2, n))
    assert UseCounter(tmp_path / "uses.bin").count((2, 0)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["uses.bin"]


@pytest.mark.parametrize("cut", [slice(0, 5), slice(0, -1), slice(7, None)])
def test_a_damaged_file_starts_again(tmp_path: Path, cut: slice) -> None:
    uses = UseCounter(tmp_path / "uses.bin")
    uses.count((1,))
    uses.save()
    path = tmp_path / "uses.bin"
    path.write_bytes(path.read_bytes()[cut])
    assert UseCounter(path).count((1,)) == 1


def test_a_disk_that_refuses_costs_only_their_survival(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    uses = UseCounter(tmp_path / "uses.bin")
    monkeypatch.setattr(Path, "write_bytes", refuse)
    monkeypatch.setattr(Path, "read_bytes", refuse)
    uses.count((1,))
    uses.save()
    assert uses.count((1,)) == 2
    assert UseCounter(tmp_path / "uses.bin").count((1,)) == 1


def test_old_uses_fade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kvstore.admission, "AGE", 100)
    uses = UseCounter()
    for _ in range(10):
        uses.count((1,))
    for n in range(90):
        uses.count((2, n % 7, n))
    assert uses.count((1,)) == 6
    assert COLUMNS & (COLUMNS - 1) == 0


def test_what_one_tenant_used_says_nothing_about_anothers(tmp_path: Path) -> None:
    path = tmp_path / "uses.bin"
    uses = UseCounter(path, "one")
    assert [uses.count((1, 2)) for _ in range(2)] == [1, 2]
    uses.save()
    assert UseCounter(path, "two").count((1, 2)) == 1
    assert UseCounter(path, "one").count((1, 2)) == 3


def test_threads_that_save_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "uses.bin"
    uses = UseCounter(path)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: (uses.count((n,)), uses.save()), range(64)))
    assert [file.name for file in tmp_path.iterdir()] == ["uses.bin"]
    assert UseCounter(path).count((1,)) == 2
