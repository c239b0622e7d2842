"""What stands before a chunk: P, and the primers behind which its `primed` rows are computed."""

from dataclasses import dataclass

from kvstore.keys import content_id
from kvstore.types import Encoding, Segment

TokenIds = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """The fixed parts of every prompt: P, and neutral primers for chunks without neighbours."""

    prefix: TokenIds
    primers: tuple[TokenIds, ...]

    def before(self, chunk: Segment, encoding: Encoding) -> tuple[TokenIds, ...]:
        """Everything a chunk was encoded behind, P first.

        Neutral primers fill up what neighbours are missing, farthest from the chunk: one neighbour
        behind a neutral passage drifts a quarter less than one neighbour alone.
        """
        if encoding == "head":
            return (self.prefix,)
        missing = max(0, len(self.primers) - len(chunk.primers))
        return (self.prefix, *self.primers[:missing], *chunk.primers)

    def context(self, chunk: Segment, encoding: Encoding) -> tuple[str, ...]:
        """Content ids of `before`."""
        return tuple(content_id(ids) for ids in self.before(chunk, encoding))

    def is_fixed(self, segments: tuple[TokenIds, ...]) -> bool:
        """Whether these are P and the first neutral primers, which every prompt may need."""
        return (self.prefix, *self.primers)[: len(segments)] == segments
