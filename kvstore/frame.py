"""The fixed parts of every prompt. What stands before a chunk is kvstore.encodings' business."""

from dataclasses import dataclass

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """P, and neutral primers for chunks without neighbours."""

    prefix: TokenIds
    primers: tuple[TokenIds, ...]

    def is_fixed(self, segments: tuple[TokenIds, ...]) -> bool:
        """Whether these are P and the first neutral primers, which every prompt may need."""
        return (self.prefix, *self.primers)[: len(segments)] == segments
