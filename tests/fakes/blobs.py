"""kvstore.shared_tier.Blobs over a dict."""

import threading
import time
from collections.abc import Iterator, Sequence

from kvstore.shared_tier import Blob


class FakeBlobs:
    """A dict that can be told to hang or to fail."""

    name = "fake"

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.pinned: set[str] = set()
        self.hangs = threading.Event()
        self.fails = False
        self.page_s = 0.0  # of an entry in a listing
        self.released = threading.Event()

    def read(self, name: str) -> bytes | None:
        if self.hangs.is_set():
            self.released.wait(10)
        self._check()
        return self.held.get(name)

    def write(self, name: str, data: bytes) -> None:
        self._check()
        self.held[name] = data

    def exists(self, name: str) -> bool:
        self._check()
        return name in self.held

    def delete(self, names: Sequence[str]) -> None:
        self._check()
        for name in names:
            self.held.pop(name, None)

    def listing(self) -> Iterator[dict[str, Blob]]:
        self._check()
        for name, data in list(self.held.items()):
            time.sleep(self.page_s)
            yield {name: Blob(len(data), 0.0)}

    def pins(self) -> Iterator[set[str]]:
        self._check()
        yield set(self.pinned)

    def pin(self, digest: str, pinned: bool) -> None:
        self._check()
        (self.pinned.add if pinned else self.pinned.discard)(digest)

    def _check(self) -> None:
        if self.fails:
            raise ConnectionError
