"""Values that cross reliability's border. Knows no text, no SQL and no model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BetaPosterior:
    """Belief about the share of a source's claims that are right: Beta(alpha, beta)."""

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        if not (0 < self.alpha < float("inf") and 0 < self.beta < float("inf")):
            raise ValueError(
                f"Beta parameters must be positive and finite: {self.alpha}, {self.beta}"
            )

    @property
    def mean(self) -> float:
        return self.alpha / (self.alpha + self.beta)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One candidate passage, as reliability sees it."""

    chunk_id: int
    source_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Dropped:
    chunk_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """Which evidence goes into the prompt, in order, and how far each source is trusted."""

    kept: tuple[int, ...]  # chunk ids, best first
    dropped: tuple[Dropped, ...]
    weights: dict[int, float]  # source id -> reliability in (0, 1)
