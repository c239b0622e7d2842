"""What goes over the pipes between a pool and its child: a JSON header, then raw bytes.

A frame is two 4-byte lengths, the header and the body. JSON and not pickle: what comes back from a
child that read a hostile file must not be able to run anything. Knows no processes.
"""

import json
import struct
from itertools import pairwise
from typing import BinaryIO, get_args

from retrieval import errors
from retrieval.errors import ParseError
from retrieval.types import Block, BlockKind, Document

_LENGTHS = struct.Struct(">II")
_KINDS = frozenset(get_args(BlockKind))
_ERRORS: dict[str, type[ParseError]] = {
    kind.code: kind
    for kind in (
        ParseError,
        errors.UnsupportedMedia,
        errors.EncryptedDocument,
        errors.EmptyDocument,
    )
}

# Text has at most 10 million characters of four bytes; a block costs 30 bytes and stands for a few
# characters. What is longer did not come from a parser.
MAX_FRAME_BYTES = 2**30

Header = dict[str, object]


class BadFrame(Exception):
    """The other side did not keep to the format, or ended within a frame."""


def write_frame(stream: BinaryIO, header: Header, body: bytes = b"") -> None:
    encoded = json.dumps(header, ensure_ascii=False).encode("utf-8", "surrogatepass")
    stream.write(_LENGTHS.pack(len(encoded), len(body)))
    stream.write(encoded)
    stream.write(body)
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[Header, bytes] | None:
    """None at the end of the stream."""
    lengths = stream.read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < _LENGTHS.size:
        raise BadFrame("the stream ends within a length")
    header_len, body_len = _LENGTHS.unpack(lengths)
    if header_len + body_len > MAX_FRAME_BYTES:
        raise BadFrame(f"a frame of {header_len + body_len:,} bytes")
    encoded, body = stream.read(header_len), stream.read(body_len)
    if len(encoded) < header_len or len(body) < body_len:
        raise BadFrame("the stream ends within a frame")
    try:
        header = json.loads(encoded)
    except ValueError as error:
        raise BadFrame("a header that is not JSON") from error
    if not isinstance(header, dict):
        raise BadFrame("a header that is not an object")
    return header, body


def error_header(error: ParseError) -> Header:
    return {"error": error.code, "message": str(error)}


def document_frame(document: Document) -> tuple[Header, bytes]:
    blocks = [[b.kind, b.start, b.end, b.level, b.page] for b in document.blocks]
    header: Header = {
        "title": document.title,
        "media_type": document.media_type,
        "blocks": blocks,
    }
    return header, document.text.encode()


def to_document(header: Header, body: bytes) -> Document:
    """The document of a reply. Raises the `ParseError` it carries, or `BadFrame`."""
    if "error" in header:
        raise _ERRORS.get(str(header["error"]), ParseError)(str(header.get("message")))
    title, media_type, rows = (header.get(key) for key in ("title", "media_type", "blocks"))
    if not (isinstance(title, str) and isinstance(media_type, str) and isinstance(rows, list)):
        raise BadFrame("a reply without title, type or blocks")
    try:
        text = body.decode()
        blocks = tuple(_block(row) for row in rows)
    except (ValueError, TypeError) as error:
        raise BadFrame("a reply with a broken text or block") from error
    edges = [0, *(edge for block in blocks for edge in (block.start, block.end)), len(text)]
    if any(left > right for left, right in pairwise(edges)):
        raise BadFrame("a reply with blocks out of order")
    return Document(title, text, media_type, blocks)


def _block(row: object) -> Block:
    if not isinstance(row, list):
        raise TypeError("not a list")
    kind, start, end, level, page = row
    numbers = (start, end, level, 0 if page is None else page)
    if kind not in _KINDS or not all(type(number) is int for number in numbers):
        raise ValueError(f"not a block: {row}")
    return Block(kind, start, end, level, page)
