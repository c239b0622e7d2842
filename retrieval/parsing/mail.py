"""E-mail: who wrote to whom and when, then the words; forwarded messages with theirs.

Of a message in two forms the plain one is read. Attachments are named and not read: each is a
document of its own.
"""

from collections.abc import Iterator
from contextlib import suppress
from email import message_from_bytes, policy
from email.message import Message

from retrieval.errors import EmptyDocument
from retrieval.parsing.builder import DocumentBuilder
from retrieval.parsing.html import add_whole_page
from retrieval.parsing.limits import MAX_TEXT_CHARS
from retrieval.parsing.normalise import clean, clean_document, one_line
from retrieval.parsing.refusals import damage_shows_as_any_error
from retrieval.types import Document

MEDIA_TYPE = "message/rfc822"
_SHOWN = ("From", "To", "Cc", "Date")
_MAX_DEPTH = 10  # forwarded messages within one another

_KNOWN = {
    *("from", "to", "cc", "subject", "date", "message-id", "mime-version", "received", "sender"),
    *("return-path", "reply-to", "delivered-to", "content-type", "dkim-signature", "references"),
}
_OF_THE_POST = {"message-id", "mime-version", "received", "return-path", "dkim-signature"}


class MailParser:
    def parse(self, data: bytes, name: str) -> Document:
        builder = DocumentBuilder(name)
        with damage_shows_as_any_error(name, "an e-mail"):
            message = message_from_bytes(data, policy=policy.default)
            _add_message(builder, message, name, depth=0)
            title = _header(message, "Subject")
        return builder.build(title, MEDIA_TYPE)


def is_mail(sample: bytes, is_stated: bool) -> bool:
    """Whether a file begins as a message does; one that is not called so must show more."""
    names: set[str] = set()
    for line in sample.split(b"\n"):
        if line.startswith((b" ", b"\t", b"From ", b">From ")) or not line.strip():
            if not line.strip():
                break
            continue
        label, colon, _ = line.partition(b":")
        if not colon or not label or not all(0x20 < char < 0x7F for char in label):
            return False
        names.add(label.decode("ascii").lower())
    is_complete = "from" in names and bool(names & _OF_THE_POST)
    return len(names & _KNOWN) >= 2 and (is_stated or is_complete)


def _add_message(builder: DocumentBuilder, message: Message, name: str, depth: int) -> None:
    subject = one_line(_header(message, "Subject"))
    builder.add("heading", subject or "Message", level=min(depth + 1, 6))
    lines = [(label, one_line(_header(message, label))) for label in _SHOWN]
    builder.add("paragraph", "\n".join(f"{label}: {value}" for label, value in lines if value))
    attachments: list[str] = []
    for part in _parts(message):
        if part.get_content_type() == MEDIA_TYPE and depth < _MAX_DEPTH:
            for inner in _inside(part):
                _add_message(builder, inner, name, depth + 1)
        elif part.get_content_type() in {"text/plain", "text/html"} and not _is_attached(part):
            _add_text(builder, part, name)
        else:
            attachments.append(one_line(part.get_filename() or part.get_content_type()))
    if attachments:
        builder.add("paragraph", "Attachments: " + ", ".join(attachments))


def _parts(message: Message) -> Iterator[Message]:
    """What a reader is shown, one by one; of alternatives one."""
    waiting = [message]
    while waiting:
        part = waiting.pop()
        inner = _inside(part)
        if part.get_content_maintype() != "multipart" or not inner:
            yield part
        elif part.get_content_subtype() == "alternative":
            waiting.append(_best(inner))
        else:
            waiting.extend(reversed(inner))


def _inside(part: Message) -> list[Message]:
    """The parts of a multipart; the message in a forwarded one. Nothing is in text."""
    payload = part.get_payload() if part.is_multipart() else []
    return [child for child in payload if isinstance(child, Message)]


def _best(alternatives: list[Message]) -> Message:
    """The plain text, unless it is blank; else the last, which is the richest."""
    plain = [part for part in alternatives if part.get_content_type() == "text/plain"]
    return next((part for part in plain if _decoded(part).strip()), alternatives[-1])


def _is_attached(part: Message) -> bool:
    return part.get_content_disposition() == "attachment"


def _add_text(builder: DocumentBuilder, part: Message, name: str) -> None:
    text = _decoded(part)
    if part.get_content_type() == "text/html":
        with suppress(EmptyDocument):  # the other parts may hold something
            add_whole_page(builder, text, name)
        return
    for paragraph in clean_document(text, name).split("\n\n"):
        builder.add("paragraph", paragraph)


def _decoded(part: Message) -> str:
    """Text in its stated encoding, else as UTF-8; a wrong byte does not lose the message."""
    data = _bytes_of(part)
    try:
        return data.decode(part.get_content_charset() or "utf-8", "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")


def _bytes_of(part: Message) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _header(message: Message, label: str) -> str:
    try:
        return str(message[label] or "")
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # The library takes odd headers apart and stumbles; as they were sent, they can be read.
        raw = next(
            (value for key, value in message.raw_items() if key.lower() == label.lower()), ""
        )
        return clean(str(raw))[:MAX_TEXT_CHARS]
