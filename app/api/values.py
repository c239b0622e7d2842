"""What a value of a request may be, wherever it stands: in a path, a query or a body."""

from typing import Annotated

from pydantic import Field, StringConstraints

# Both databases hold larger numbers, but JSON of many clients does not; no row gets that far.
ROW_LIMIT = 2**53

RowId = Annotated[int, Field(ge=1, lt=ROW_LIMIT)]
AfterRow = Annotated[int, Field(ge=0, lt=ROW_LIMIT)]  # 0: from the first
# Any text. Without a constraint halves of surrogate pairs pass, which neither UTF-8 nor a database
# can hold.
Text = Annotated[str, StringConstraints(min_length=0)]
