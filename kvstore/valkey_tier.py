"""Named bytes on a Valkey or Redis server. The client `valkey` is an extra.

Keys under one prefix: `blob:NAME` the bytes; hashes `sizes` and `used` by name; the set `pins`.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from valkey import Valkey
from valkey.backoff import NoBackoff
from valkey.retry import Retry

from kvstore.shared_tier import Blob

PREFIX = "larder-kv"
PAGE = 1000  # names; a server tells its small lists whole


class ValkeyBlobs:
    name = "valkey"

    def __init__(self, url: str, limit_s: float) -> None:
        self._client: Any = Valkey.from_url(
            url,
            socket_timeout=limit_s,
            socket_connect_timeout=limit_s,
            retry=Retry(NoBackoff(), 0),
        )
        self._sizes, self._used, self._pins = (f"{PREFIX}:{n}" for n in ("sizes", "used", "pins"))

    def read(self, name: str) -> bytes | None:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.get(_key(name))
            pipe.hexists(self._sizes, name)
            data, is_listed = pipe.execute()
        if data is not None:
            self._client.hset(self._used, name, time.time())
        elif is_listed:  # evicted by the server itself
            self.delete([name])
        return data  # type: ignore[no-any-return]

    def write(self, name: str, data: bytes) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.set(_key(name), data)
            pipe.hset(self._sizes, name, len(data))
            pipe.hset(self._used, name, time.time())
            pipe.execute()

    def exists(self, name: str) -> bool:
        return bool(self._client.exists(_key(name)))

    def delete(self, names: Sequence[str]) -> None:
        with self._client.pipeline(transaction=True) as pipe:
            pipe.unlink(*map(_key, names))
            pipe.hdel(self._sizes, *names)
            pipe.hdel(self._used, *names)
            pipe.execute()

    def listing(self) -> Iterator[dict[str, Blob]]:
        cursor = -1
        while cursor != 0:
            cursor, sizes = self._client.hscan(self._sizes, max(cursor, 0), count=PAGE)
            used = self._client.hmget(self._used, *sizes) if sizes else []
            yield {
                name.decode(): Blob(int(size), float(used_at or 0))
                for (name, size), used_at in zip(sizes.items(), used, strict=True)
            }

    def pins(self) -> Iterator[list[str]]:
        cursor = -1
        while cursor != 0:
            cursor, digests = self._client.sscan(self._pins, max(cursor, 0), count=PAGE)
            yield [digest.decode() for digest in digests]

    def pin(self, digest: str, pinned: bool) -> None:
        change = self._client.sadd if pinned else self._client.srem
        change(self._pins, digest)


def _key(name: str) -> str:
    return f"{PREFIX}:blob:{name}"
