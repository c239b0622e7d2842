"""Uses of entries that the index has not been told of yet. Safe to share between threads."""

import threading
from collections.abc import Mapping, Sequence

from kvstore.protocols import EntryIndex, Uses


class PendingUses:
    """What a crash forgets: at most the uses since the last `flush`."""

    def __init__(self, index: EntryIndex) -> None:
        self._index = index
        self._uses: dict[str, Uses] = {}
        self._lock = threading.Lock()

    def add(self, digest: str, now: float) -> None:
        with self._lock:
            self._put({digest: Uses(1, now)})

    def drop(self, digests: Sequence[str]) -> None:
        """These entries are gone."""
        with self._lock:
            for digest in digests:
                self._uses.pop(digest, None)

    def flush(self) -> None:
        """Raises what the index raises, and keeps what it did not take for the next time."""
        with self._lock:
            going, self._uses = self._uses, {}
        if not going:
            return
        try:
            self._index.touch(going)
        except Exception:
            with self._lock:
                self._put(going)
            raise

    def _put(self, more: Mapping[str, Uses]) -> None:
        for digest, uses in more.items():
            before = self._uses.get(digest)
            self._uses[digest] = uses if before is None else before.more(uses)
