"""Bytes to clean text: encoding, line ends, control characters, Unicode form.

Every parser passes its text through here before it measures a single offset, so that citation
spans never move afterwards. Knows no format and no structure.
"""

import re
import unicodedata
from functools import cache

from retrieval.errors import ParseError, UnsupportedMedia
from retrieval.parsing.limits import MAX_COMBINING_RUN, MAX_TEXT_CHARS
from retrieval.parsing.refusals import unreadable

_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Cc except \n and \t, lone surrogates, noncharacters, byte order marks and soft hyphens: nothing a
# reader sees, some of it (surrogates) refused by every UTF-8 consumer downstream.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]"
)
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")

# Western prose has under 10 % letters outside ASCII; Cyrillic or Japanese bytes read as cp1252
# have over half. The line between them is drawn well clear of both.
_MAX_WESTERN_HIGH_SHARE = 0.3
_MAX_CONTROL_SHARE = 0.05


def is_visible(text: str) -> bool:
    """Whether anything of it can be seen; controls and spaces of no width cannot."""
    return any(char.isprintable() and not char.isspace() for char in text)


def decode(data: bytes, name: str, declared: str | None = None) -> str:
    """Decode text bytes; `declared` is an encoding that the file itself names."""
    if data.startswith(_UTF16_MARKS):
        text = _decode_as(data, "utf-16", name)
    elif b"\x00" in data:
        raise unreadable(name, "not a text file")
    else:
        text = _decode_bytes(data, name, declared)
    if len(_CONTROLS.findall(text)) > _MAX_CONTROL_SHARE * len(text):
        raise unreadable(name, "not a text file")
    return text


def _decode_bytes(data: bytes, name: str, declared: str | None) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if declared is not None:
            return _decode_as(data, declared, name)
        return _decode_western(data, name, error)


def _decode_western(data: bytes, name: str, error: UnicodeDecodeError) -> str:
    high = len(data.translate(None, bytes(range(128))))
    try:
        if high <= _MAX_WESTERN_HIGH_SHARE * len(data):
            return data.decode("cp1252")
    except UnicodeDecodeError as western_error:
        error = western_error
    raise UnsupportedMedia(
        f"{name} is neither UTF-8 nor Western European text (byte {error.start}). "
        "Save it as UTF-8 and upload it again."
    ) from error


def _decode_as(data: bytes, encoding: str, name: str) -> str:
    try:
        return data.decode(encoding)
    except (UnicodeError, LookupError) as error:
        raise ParseError(
            f"{name} says that it is {encoding} text, but it cannot be read as such. "
            "Save it as UTF-8 and upload it again."
        ) from error


def clean(text: str) -> str:
    """NFC text with LF line ends and no control characters but newline and tab. Idempotent."""
    text = _UNPRINTABLE.sub("", _LINE_ENDS.sub("\n", text))
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _mark_runs().sub(_shorten_run, text))


def clean_document(text: str, name: str) -> str:
    """`clean`, within the length limit."""
    if len(text) > MAX_TEXT_CHARS:
        raise too_long(name)
    return clean(text)


def too_long(name: str) -> ParseError:
    return ParseError(
        f"{name} holds more than {MAX_TEXT_CHARS:,} characters of text. "
        "Split it into smaller files and upload these."
    )


def one_line(text: str) -> str:
    return " ".join(clean(text).split())


def _shorten_run(run: re.Match[str]) -> str:
    return run.group()[:MAX_COMBINING_RUN]


@cache
def _mark_runs() -> re.Pattern[str]:
    marks = "".join(c for c in map(chr, range(0x300, 0x1EFFF)) if unicodedata.combining(c))
    return re.compile(f"[{re.escape(marks)}]{{{MAX_COMBINING_RUN + 1},}}")
