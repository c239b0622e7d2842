"""Settings of retrieval, validated when they are made. Reads no environment."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """Sizes in tokens of the decoder; `max_tokens` includes the label and its frame."""

    min_tokens: int = 200
    target_tokens: int = 300
    max_tokens: int = 400

    def __post_init__(self) -> None:
        if not 0 < self.min_tokens <= self.target_tokens <= self.max_tokens:
            raise ValueError(f"chunk limits must rise from above 0: {self}")
        if 2 * self.min_tokens > self.max_tokens:
            raise ValueError(f"two chunks of min_tokens must fit into max_tokens: {self}")
