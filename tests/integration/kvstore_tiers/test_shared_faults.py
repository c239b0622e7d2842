"""A shared tier that is down, hangs or lies costs one time limit and is a miss, never an error."""

import logging
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from kvstore.codecs import RAW
from kvstore.errors import InvalidTier, TierFull, TierUnavailable
from kvstore.keys import content_id, entry_key
from kvstore.open_shared import open_shared
from kvstore.shared_tier import SharedLimits, SharedTier
from kvstore.types import ChunkKV
from tests.fakes.blobs import FakeBlobs
from tests.integration.kvstore_tiers.conftest import Place, free_port
from tests.integration.kvstore_tiers.test_tier_contract import PLENTY, make_entry

BRIEF = SharedLimits(limit_s=0.3, cool_down_s=60.0, listing_s=0.0)


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        yield int(listener.getsockname()[1])


def urls(port: int) -> list[str]:
    s3 = f"s3://bucket/prefix?endpoint=http://127.0.0.1:{port}&region=us-east-1"
    return [f"valkey://127.0.0.1:{port}/0", s3]


def check_is_away(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    tier, entry = open_shared(url, PLENTY, RAW, BRIEF), make_entry(1)
    started = time.monotonic()
    with caplog.at_level(logging.WARNING, logger="kvstore.shared_tier"):
        assert tier.get(entry.key) is None
        for _ in range(20):
            assert tier.get(entry.key) is None
            assert not tier.contains(entry.key)
    assert time.monotonic() - started < 2.0
    assert len(caplog.records) == 1  # one line, not one a request
    assert "left alone" in caplog.text
    assert tier.stats().entries == 0
    for fails in (
        lambda: tier.put(entry),
        lambda: tier.remove([entry.key.digest]),
        lambda: tier.pin(entry.key.digest, True),
    ):
        with pytest.raises(TierUnavailable):
            fails()
    tier.close()


@pytest.mark.parametrize("which", [0, 1], ids=["valkey", "s3"])
def test_a_server_that_hangs(
    which: int,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    check_is_away(urls(silent_port)[which], monkeypatch, caplog)


@pytest.mark.parametrize("which", [0, 1], ids=["valkey", "s3"])
def test_a_server_that_is_down(
    which: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    check_is_away(urls(free_port())[which], monkeypatch, caplog)


def test_a_call_that_ignores_its_own_limits_is_left_behind() -> None:
    blobs = FakeBlobs()
    tier, entry = SharedTier(blobs, PLENTY, limits=BRIEF), make_entry(1)
    tier.put(entry)
    blobs.hangs.set()
    started = time.monotonic()
    assert tier.get(entry.key) is None
    assert tier.get(entry.key) is None
    assert time.monotonic() - started < 1.0
    blobs.released.set()
    tier.close()


def test_it_is_asked_again_after_the_cool_down() -> None:
    blobs = FakeBlobs()
    limits = SharedLimits(limit_s=0.3, cool_down_s=0.2)
    tier, entry = SharedTier(blobs, PLENTY, limits=limits), make_entry(1)
    tier.put(entry)
    blobs.fails = True
    assert tier.get(entry.key) is None
    blobs.fails = False
    assert tier.get(entry.key) is None
    time.sleep(0.25)
    assert tier.get(entry.key) is not None


def test_uses_that_the_server_does_not_record_count_for_eviction() -> None:
    blobs = FakeBlobs()
    entries = [make_entry(seed) for seed in range(4)]
    tier = SharedTier(blobs, 3 * 9_500, limits=SharedLimits(listing_s=0.0))
    for entry in entries[:3]:
        tier.put(entry)
    tier.get(entries[0].key)
    tier.put(entries[3])
    assert [tier.contains(e.key) for e in entries] == [True, False, True, True]
    assert tier.evicted == 1


def test_entries_are_found_by_what_they_were_computed_behind(place: Place) -> None:
    if place.kind not in {"valkey", "s3"}:
        pytest.skip("of shared tiers")
    tier = place.open(PLENTY)
    assert isinstance(tier, SharedTier)
    entry, other = make_entry(1), make_entry(2)
    ids = (70, 71)
    contexts = [content_id((9,)), entry.key.content]
    key = entry_key("namespace", "identity", content_id(ids), contexts)
    behind = ChunkKV(key, ids, entry.keys[:, :, :2], entry.values[:, :, :2])
    for item in (entry, other, behind):
        tier.put(item)
    found = tier.digests_of(entry.key.namespace, [entry.key.content])
    assert set(found) == {entry.key.digest, behind.key.digest}
    assert tier.digests_of("another", [entry.key.content]) == []


def test_an_entry_behind_too_many_others_is_refused() -> None:
    entry = make_entry(1)
    contexts = [content_id((n,)) for n in range(60)]
    key = entry_key("namespace", "identity", entry.key.content, contexts)
    with pytest.raises(TierFull, match="follows too many"):
        SharedTier(FakeBlobs(), PLENTY).put(ChunkKV(key, entry.token_ids, entry.keys, entry.values))


@pytest.mark.parametrize("url", ["http://host", "s3:///prefix", "s3://bucket?password=x", "disk"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(InvalidTier):
        open_shared(url, 1, RAW)


@pytest.mark.parametrize(
    ("url", "module", "package"),
    [
        ("valkey://host", "kvstore.valkey_tier", "valkey"),
        ("s3://bucket", "kvstore.s3_tier", "obstore"),
    ],
)
def test_a_client_that_is_not_installed_is_named(
    url: str, module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InvalidTier, match=f"needs the package {package}"):
        open_shared(url, 1, RAW)
