"""The decoder's tokenizer, in two modes: our own markup, and text from outside.

Outside text can spell special tokens such as `<|im_end|>`; there they are plain characters, so no
document or question can end its own turn and speak as the system.
"""

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from app.errors import ModelMissing


class TextTokenizer:
    """Reads `tokenizer.json`; adds no special tokens of its own."""

    def __init__(self, model_dir: Path) -> None:
        path = model_dir / "tokenizer.json"
        if not path.exists():
            raise ModelMissing(f"{model_dir} has no tokenizer.json; a fast tokenizer is needed")
        try:
            self._markup, self._plain = (Tokenizer.from_file(str(path)) for _ in range(2))
        except Exception as error:  # the library raises nothing narrower
            raise ModelMissing(f"{path} cannot be read: {error}") from error
        self._plain.encode_special_tokens = True
        for tokenizer in (self._markup, self._plain):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        self.num_ids = self._markup.get_vocab_size()

    def encode_markup(self, text: str) -> tuple[int, ...]:
        """Ids of our own text, special tokens recognised."""
        return tuple(self._markup.encode(text, add_special_tokens=False).ids)

    def encode_text(self, text: str) -> tuple[int, ...]:
        """Ids of text from outside; nothing in it becomes a special token."""
        return tuple(self._plain.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: list[int]) -> str:
        text: str = self._markup.decode(token_ids, skip_special_tokens=True)
        return text


class Detokenizer:
    """Turns ids into text one by one; holds back what may still change (split UTF-8)."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # ids before it are fully emitted and only kept while text may join them
        self._emitted = 0  # ids emitted so far

    def push(self, token_id: int) -> str:
        """Text that is new and final after this id; may be empty."""
        self._ids.append(token_id)
        return self._take(final=False)

    def flush(self) -> str:
        """What was held back."""
        return self._take(final=True)

    def _take(self, *, final: bool) -> str:
        before = self._tokenizer.decode(self._ids[self._start : self._emitted])
        after = self._tokenizer.decode(self._ids[self._start :])
        if not final and after.endswith("\ufffd"):
            return ""
        self._start, self._emitted = self._emitted, len(self._ids)
        return after[len(before) :]


@lru_cache(maxsize=4)
def load_tokenizer(model_dir: Path) -> TextTokenizer:
    return TextTokenizer(model_dir)
