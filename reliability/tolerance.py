"""Values of one question that differ by less than anybody means: they vote as one.

Numbers within 1 %, and dates equal at the coarser precision, support each other; the one that most
trust stands behind is reported.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_first, group_sum
from reliability.numbers import (
    TOLERANCE,
    Quantity,
    parse_date,
    parse_quantity,
    same_date,
    tolerance_groups,
)
from reliability.table import ClaimTable

Date = tuple[int, int | None, int | None]

READINGS = 65_536  # values are read again at every refit and prediction


@dataclass(frozen=True, slots=True)
class Merged:
    """A table of clusters, and the cluster of each value of the original [V]."""

    table: ClaimTable
    cluster: IntArray


def merge_close(table: ClaimTable, tolerance: float = TOLERANCE) -> Merged:
    """Merge close numbers and dates within each question; everything else stays apart."""
    cluster = np.arange(len(table.values))
    contested = np.flatnonzero(table.question_values[table.value_question] > 1)
    by_question: dict[int, list[int]] = defaultdict(list)
    for value in contested.tolist():
        by_question[int(table.value_question[value])].append(value)
    for members in by_question.values():
        for group in _close(table, members, tolerance):
            cluster[group] = min(group)
    if not bool(np.any(cluster != np.arange(len(cluster)))):
        return Merged(table, cluster)
    kept, numbers = np.unique(cluster, return_inverse=True)
    numbers = np.asarray(numbers, dtype=np.int64).reshape(-1)
    merged = replace(
        table,
        values=tuple(table.values[value] for value in kept.tolist()),
        value_question=table.value_question[kept],
        claim_value=numbers[table.claim_value],
        value_label=group_sum(numbers, table.value_label, len(kept)),
    )
    return Merged(merged, numbers)


def _close(table: ClaimTable, members: list[int], tolerance: float) -> list[list[int]]:
    """Groups of two and more."""
    readings = [(value, _read(table.values[value])) for value in members]
    by_unit: dict[str, list[tuple[int, float]]] = defaultdict(list)
    dates: dict[int, Date] = {}
    for value, (day, quantity) in readings:
        if day is not None:
            dates[value] = day
        elif quantity is not None:
            by_unit[quantity.unit].append((value, quantity.value))
    groups = _date_groups(dates) if len(dates) > 1 else []
    for same in by_unit.values():
        if len(same) > 1:
            found = tolerance_groups([number for _, number in same], tolerance)
            parts: dict[int, list[int]] = defaultdict(list)
            for (value, _), group in zip(same, found.tolist(), strict=True):
                parts[group].append(value)
            groups += parts.values()
    return [group for group in groups if len(group) > 1]


@lru_cache(maxsize=READINGS)
def _read(text: str) -> tuple[Date | None, Quantity | None]:
    """The date or the number that a value is; both need a digit."""
    if not any(map(str.isdigit, text)):
        return None, None
    day = parse_date(text)
    return day, parse_quantity(text) if day is None else None


def _date_groups(dates: dict[int, Date]) -> list[list[int]]:
    """A coarse date joins the one fine date it holds; with two of them it stays alone."""
    groups: dict[int, list[int]] = {}
    for value, day in sorted(dates.items()):
        finer = [v for v, other in dates.items() if v != value and same_date(day, other)]
        agree = all(same_date(dates[a], dates[b]) for a in finer for b in finer)
        key = min([value, *finer]) if agree else value
        groups.setdefault(key, []).append(value)
    return list(groups.values())


def report_members(merged: Merged, chance: FloatArray, votes: FloatArray) -> FloatArray:
    """[V] the cluster's chance for its member with the most `votes` [V], 0 for the others."""
    return np.where(group_first(merged.cluster, votes), chance[merged.cluster], 0.0)
