"""Rows and records as blocks that can be found and cited alone: each value behind its label.

A row says nothing of its number, so that a row put in above changes no other. Knows no format.
"""

import re
from collections.abc import Iterable, Sequence

from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.limits import MAX_ROW_CHARS

_NO_LABEL = re.compile(r"[-+$€£]?[\d.,:/ %-]*")  # numbers, dates, amounts

Field = tuple[str, str]  # label, value; a label may be empty


def add_record(builder: DocumentBuilder, fields: Iterable[Field]) -> None:
    """One block: a table row where it is short, else a paragraph with a line for each value."""
    shown = [(" ".join(label.split()), value.strip()) for label, value in fields if value.strip()]
    row = " | ".join(_labelled(label, " ".join(value.split())) for label, value in shown)
    if len(row) <= MAX_ROW_CHARS:
        builder.add("table", row)
    else:
        builder.add("paragraph", "\n".join(_labelled(*field) for field in shown))


def add_rows(builder: DocumentBuilder, rows: Iterable[Sequence[str]], heading: str = "") -> None:
    """The rows of one table. Its first row is taken for labels unless it holds a number.

    What stands above the first row of two cells is a caption. A heading needs rows under it.
    """
    filled = (row for row in rows if any(cell.strip() for cell in row))
    labels: Sequence[str] | None = None
    is_waiting = False  # the row of labels, for a row that needs them
    for row in filled:
        builder.add("heading", heading, level=1)
        heading = ""
        if labels is None and sum(bool(cell.strip()) for cell in row) < 2:
            builder.add("paragraph", " ".join(row).strip())
        elif labels is None and _are_labels(row):
            labels, is_waiting = row, True
        else:
            labels, is_waiting = labels or (), False
            add_record(builder, _with_labels(labels, row))
    if is_waiting:
        add_record(builder, (("", cell) for cell in labels or ()))


def _with_labels(labels: Sequence[str], row: Sequence[str]) -> Iterable[Field]:
    for index, cell in enumerate(row):
        yield labels[index] if index < len(labels) else "", cell


def _are_labels(row: Sequence[str]) -> bool:
    shown = [cell.strip() for cell in row if cell.strip()]
    is_text = not any(_NO_LABEL.fullmatch(cell) or len(cell) > 100 for cell in shown)
    return is_text and len(set(shown)) == len(shown)


def _labelled(label: str, value: str) -> str:
    return f"{label}: {value}" if label else value
