"""Numbers, amounts and dates inside answers: read, compared within a tolerance, their median."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from reliability.arrays import FloatArray, IntArray

TOLERANCE = 0.01  # of the greater of both
MOST_DIGITS = 30  # a longer row of digits is a key or an attack, and beyond 308 it is no float
SCALES = {"thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}
UNITS = {
    "km": ("m", 1e3), "kilometres": ("m", 1e3), "kilometers": ("m", 1e3), "m": ("m", 1.0),
    "metres": ("m", 1.0), "meters": ("m", 1.0), "cm": ("m", 0.01), "mm": ("m", 0.001),
    "mi": ("m", 1609.344), "miles": ("m", 1609.344), "ft": ("m", 0.3048), "feet": ("m", 0.3048),
    "kg": ("g", 1e3), "kilograms": ("g", 1e3), "g": ("g", 1.0), "grams": ("g", 1.0),
    "t": ("g", 1e6), "tonnes": ("g", 1e6), "percent": ("%", 1.0), "%": ("%", 1.0),
}  # fmt: skip
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september"),
    *("october", "november", "december"),
)
NUMBER = re.compile(r"[-+]?\d{1,3}(?:[, ]\d{3})+(?:\.\d+)?|[-+]?\d+(?:\.\d+)?")
WORD = re.compile(r"[a-z%]+")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in base units. `step` is the precision it was stated with (10,000: 10,000)."""

    value: float
    unit: str
    step: float


def parse_date(text: str) -> tuple[int, int | None, int | None] | None:
    """(year, month, day) of a text that is one date; month and day None where it names none."""
    words = re.findall(r"[a-z]+|\d+", text.lower().replace("th ", " ").replace("st ", " "))
    iso = re.fullmatch(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*", text)
    if iso:
        return _checked(*(int(part) for part in iso.groups()))
    months = [MONTHS.index(m) + 1 for w in words for m in MONTHS if w in (m, m[:3])]
    years = [int(w) for w in words if len(w) == 4 and w.isdigit()]
    days = [int(w) for w in words if len(w) <= 2 and w.isdigit()]
    rest = [w for w in words if not w.isdigit() and w not in ("of", "in", "on", "the")]
    if len(years) != 1 or len(rest) != len(months) or len(months) > 1 or len(days) > 1:
        return None
    if not months:
        return (years[0], None, None) if not days else None
    return _checked(years[0], months[0], days[0] if days else None)


def _checked(year: int, month: int, day: int | None) -> tuple[int, int | None, int | None] | None:
    try:
        date(year, month, day or 1)
    except ValueError:
        return None
    return year, month, day


def same_date(
    one: tuple[int, int | None, int | None], other: tuple[int, int | None, int | None]
) -> bool:
    """Equal at the coarser precision of both: "1900" and "3 May 1900" do not disagree."""
    return all(a is None or b is None or a == b for a, b in zip(one, other, strict=True))


def parse_quantity(text: str) -> Quantity | None:
    """The one number of a text with its unit; None where there is none, more than one, or one that
    nobody counts with."""
    found = list(NUMBER.finditer(text))
    if len(found) != 1:
        return None
    digits = found[0].group().replace(",", "").replace(" ", "")
    if len(digits) > MOST_DIGITS:
        return None
    value = float(digits)
    step = 10.0 ** -len(digits.split(".")[1]) if "." in digits else _step(digits)
    unit = ""
    for word in WORD.findall(text[found[0].end() :].lower()):
        if word in SCALES:
            value, step = value * SCALES[word], step * SCALES[word]
        elif word in UNITS and not unit:
            unit, factor = UNITS[word]
            value, step = value * factor, step * factor
        else:
            unit = unit or word
    return Quantity(value, unit, step) if math.isfinite(value) else None


def _step(digits: str) -> float:
    """Precision of a whole number: its trailing zeros are taken as rounding."""
    return float(10 ** (len(digits) - len(digits.rstrip("0")))) if digits.strip("0+-") else 1.0


def same_quantity(one: Quantity, other: Quantity, tolerance: float = TOLERANCE) -> bool:
    """Within the tolerance, or equal when the finer one is rounded to the coarser one's step."""
    if one.unit != other.unit and one.unit and other.unit:
        return False
    gap = abs(one.value - other.value)
    if gap <= tolerance * max(abs(one.value), abs(other.value)):
        return True
    coarse = max(one.step, other.step)
    return gap <= coarse / 2 and coarse <= 0.1 * max(abs(one.value), abs(other.value))


def tolerance_groups(values: Sequence[float], tolerance: float = TOLERANCE) -> IntArray:
    """Group number of each value: neighbours in size closer than the tolerance, never further
    from the group's middle, so that a chain of small steps does not join 1 and 2."""
    data = np.asarray(values, dtype=np.float64)
    groups = np.zeros(len(data), dtype=np.int64)
    order = np.argsort(data, kind="stable")
    start, current = 0, 0
    for place in range(len(order)):
        first, value = data[order[start]], data[order[place]]
        if value - first > tolerance * max(abs(first), abs(value)):
            start, current = place, current + 1
        groups[order[place]] = current
    return groups


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The value at which half of the weight is reached; always one of the values."""
    data: FloatArray = np.asarray(values, dtype=np.float64)
    order = np.argsort(data, kind="stable")
    reached = np.cumsum(np.maximum(np.asarray(weights, dtype=np.float64), 0.0)[order])
    if not len(data) or reached[-1] <= 0:
        raise ValueError("a median needs a value with a positive weight")
    return float(data[order[int(np.searchsorted(reached, reached[-1] / 2))]])
