"""Office packages (ZIP files with XML parts): which kind one is, and whether it is safe to open.

Nothing is ever unpacked to disk and no macro is run; this is about memory, entities and files that
only look like a package. Knows no content.
"""

import re
import zipfile
from collections.abc import Callable
from io import BytesIO

from retrieval.errors import EncryptedDocument, ParseError, UnsupportedMedia
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.limits import (
    MAX_PACKAGE_PARTS,
    MAX_UNPACKED_BYTES,
    MAX_UNPACKED_RATIO,
    UNPACKED_ANYWAY_BYTES,
)
from retrieval.parsing.refusals import damage_shows_as_any_error, damaged, unreadable
from retrieval.types import Document

_OPEN_XML = "application/vnd.openxmlformats-officedocument."
DOCX = f"{_OPEN_XML}wordprocessingml.document"
XLSX = f"{_OPEN_XML}spreadsheetml.sheet"
PPTX = f"{_OPEN_XML}presentationml.presentation"

Read = Callable[[bytes, DocumentBuilder], str]  # fills the builder, returns the title

_TYPES_PART = "[Content_Types].xml"
_ROOT_LINKS = "_rels/.rels"
_STRICT = b"purl.oclc.org/ooxml"
_XML_ENDINGS = (".xml", ".rels", ".vml")
_PROLOG_BYTES = 65_536  # of a part; declarations stand before its first element
_DECLARATION = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # all that the standard allows
_IS_ENCRYPTED = 0x1

# An encrypted Office file is an old-style container with a stream of this name.
_OLD_CONTAINER = b"\xd0\xcf\x11\xe0"
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")


def is_package(data: bytes) -> bool:
    return data.startswith((b"PK\x03\x04", b"PK\x05\x06", _OLD_CONTAINER))


def package_type(data: bytes, name: str) -> str:
    """The media type of an Office package. Raises for all other files that `is_package` admits."""
    if data.startswith(_OLD_CONTAINER):
        if _ENCRYPTED_STREAM in data:
            raise _protected(name)
        raise unreadable(name, "an old Office document")
    kind = "a ZIP archive or an Office document"
    with damage_shows_as_any_error(name, kind), zipfile.ZipFile(BytesIO(data)) as archive:
        names = set(archive.namelist())
        if _TYPES_PART not in names:
            is_open_document = "mimetype" in names and "content.xml" in names
            what = "an OpenDocument file" if is_open_document else "a ZIP archive"
            raise unreadable(name, what)
        _check(archive, data, name)
        if _ROOT_LINKS in names and _STRICT in archive.read(_ROOT_LINKS):
            raise unreadable(name, "a Strict Open XML document")
        return _declared_type(archive.read(_TYPES_PART), name)


def read_package(data: bytes, name: str, media_type: str, kind: str, read: Read) -> Document:
    """The document that `read` fills from a package of that type; whatever breaks on the way says
    that this is a damaged `kind`."""
    _check_type(data, name, media_type)
    builder = DocumentBuilder(name)
    with damage_shows_as_any_error(name, kind):
        title = read(data, builder)
    return builder.build(title, media_type)


def _check_type(data: bytes, name: str, media_type: str) -> None:
    """Raises unless `data` is a package of that type which is safe to open."""
    if not is_package(data) or package_type(data, name) != media_type:
        raise damaged(name, f"an Office document ({media_type.rsplit('.', 1)[-1]})")


def _declared_type(types: bytes, name: str) -> str:
    if b"macroEnabled.main+xml" in types:
        raise UnsupportedMedia(
            f"{name} is an Office document with macros, which are programs. "
            "Save it without them (as DOCX, XLSX or PPTX) and upload that."
        )
    for media_type in (DOCX, XLSX, PPTX):
        if f"{media_type}.main+xml".encode() in types:
            return media_type
    raise unreadable(name, "an Office template, a show or a package of another program")


def _check(archive: zipfile.ZipFile, data: bytes, name: str) -> None:
    parts = archive.infolist()
    if any(part.flag_bits & _IS_ENCRYPTED for part in parts):
        raise _protected(name)
    # What a part says of its size is what `zipfile` reads of it at most.
    unpacked = sum(part.file_size for part in parts)
    is_bomb = unpacked > max(UNPACKED_ANYWAY_BYTES, MAX_UNPACKED_RATIO * len(data))
    if len(parts) > MAX_PACKAGE_PARTS or unpacked > MAX_UNPACKED_BYTES or is_bomb:
        raise ParseError(
            f"{name} unpacks to {unpacked:,} bytes in {len(parts):,} parts, more than is safe to "
            "open. Split it into smaller files, or save it without pictures."
        )
    names = {part.filename for part in parts}
    has_tricks = len(names) < len(parts) or any(map(_leads_out, names))
    if has_tricks or any(part.compress_type not in _METHODS for part in parts):
        raise damaged(name, "an Office document")
    for part in parts:
        if part.filename.lower().endswith(_XML_ENDINGS):
            with archive.open(part) as stream:
                prolog = stream.read(_PROLOG_BYTES).replace(b"\x00", b"")
            if _DECLARATION.search(prolog):
                raise damaged(name, "an Office document")


def _leads_out(path: str) -> bool:
    return path.startswith("/") or "\\" in path or ":" in path or ".." in path.split("/")


def _protected(name: str) -> EncryptedDocument:
    return EncryptedDocument(
        f"{name} is protected by a password. Save a copy without one and upload that."
    )
