"""The data directory and its lock."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.db.datadir import DataDir, DataDirLock, read_owner
from app.errors import DataDirDamaged, DataDirInUse, InvalidSettings

HOLDER = """
import sys, time
from pathlib import Path
from app.db.datadir import DataDir, DataDirLock
lock = DataDirLock(DataDir.create(Path(sys.argv[1])))
lock.acquire()
lock.announce("http://127.0.0.1:8123")
print("held", flush=True)
time.sleep(60)
"""


def test_layout_and_secret(tmp_path: Path) -> None:
    data_dir = DataDir.create(tmp_path / "deep" / "data")
    assert data_dir.kv.is_dir()
    assert data_dir.models.is_dir()
    assert data_dir.database.name == "larder.db"
    secret = data_dir.secret()
    assert len(secret) == 32
    assert data_dir.secret_file.stat().st_mode & 0o777 == 0o600
    assert DataDir.create(data_dir.root).secret() == secret
    data_dir.secret_file.write_bytes(b"short")
    with pytest.raises(DataDirDamaged, match="5 bytes"):
        data_dir.secret()
    with pytest.raises(DataDirDamaged, match="5 bytes"):
        DataDir.create(data_dir.root)


def test_a_second_process_is_told_who_is_there(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        lock = DataDirLock(DataDir.create(tmp_path), url="http://127.0.0.1:9")
        with pytest.raises(DataDirInUse, match=rf"process {holder.pid} \(http://127.0.0.1:8123\)"):
            lock.acquire()
        holder.kill()
        holder.wait()
    assert read_owner(tmp_path / "owner.json")[0] == holder.pid  # stale, and no obstacle
    with lock:
        owner = json.loads((tmp_path / "owner.json").read_text(encoding="utf-8"))
        assert owner["url"] == "http://127.0.0.1:9"
    assert not (tmp_path / "owner.json").exists()
    lock.release()  # once more is harmless


@pytest.mark.parametrize("content", ["", "[]", "{", '{"pid": "x", "url": 3}', "{}"])
def test_a_damaged_owner_file_is_no_obstacle(tmp_path: Path, content: str) -> None:
    path = tmp_path / "owner.json"
    path.write_text(content, encoding="utf-8")
    assert read_owner(path) == (None, None)


def test_a_holder_that_says_nothing(tmp_path: Path) -> None:
    data_dir = DataDir.create(tmp_path)
    with DataDirLock(data_dir):
        (tmp_path / "owner.json").unlink()
        with pytest.raises(DataDirInUse, match="in use by another process;"):
            DataDirLock(data_dir).acquire()


@pytest.mark.parametrize("path", ["/proc/x", "a_file", "a_file/below"])
def test_what_can_be_no_folder_is_said_in_one_sentence(tmp_path: Path, path: str) -> None:
    (tmp_path / "a_file").write_text("x", encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"cannot be the data directory: .*LARDER_DATA_DIR"):
        DataDir.create(tmp_path / path)


def test_a_lock_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    data_dir = DataDir.create(tmp_path)
    (tmp_path / "larder.lock").mkdir()
    with pytest.raises(InvalidSettings, match="cannot be the data directory"):
        DataDirLock(data_dir).acquire()
