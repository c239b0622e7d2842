"""Logging, set up when called: one line per event on standard error. Nothing happens on import."""

import logging
import sys

FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"

# These narrate each request or file at INFO; their warnings are still shown.
CHATTY = (
    "alembic",
    "aiosqlite",
    "faiss",
    "filelock",
    "httpx2",
    "httpcore2",
    "sentence_transformers",
    "uvicorn",
)


class _LarderHandler(logging.StreamHandler):  # type: ignore[type-arg]
    """Our own class, so that a second call finds and replaces the handler of the first."""


def set_up_logging(level: str) -> None:
    """Send records of `level` and above to standard error. Safe to call again."""
    root = logging.getLogger()
    for handler in [found for found in root.handlers if isinstance(found, _LarderHandler)]:
        root.removeHandler(handler)
    handler = _LarderHandler(sys.stderr)
    handler.setFormatter(logging.Formatter(FORMAT))
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
