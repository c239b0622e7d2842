"""Stores nothing: the off switch, and the baseline of every measurement."""

from collections.abc import Sequence

from kvstore.errors import TierFull
from kvstore.types import ChunkKV, EntryKey, TierStats


class NullTier:
    name = "null"

    def get(self, key: EntryKey) -> ChunkKV | None:  # noqa: ARG002
        return None

    def put(self, entry: ChunkKV, *, evict: bool = True) -> None:  # noqa: ARG002
        raise TierFull("the null tier keeps nothing")

    def contains(self, key: EntryKey) -> bool:  # noqa: ARG002
        return False

    def remove(self, digests: Sequence[str]) -> int:  # noqa: ARG002
        return 0

    def pin(self, digest: str, pinned: bool) -> None:
        """Nothing to pin."""

    def stats(self) -> TierStats:
        return TierStats(self.name, 0, 0, 0, 0)
