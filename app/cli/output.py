"""How the command line writes: results on standard output, everything else on standard error."""

import json
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text


def out() -> Console:
    """Made when needed, so that it writes to the standard output of that moment."""
    return Console(highlight=False, soft_wrap=True)


def err() -> Console:
    return Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: object) -> None:
    """One object, as it is: no colours, no wrapping."""
    out().file.write(json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def print_error(message: str) -> None:
    err().print(Text.assemble(("error: ", "bold red"), message))


def print_note(message: str) -> None:
    err().print(Text(message, style="dim"))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Numbers to the right; cells are text, never markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    rows = [tuple(row) for row in rows]
    for column, heading in enumerate(headings):
        is_number = bool(rows) and isinstance(rows[0][column], int | float)
        table.add_column(heading, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    out().print(table)


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case float():
            return f"{value:.2f}"
        case int():
            return f"{value:,}"
        case _:
            return str(value)
