"""JSON Lines: each record a block, its values behind their names.

A line that is not JSON is kept as it stands, so that a file cut short loses nothing else.
"""

import json
from collections.abc import Iterator

from retrieval.errors import ParseError
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.normalise import clean_document, decode
from retrieval.parsing.rows import Field, add_record
from retrieval.types import Document

_PROBED_LINES = 5


class JsonLinesParser:
    def parse(self, data: bytes, name: str) -> Document:
        text = clean_document(decode(data, name), name)
        builder = DocumentBuilder(name)
        for line in text.split("\n"):
            try:
                fields = list(_fields("", load(line)))
            except ValueError:
                builder.add("paragraph", line)
            except RecursionError as error:
                raise ParseError(
                    f"{name} holds a record that is nested too deep to be read. "
                    "Flatten it and upload it again."
                ) from error
            else:
                add_record(builder, fields)
        return builder.build("", "application/x-ndjson")


def load(line: str) -> object:
    """Numbers stay as they are written: 1e400, 0.10 and integers of any length."""
    found: object = json.loads(line, parse_int=str, parse_float=str, parse_constant=str)
    return found


def are_records(text: str, at_least: int) -> bool:
    """Whether the first lines are objects, as many as that; the last one may be cut off."""
    lines = [line for line in text.split("\n") if line.strip()]
    probed = lines[: max(1, min(_PROBED_LINES, len(lines) - 1))]
    if len(lines) < at_least:
        return False
    try:
        return bool(probed) and all(isinstance(load(line), dict) for line in probed)
    except (ValueError, RecursionError):
        return False


def _fields(label: str, value: object) -> Iterator[Field]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _fields(f"{label}.{key}" if label else str(key), inner)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value, start=1):
            yield from _fields(f"{label}.{number}" if label else str(number), item)
    elif isinstance(value, list):
        yield label, ", ".join(shown for item in value if (shown := _shown(item)))
    else:
        yield label, _shown(value)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
