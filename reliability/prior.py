"""Beliefs about a source before anything was observed, or as a person states them."""

from reliability.errors import InvalidReliability
from reliability.types import BetaPosterior

# Worth four observations: two statements found right move a neutral source from 0.5 to 0.67.
DEFAULT_STRENGTH = 4.0


def prior_with_mean(mean: float, strength: float = DEFAULT_STRENGTH) -> BetaPosterior:
    """Beta belief with this mean and the weight of `strength` observations."""
    if not 0 < mean < 1:
        raise InvalidReliability(
            f"reliability must lie strictly between 0 and 1, not at {mean}: nobody is always right "
            "and nobody always wrong"
        )
    if not 0 < strength < float("inf"):
        raise InvalidReliability(f"strength must be positive and finite, not {strength}")
    return BetaPosterior(strength * mean, strength * (1 - mean))
