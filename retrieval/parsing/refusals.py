"""What a user is told about files that cannot be read, in one voice. Knows no format."""

from collections.abc import Iterator
from contextlib import contextmanager

from retrieval.errors import ParseError, UnsupportedMedia

READABLE = "text, Markdown, HTML, PDF, DOCX, XLSX, PPTX, CSV, JSONL or an e-mail"


def unreadable(name: str, what: str) -> UnsupportedMedia:
    return UnsupportedMedia(f"{name} is {what}. Upload {READABLE} instead.")


def damaged(name: str, kind: str) -> ParseError:
    return ParseError(
        f"{name} cannot be read as {kind}; it may be damaged or cut short. "
        "Open and save it again, or upload another copy."
    )


@contextmanager
def damage_shows_as_any_error(name: str, kind: str) -> Iterator[None]:
    """Around a library that answers damaged files with whatever error its code runs into."""
    try:
        yield
    except (ParseError, MemoryError):
        raise
    except Exception as error:
        raise damaged(name, kind) from error
