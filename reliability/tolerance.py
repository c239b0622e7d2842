"""Values of one question that differ by less than anybody means: they vote as one.

Numbers within 1 %, and dates equal at the coarser precision, support each other; the one that most
trust stands behind is reported.
"""

from collections import defaultdict
from dataclasses import dataclass, replace

import numpy as np

from reliability.arrays import FloatArray, IntArray, group_first, group_sum
from reliability.numbers import TOLERANCE, parse_date, parse_quantity, same_date, tolerance_groups
from reliability.table import ClaimTable


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
    dates = {value: parse_date(table.values[value]) for value in members}
    read = {value: parse_quantity(table.values[value]) for value in members if dates[value] is None}
    groups: list[list[int]] = []
    units = {quantity.unit for quantity in read.values() if quantity}
    for unit in units:
        same = [v for v, quantity in read.items() if quantity and quantity.unit == unit]
        found = tolerance_groups([q.value for v in same if (q := read[v])], tolerance)
        groups += [[same[i] for i in np.flatnonzero(found == n)] for n in range(found.max() + 1)]
    dated = sorted(value for value in members if dates[value] is not None)
    groups += _date_groups({value: day for value in dated if (day := dates[value])})
    return [group for group in groups if len(group) > 1]


def _date_groups(dates: dict[int, tuple[int, int | None, int | None]]) -> list[list[int]]:
    """A coarse date joins the one fine date it holds; with two of them it stays alone."""
    groups: dict[int, list[int]] = {}
    for value, day in dates.items():
        finer = [v for v, other in dates.items() if v != value and same_date(day, other)]
        agree = all(same_date(dates[a], dates[b]) for a in finer for b in finer)
        key = min([value, *finer]) if agree else value
        groups.setdefault(key, []).append(value)
    return list(groups.values())


def report_members(merged: Merged, chance: FloatArray, votes: FloatArray) -> FloatArray:
    """[V] the cluster's chance for its member with the most `votes` [V], 0 for the others."""
    return np.where(group_first(merged.cluster, votes), chance[merged.cluster], 0.0)
