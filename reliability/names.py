"""Lists of people as catalogues write them: "Doe, Jane; Roe, R.", "Jane Doe and Richard Roe (Ed.)".

Splits a list into names and takes off what is no part of a name. Which names are the same person
is said in `people`; here is only what a list says about itself.
"""

import re
from collections.abc import Collection

from reliability.matching import plain_words

HARD = re.compile(r"\s*[;|\n\t]\s*|\s+/\s+")
JOINING = re.compile(r"\s*,?\s+(?:and|with)\s+|\s*&\s*|\s+[-–—+]\s+", re.IGNORECASE)
YEARS = re.compile(r"\b(?:b\.|d\.|ca?\.)?\s*\d{4}\b\??(?:\s*[-–]\s*(?:\d{4})?)?")
BRACKETS = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
TITLES = frozenset(("by", "dr", "prof", "professor", "sir", "mr", "mrs", "ms"))
SUFFIXES = frozenset(("jr", "sr", "ii", "iii", "iv", "phd", "md", "msc", "esq", "cpa"))
ROLES = frozenset(("ed", "eds", "editor", "editors", "author", "authors", "contributor"))
NOBODY = re.compile(
    r"(?:et al|others?|various(?: authors?)?|anon(?:ymous)?|staff|unknown|none|na|n a|nil"
    r"|(?:no|unknown|many|several|multiple) authors?|authors? unknown"
    r"|not (?:available|known|given|stated|specified|listed|applicable)|see (?:notes?|description))"
)
# Who prints or pays is no author beside people; alone it may be one ("Microsoft Corporation").
COMPANY = frozenset(
    (
        *("press", "publishing", "publishers", "publisher", "publications", "verlag", "inc", "ltd"),
        *("llc", "gmbh", "corp", "corporation", "company", "co", "limited", "media", "group"),
        *(
            "society",
            "association",
            "institute",
            "university",
            "college",
            "foundation",
            "books",
            "sons",
        ),
    )
)
PARTICLES = frozenset(
    ("van", "von", "de", "del", "der", "den", "di", "da", "du", "la", "le", "al", "el", "bin", "st")
)
FIRM = re.compile(r"\s*&\s*(?=(?:sons|co|company)\b)", re.IGNORECASE)  # joins no people
INITIALS = re.compile(r"\b[A-Z]{2,3}\b(?=.*[a-z])|(?<=[a-z], )[A-Z]{2,3}\b")
SLASH = re.compile(r"\s*/\s*")
LAST_FIRST = re.compile(r"[^\d,;|]+,\s*[^\d,;|]+")


def split_parts(text: str) -> list[str]:
    """What stands between semicolons, bars and line ends, or a slash with space around."""
    return [part for part in HARD.split(text.strip()) if part]


def split_people(text: str) -> list[str]:
    """The names of a list of people, in order; what names nobody is left out."""
    if _is_nobody(text):  # "N/A" has a slash that parts nothing
        return []
    names = []
    for part in split_parts(SLASH.sub(";", YEARS.sub(" ", BRACKETS.sub(" ", FIRM.sub(" ", text))))):
        for joined in JOINING.split(part):
            names += [clean_name(name) for name in _split_commas(joined)]
    named = [name for name in names if name]
    return [name for name in named if not _is_company(name)] or named


def clean_name(name: str) -> str:
    """Without titles, degrees and roles; "JK Rowling" as "J K Rowling"; "" for nobody."""
    words = INITIALS.sub(lambda match: " ".join(match.group()), name).split()
    kept = [word for word in words if _bare(word) not in TITLES | SUFFIXES | ROLES]
    cleaned = " ".join(kept).strip(" ,.:")
    return "" if _is_nobody(cleaned) else cleaned


def _is_nobody(text: str) -> bool:
    return NOBODY.fullmatch(" ".join(plain_words(text))) is not None


def _is_company(name: str) -> bool:
    words = plain_words(name)
    return len(words) > 1 and not COMPANY.isdisjoint(words)


def _bare(word: str) -> str:
    return word.casefold().replace(".", "").strip(",:")


def _split_commas(text: str) -> list[str]:
    """Names between commas: a lone word is a family name whose first names follow it."""
    pieces = [
        piece for raw in text.split(",") if _bare(piece := raw.strip()) and not _is_title(piece)
    ]
    if len(pieces) == 2 and len(pieces[1].split()) == 1:
        return [", ".join(pieces)]  # "Garcia Marquez, Gabriel"
    names, place = [], 0
    while place < len(pieces):
        size = 2 if _is_family_name(pieces[place]) else 1
        names.append(", ".join(pieces[place : place + size]))
        place += size
    return names


def _is_title(piece: str) -> bool:
    return all(_bare(word) in SUFFIXES | ROLES for word in piece.split())


def _is_family_name(piece: str) -> bool:
    words = piece.split()
    return len(words) == 1 or words[0].casefold() in PARTICLES


def looks_like_people(values: Collection[str]) -> bool:
    """Whether most parts of most lists read "family name, first name"."""
    parts = [part for value in values for part in split_parts(value)]
    return sum(bool(LAST_FIRST.fullmatch(part)) for part in parts) > len(parts) / 2
