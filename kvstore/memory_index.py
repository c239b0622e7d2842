"""An entry index that lives as long as the process: for benchmarks and throw-away stores."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from kvstore.protocols import IndexedEntry, Uses


class MemoryIndex:
    def __init__(self) -> None:
        self._rows: dict[str, IndexedEntry] = {}

    def record(
        self,
        *,
        digest: str,
        namespace: str,
        identity: str,
        content: str,
        context: str,  # noqa: ARG002
        preceding: str,
        num_tokens: int,
        num_bytes: int,
        now: float,
    ) -> None:
        before = self._rows.get(digest)
        self._rows[digest] = IndexedEntry(
            digest,
            content,
            preceding,
            num_tokens,
            num_bytes,
            now,
            uses=before.uses if before else 0,
            pinned=before.pinned if before else False,
            namespace=namespace,
            identity=identity,
        )

    def touch(self, uses: Mapping[str, Uses]) -> None:
        for digest, more in uses.items():
            if row := self._rows.get(digest):
                self._rows[digest] = replace(
                    row, last_used_at=more.last_at, uses=row.uses + more.times
                )

    def forget(self, digests: Sequence[str]) -> None:
        for digest in digests:
            self._rows.pop(digest, None)

    def pin(self, digest: str, pinned: bool) -> None:
        if row := self._rows.get(digest):
            self._rows[digest] = replace(row, pinned=pinned)

    def rows(self) -> Sequence[IndexedEntry]:
        return list(self._rows.values())
