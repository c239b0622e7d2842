"""L3: two passages that name the same origin. Sources that copy by habit are in `habits`."""

import re
from collections.abc import Sequence

from reliability.families.types import Join, Passage

ORIGIN = re.compile(
    r"(?i:according to|as reported by|reported by|quoting|via|source:)\s+"
    r"((?:the\s+)?[A-Z][\w.&-]*(?:\s+(?:of\s+)?[A-Z][\w.&-]*){0,4})"
)
LINK = re.compile(r"https?://[^\s)\"'>\]]+")


def origins(text: str) -> frozenset[str]:
    """Names behind "according to" and the like, and links, each in lower case."""
    names = (match.casefold().removeprefix("the ").rstrip(".") for match in ORIGIN.findall(text))
    links = (link.rstrip(".,;/").casefold() for link in LINK.findall(text))
    return frozenset((*names, *links))


def origin_joins(passages: Sequence[Passage]) -> list[Join]:
    """Passages of one question with the same answer that name the same origin."""
    first: dict[tuple[str, str, str], Passage] = {}
    joins = []
    for passage in passages:
        if passage.answer is None:
            continue
        named = origins(passage.text) | ({passage.address.casefold()} - {""})
        for origin in sorted(named):
            earlier = first.setdefault((passage.question, passage.answer, origin), passage)
            if earlier is not passage:
                why = f"both go back to {origin}"
                joins.append(Join(earlier.passage_id, passage.passage_id, "L3", why))
    return joins
