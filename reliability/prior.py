"""Beliefs about a source before anything was observed, or as a person states them."""

from reliability.errors import InvalidReliability
from reliability.types import BetaPosterior

# Worth four observations: two statements found right move a neutral source from 0.5 to 0.67.
DEFAULT_STRENGTH = 4.0

# What kind of source it is says this much before anything was observed (pseudo-counts).
CLASS_PRIORS = {
    "curated": BetaPosterior(5, 1),
    "official": BetaPosterior(4, 1),
    "internal": BetaPosterior(4, 1),
    "user_upload": BetaPosterior(3, 2),
    "web": BetaPosterior(2, 1),
    "unknown": BetaPosterior(1, 1),
}


def class_prior(name: str) -> BetaPosterior:
    if name not in CLASS_PRIORS:
        known = ", ".join(CLASS_PRIORS)
        raise InvalidReliability(f"unknown class of source {name!r}; known: {known}")
    return CLASS_PRIORS[name]


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
