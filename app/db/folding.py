"""Text to the words both engines search by: without case and without accents. Pure.

SQLite's tokenizer (unicode61, remove_diacritics 2) folds the same; a test compares the two.
"""

import re
import unicodedata

MAX_WORDS = 64  # a pasted page as a question: the first words say enough and the rest costs time

# Letters and digits of any script; other marks part words, as they do there.
_WORD = re.compile(r"[^\W_]+")
_LATIN_ACCENTS = re.compile("([A-Za-z\u00c0-\u024f])[\u0300-\u036f]+")


def fold(text: str) -> list[str]:
    """Words in order. Only Latin letters lose their accents: in Russian и and й are two letters."""
    plain = _LATIN_ACCENTS.sub(r"\1", unicodedata.normalize("NFD", text))
    return _WORD.findall(unicodedata.normalize("NFC", plain).lower())
