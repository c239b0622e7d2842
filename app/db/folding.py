"""Text to the words both engines search by: without case and without accents. Pure.

SQLite's tokenizer (unicode61, remove_diacritics 2) folds the same; a test compares the two.
"""

import re
import unicodedata

MAX_WORDS = 64  # a pasted page as a question: the first words say enough and the rest costs time

# Letters and digits of any script with the marks that belong to them (Indic vowel signs).
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]")


def fold(text: str) -> list[str]:
    """Words in order."""
    plain = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _WORD.findall(unicodedata.normalize("NFC", plain).lower())
