"""Folded text cut into words exactly as the full-text index of this SQLite cuts it.

Its tokenizer looks at one character at a time, by tables of its own that know another Unicode than
Python's. So it is asked once about each character, and `str.translate` applies what it said.
"""

import sqlite3
import threading
from collections.abc import Sequence

from retrieval.segmentation import index_words

TOKENIZER = "unicode61 remove_diacritics 2"  # as migration 0009 declares it


class SqliteTokens:
    """Threads may ask at once."""

    def __init__(self) -> None:
        self._forms = _Forms()

    def of_passage(self, text: str) -> list[str]:
        """What the index holds of a label or a text, in order."""
        return self._cut(index_words(text))

    def of_question(self, words: Sequence[str]) -> list[str] | None:
        """The index's form of each word; None where one is several for it, and so a phrase."""
        forms = [self._cut(word) for word in words]
        if any(len(form) > 1 for form in forms):
            return None
        return [form[0] for form in forms if form]

    def close(self) -> None:
        self._forms.close()

    def _cut(self, text: str) -> list[str]:
        return text.translate(self._forms).split()


class _Forms(dict[int, str]):
    """Code point to what becomes of it inside a word; a space where it parts two words."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._scratch = sqlite3.connect(":memory:", check_same_thread=False)
        self._scratch.execute(
            f"CREATE VIRTUAL TABLE probe USING fts5(text, tokenize='{TOKENIZER}')"
        )
        self._scratch.execute("CREATE VIRTUAL TABLE words USING fts5vocab(probe, instance)")

    def __missing__(self, code: int) -> str:
        with self._turn:
            self._scratch.execute("INSERT INTO probe VALUES (?)", (f"a{chr(code)}b",))
            words = [word for (word,) in self._scratch.execute("SELECT term FROM words")]
            self._scratch.execute("DELETE FROM probe")
        form: str = words[0][1:-1] if len(words) == 1 else " "
        self[code] = form
        return form

    def close(self) -> None:
        self._scratch.close()
