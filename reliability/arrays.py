"""Types of arrays and three operations on groups of rows. Knows no noun of the project."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def group_sum(groups: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Sum of `values` a group; groups without a row get 0."""
    return np.bincount(groups, weights=values, minlength=count).astype(np.float64)


def group_max(groups: IntArray, values: FloatArray, count: int) -> FloatArray:
    """Greatest of `values` a group; groups without a row get minus infinity."""
    out = np.full(count, -np.inf)
    np.maximum.at(out, groups, values)
    return out


def group_first(groups: IntArray, order_by: FloatArray) -> BoolArray:
    """Marks in each group the one row with the greatest `order_by` (the earliest of equal ones)."""
    order = np.lexsort((np.arange(len(groups)), -order_by, groups))
    ordered = groups[order]
    marks = np.zeros(len(groups), dtype=np.bool_)
    marks[order] = np.concatenate(([True], ordered[1:] != ordered[:-1])) if len(groups) else False
    return marks
