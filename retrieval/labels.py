"""The label of a passage: document title and heading path, short and the same on every day.

Knows no tokens, no ranks and no dates: a label is part of the cached text (DESIGN 3).
"""

from collections.abc import Sequence

MAX_LABEL_CHARS = 60  # about 15 tokens, 5 % of a passage
_SEPARATOR = " > "
_ELLIPSIS = "…"


def label_for(title: str, path: Sequence[str]) -> str:
    """Title and headings, outermost first; what is in the middle goes first when space is short."""
    parts = _distinct([title, *path])
    while len(parts) > 2 and len(_SEPARATOR.join(parts)) > MAX_LABEL_CHARS:
        del parts[1]
    label = _SEPARATOR.join(parts)
    if len(label) <= MAX_LABEL_CHARS or len(parts) < 2:
        return shorten(label, MAX_LABEL_CHARS)
    room = MAX_LABEL_CHARS - len(_SEPARATOR)
    last = shorten(parts[-1], max(room // 2, room - len(parts[0])))
    return shorten(parts[0], room - len(last)) + _SEPARATOR + last


def shorten(text: str, limit: int) -> str:
    """At most `limit` characters, cut between words where there is a place to cut."""
    if len(text) <= limit:
        return text
    kept = text[: limit - len(_ELLIPSIS)]
    if not text[len(kept)].isspace() and " " in kept:
        kept = kept.rsplit(" ", 1)[0]
    return kept.rstrip(" ,;:-") + _ELLIPSIS


def _distinct(parts: Sequence[str]) -> list[str]:
    seen: dict[str, str] = {}
    for part in parts:
        text = " ".join(part.split())
        if text:
            seen.setdefault(text.casefold(), text)
    return list(seen.values())
