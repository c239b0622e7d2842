"""What Larder's estimator is told, and how it turns beliefs in sources into chances of values."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from reliability.arrays import FloatArray
from reliability.observations import PROBES_PER_SOURCE_AND_DAY
from reliability.posterior import SLOW, Timing
from reliability.table import ClaimTable
from reliability.types import BetaPosterior
from reliability.voting import chances, scores, wrong_answers

LABEL_NATS = 4.0  # a unit of label: a person errs about twice in a hundred
MOST_WEIGHT = 4.0  # nor is any source, or its reader, right more often than a person
LEAST_WEIGHT = -1.0  # a known liar must not become an oracle of the opposite


@dataclass(frozen=True, slots=True)
class LarderConfig:
    prior: BetaPosterior = field(default_factory=lambda: BetaPosterior(2, 2))
    class_priors: Mapping[int, BetaPosterior] = field(default_factory=dict)
    timing: Timing = SLOW
    today: float | None = None  # day from which claims are old; None: the last one's
    probes_per_day: float = PROBES_PER_SOURCE_AND_DAY
    probation: float = 0.0  # claims until which a source counts as new


def log_odds(alpha: FloatArray, beta: FloatArray) -> FloatArray:
    """Of the mean: what one claim not seen yet says, the rate being known this well."""
    return np.asarray(np.log(alpha) - np.log(beta))


def cast_votes(table: ClaimTable, weight: FloatArray, options: float) -> FloatArray:
    """[C] votes in nats: log odds of being right plus how rarely errors agree, bounded."""
    rarity = np.log(wrong_answers(table, options))[table.claim_question]
    return np.asarray(np.maximum(LEAST_WEIGHT, np.minimum(weight, MOST_WEIGHT) + rarity))


def vote_chances(
    table: ClaimTable, weight: FloatArray, options: float, *, with_labels: bool
) -> FloatArray:
    """[V] beliefs under vote weights [C] and, where asked for, the words of people."""
    score = scores(table, cast_votes(table, weight, options), count_copies_once=True)
    if with_labels:
        score = score + LABEL_NATS * table.value_label
    wrong = wrong_answers(table, options)
    return chances(table, score, np.maximum(0.0, wrong + 1 - table.question_values))
