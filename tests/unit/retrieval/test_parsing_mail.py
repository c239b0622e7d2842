"""E-mail parser on messages made here and on odd ones."""

import pytest

from retrieval.parsing.mail import is_mail
from retrieval.parsing.registry import parse
from tests.fakes.office_files import make_mail


def read(data: bytes, name: str = "a.eml") -> list[tuple[str, int, str]]:
    document = parse(data, name)
    return [(b.kind, b.level, document.text[b.start : b.end]) for b in document.blocks]


def test_message_with_alternatives_attachment_and_forwarded_message() -> None:
    message = make_mail(
        "Hello Bo,\n\nthe fee is 5.\n",
        "<p>not read</p>",
        Subject="Fées",
        Date="Mon, 1 Jun 2026 09:00:00 +0000",
    )
    message.add_attachment(b"%PDF", maintype="application", subtype="pdf", filename="fées.pdf")
    message.add_attachment("notes", filename="notes.txt")
    message.add_attachment(make_mail("Inner words.\n", Subject="Before"))
    document = parse(message.as_bytes(), "x.bin")
    assert (document.title, document.media_type) == ("Fées", "message/rfc822")
    assert read(message.as_bytes()) == [
        ("heading", 1, "Fées"),
        (
            "paragraph",
            0,
            "From: Ada <ada@example.org>\nTo: bo@example.org\n"
            "Date: Mon, 01 Jun 2026 09:00:00 +0000",
        ),
        ("paragraph", 0, "Hello Bo,"),
        ("paragraph", 0, "the fee is 5."),
        ("heading", 2, "Before"),
        ("paragraph", 0, "From: Ada <ada@example.org>\nTo: bo@example.org"),
        ("paragraph", 0, "Inner words."),
        ("paragraph", 0, "Attachments: fées.pdf, notes.txt"),
    ]


def test_html_where_there_is_no_plain_text() -> None:
    page = "<html><head><title>t</title><style>x</style></head><body><p>Hi</p><ul><li>a<li>b</ul>"
    message = make_mail("  \n", page, Subject="S")
    assert read(message.as_bytes())[2:] == [("paragraph", 0, "Hi"), ("list", 0, "- a\n- b")]
    assert read(make_mail(" \n", "<p> </p>").as_bytes())[0] == ("heading", 1, "Message")


@pytest.mark.parametrize("charset", ["iso-8859-1", "no-such-charset", "utf-8\x00"])
def test_encodings_right_and_wrong(charset: str) -> None:
    data = f"From: a@x\nSubject: s\nContent-Type: text/plain; charset={charset}\n\n".encode()
    text = parse(data + b"caf\xe9 and more", "a.eml").text
    assert text.endswith("café and more" if charset == "iso-8859-1" else "caf\ufffd and more")


def test_odd_headers_are_shown_as_they_are() -> None:
    data = b"From: =?utf-8?q?=C3?=@[\nTo: <@\nSubject: =?x?q?a?=\nDate: never\n\nText."
    assert parse(data, "a.eml").text.endswith("Text.")


def test_deeply_forwarded() -> None:
    message = make_mail("core\n", Subject="s0")
    for number in range(1, 14):
        outer = make_mail(f"text {number}\n", Subject=f"s{number}")
        outer.add_attachment(message)
        message = outer
    blocks = read(message.as_bytes())
    assert ("paragraph", 0, "text 3") in blocks
    assert ("paragraph", 0, "Attachments: message/rfc822") in blocks


@pytest.mark.parametrize(
    ("sample", "is_stated", "expected"),
    [
        (b"From: a@x\nMessage-ID: <1>\n\nHi", False, True),
        (b"From a@x Mon Jan 1\nReceived: by y\n by z\nFrom: a@x\r\n\r\nHi", False, True),
        (b"From: a@x\nSubject: s\n\nHi", True, True),
        (b"From: a@x\nSubject: s\n\nHi", False, False),
        (b"Dear Ada,\nFrom: here\nReceived: it", True, False),
        (b"note: a\nother: b\n", True, False),
        (b"", True, False),
    ],
)
def test_sniffing(sample: bytes, is_stated: bool, expected: bool) -> None:
    assert is_mail(sample, is_stated) == expected
