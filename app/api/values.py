"""What a value of a request may be, wherever it stands: in a path, a query or a body."""

import re
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints

from app.db.collections import MAX_NAME_LEN
from retrieval.parsing.normalise import is_visible

# Both databases hold larger numbers, but JSON of many clients does not; no row gets that far.
ROW_LIMIT = 2**53

RowId = Annotated[int, Field(ge=1, lt=ROW_LIMIT)]
RowIdOrZero = Annotated[int, Field(ge=0, lt=ROW_LIMIT)]  # 0 is none
# Any text. Without a constraint halves of surrogate pairs pass, which neither UTF-8 nor a database
# can hold.
Text = Annotated[str, StringConstraints(min_length=0)]
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_NAME_LEN)
]


def _read_day(value: object) -> object:
    """Of `2026-11-22`; what is no text is left to the type."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value, re.ASCII):
        raise ValueError("write a day as 2026-11-22")
    return date.fromisoformat(value)


Day = Annotated[date, BeforeValidator(_read_day)]


def _check_visible(text: str) -> str:
    if not is_visible(text):
        raise ValueError("there is nothing to read in it")
    return text


# To be asked: with something in it that can be seen.
Visible = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(_check_visible)]
