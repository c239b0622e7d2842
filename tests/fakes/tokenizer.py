"""A `PassageTokenizer` of words and punctuation: small, deterministic, invertible by eye."""

import re
from zlib import crc32

_TOKEN = re.compile(r"\w{1,6}|[^\w\s]|\s{2,}")
_FRAME = (1, 2, 3)


class FakePassageTokenizer:
    def count(self, text: str) -> int:
        return len(_TOKEN.findall(text))

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return (*_FRAME, *self._ids(label), *self._ids(text))

    def _ids(self, text: str) -> tuple[int, ...]:
        return tuple(crc32(token.encode()) for token in _TOKEN.findall(text))
