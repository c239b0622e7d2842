"""Since when a source is worse than it was: a Bayesian test of every day, not of a fixed window.

A source's claims come true at one rate, or at one before a day and another one from it on (two
Beta-binomials). Only a change to the worse counts: trust is lost in days and earned slowly.
"""

import math

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_first, group_max, group_sum
from reliability.special import log_beta

CHANGE_CHANCE = 0.05  # that a source turns at all, before anything was seen; any day alike
SURE = 0.95
TURNED_BY = 0.15  # a smaller fall is left to the fading of old claims


def turned_since(
    source: IntArray, day: FloatArray, right: FloatArray, wrong: FloatArray, sources: int
) -> FloatArray:
    """[S] the first day of the worse time of each source; minus infinity where it did not turn.

    `source`, `day`, `right` and `wrong` [C] are its claims and how much of each was right and
    wrong; the rates before and after have uniform priors.
    """
    since = np.full(sources, -np.inf)
    order = np.lexsort((day, source))
    owner, ordered = source[order], day[order]
    ends = np.flatnonzero((owner[1:] == owner[:-1]) & (ordered[1:] > ordered[:-1]))
    if not len(ends):
        return since
    group = owner[ends]
    before = [_running(owner, part[order], sources)[ends] for part in (right, wrong)]
    total = [group_sum(source, part, sources)[group] for part in (right, wrong)]
    after = [np.maximum(all_of - part, 0.0) for all_of, part in zip(total, before, strict=True)]
    gain = _evidence(*before) + _evidence(*after) - _evidence(*total)
    days = group_sum(group, np.ones(len(group)), sources)
    odds = gain + math.log(CHANGE_CHANCE) - np.log(days[group])
    top = np.maximum(group_max(group, odds, sources), math.log(1 - CHANGE_CHANCE))
    mass = np.exp(odds - top[group])
    worse = _rate(*before) - _rate(*after) > TURNED_BY
    all_mass = group_sum(group, mass, sources) + (1 - CHANGE_CHANCE) * np.exp(-top)
    chance = group_sum(group, mass * worse, sources) / all_mass
    best = group_first(group, np.where(worse, odds, -np.inf)) & worse & (chance[group] > SURE)
    since[group[best]] = ordered[ends[best] + 1]
    return since


def _running(owner: IntArray, values: FloatArray, sources: int) -> FloatArray:
    """[C] sums up to each row within its owner's rows (`owner` ascending)."""
    sums = np.cumsum(values)
    offset = np.cumsum(group_sum(owner, values, sources)) - group_sum(owner, values, sources)
    return np.asarray(sums - offset[owner])


def _evidence(right: FloatArray, wrong: FloatArray) -> FloatArray:
    return log_beta(1 + right, 1 + wrong)


def _rate(right: FloatArray, wrong: FloatArray) -> FloatArray:
    return np.asarray((1 + right) / (2 + right + wrong))
