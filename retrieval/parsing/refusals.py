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
        if means_no_memory(error):
            raise MemoryError from error
        raise damaged(name, kind) from error


def means_no_memory(error: Exception) -> bool:
    """XML libraries report a failed allocation as an error in the text."""
    from xml.etree.ElementTree import ParseError as ExpatError
    from xml.parsers.expat import errors as expat

    from lxml import etree

    if isinstance(error, etree.XMLSyntaxError):
        return bool(error.code == etree.ErrorTypes.ERR_NO_MEMORY)
    no_memory = expat.codes[expat.XML_ERROR_NO_MEMORY]
    return isinstance(error, ExpatError) and error.code == no_memory
