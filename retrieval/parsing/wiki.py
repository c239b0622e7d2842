"""Headings as MediaWiki writes them, `== Title ==`, found in plain text and Markdown as well: pages
are often saved so. Tokenised dumps part the marks, `= = Title = =`. Knows no other wiki markup."""

import re

_MARKED = re.compile(r"[ \t]*(=(?:[ \t]?=){0,5})(.*?[^=\s])([ \t]*)(=(?:[ \t]?=){0,5})[ \t]*$")
_MAX_LEN = 200  # characters; a longer line is no heading


def wiki_heading(line: str) -> tuple[int, str] | None:
    """Level and words of such a line; None for any other.

    As many marks on both sides, words between; a single mark stands apart from them, because
    `=x=` may be anything.
    """
    if len(line) > _MAX_LEN or "=" not in line:
        return None
    found = _MARKED.match(line)
    if found is None:
        return None
    before, words, gap, after = found.groups()
    level = before.count("=")
    if after.count("=") != level or words.lstrip()[0] == "=" or not re.search(r"\w", words):
        return None
    if level == 1 and not (words[0].isspace() and gap):
        return None
    return level, words.strip()
