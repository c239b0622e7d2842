"""Text to the words that a search by words goes by: without case, accents and width, and cut into
pairs of characters where a script puts no spaces between words. The same for texts and questions.

Knows no database; whoever changes what comes out here raises VERSION, so that indexes are rebuilt.
"""

import re
import unicodedata

VERSION = f"1 {unicodedata.unidata_version}"

# Han, kana, bopomofo, Hangul, Thai, Lao, Burmese and Khmer, with the marks that belong to them.
_UNSPACED = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0edf\u1000-\u109f\u1780-\u17d3\u1100-\u11ff"
    "\u3005-\u3007\u3040-\u30ff\u3105-\u312f\u3130-\u318f\u31f0-\u31ff\u3400-\u4dbf"
    "\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003fffd"
)
_RUN = re.compile(f"[{_UNSPACED}]+")
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]")


def folded(text: str) -> str:
    """Without case, accents and forms of width; any Unicode, half a surrogate pair included."""
    narrow = unicodedata.normalize("NFKD", text.casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", narrow)).casefold()


def index_words(text: str) -> str:
    """What is indexed of a passage: words, and of unspaced runs every character and every pair."""
    return _RUN.sub(lambda run: f" {' '.join(_pairs(run[0]))} {' '.join(run[0])} ", folded(text))


def query_words(text: str) -> list[str]:
    """What a question is searched by; a run's pairs, or its only character."""
    spaced = _RUN.sub(lambda run: f" {' '.join(_pairs(run[0]) or run[0])} ", folded(text))
    return list(dict.fromkeys(_cut(spaced)))


def indexed_words(text: str) -> list[str]:
    """`index_words` cut as a question is, in order, for an index that does not cut by itself."""
    return _cut(index_words(text))


def _cut(spaced: str) -> list[str]:
    words: list[str] = []
    for part in spaced.split():
        # A pair may hold a mark, at which a word would be cut: the index's tokenizer decides.
        words += [part] if _RUN.fullmatch(part) else _WORD.findall(part)
    return words


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]
