"""Multipart uploads with a limit for each file, held while the bytes arrive.

A part above the limit is dropped as it comes in, so neither memory nor disk ever holds it; parts
below spill from memory to a temporary file at 1 MiB. Knows nothing of documents.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from app.api.job_schemas import NewText
from app.api.wording import explain
from app.errors import DocumentTooLarge, InvalidValue

MAX_FILES = 500
FIELDS = frozenset({"source", "tags", "date"})


@dataclass(frozen=True, slots=True)
class Upload:
    """One file part; `file` is None where it was above the limit."""

    name: str
    media_type: str | None
    file: UploadFile | None


@dataclass(frozen=True, slots=True)
class UploadForm:
    files: tuple[Upload, ...]
    fields: dict[str, str]


@asynccontextmanager
async def read_uploads(request: Request, max_file_bytes: int) -> AsyncIterator[UploadForm]:
    """All parts named `file`, and the text fields. Raises `InvalidValue` for anything else.

    The files are open until the block ends.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise InvalidValue("Send the documents as multipart/form-data, each in a part named file.")
    parser = _LimitedParser(request, max_file_bytes)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidValue(f"The upload cannot be read: {error.message}") from error
    except HTTPException as error:
        if error.status_code != 413:
            raise
        one = f"One document may have {max_file_bytes:,} (max_document_bytes)."
        raise DocumentTooLarge(f"{error.detail} {one}") from error
    try:
        yield _sort_parts(form, parser.oversize)
    finally:
        await form.close()


def max_json_bytes(max_bytes: int) -> int:
    """Of a document of `max_bytes` of UTF-8 as JSON: an escape takes six bytes for a character that
    may be one, and there are the other fields. How large the document itself is, is asked later."""
    return 6 * max_bytes + 16_384


async def read_json(request: Request, max_bytes: int) -> NewText:
    """One document as a JSON object. Raises `DocumentTooLarge` while it arrives."""
    held, limit = bytearray(), max_json_bytes(max_bytes)
    async for piece in request.stream():
        held += piece
        if len(held) > limit:
            raise DocumentTooLarge(f"The document is larger than {max_bytes:,} bytes.")
    return parse_text(bytes(held))


def parse_text(line: bytes) -> NewText:
    """Raises `InvalidValue` with the field that is wrong."""
    try:
        return NewText.model_validate(json.loads(line))
    except (ValueError, RecursionError) as error:
        if not isinstance(error, ValidationError):
            raise InvalidValue("It is not a JSON object.") from error
        raise InvalidValue(explain(error.errors(include_url=False, include_input=False))) from error


class _LimitedParser(MultiPartParser):
    """Starlette's parser, which asks on every piece whether its part may still grow."""

    def __init__(self, request: Request, max_file_bytes: int) -> None:
        super().__init__(request.headers, request.stream(), max_files=MAX_FILES, max_fields=20)
        self._max_file_bytes = max_file_bytes
        self._part = -1
        self._part_bytes = 0
        self.oversize: set[int] = set()  # positions of parts in the form

    def on_part_begin(self) -> None:
        super().on_part_begin()
        self._part += 1
        self._part_bytes = 0

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._part_bytes += end - start
        if self._part_bytes > self._max_file_bytes:
            self.oversize.add(self._part)
        else:
            super().on_part_data(data, start, end)


def _sort_parts(form: FormData, oversize: set[int]) -> UploadForm:
    files: list[Upload] = []
    fields: dict[str, str] = {}
    for position, (key, value) in enumerate(form.multi_items()):
        if isinstance(value, str):
            fields[key] = value
        elif key == "file":
            kept = None if position in oversize else value
            files.append(Upload(value.filename or "", _stated_type(value), kept))
        else:
            raise InvalidValue(f"The part {key!r} holds a file; documents go in parts named file.")
    if unknown := sorted(fields.keys() - FIELDS):
        raise InvalidValue(
            f"Unknown field {unknown[0]!r}; besides file there are {', '.join(sorted(FIELDS))}."
        )
    return UploadForm(tuple(files), fields)


def _stated_type(file: UploadFile) -> str | None:
    """The part's media type; what clients send when they do not know counts as nothing."""
    media_type = (file.content_type or "").partition(";")[0].strip().lower()
    return None if media_type in {"", "application/octet-stream"} else media_type
