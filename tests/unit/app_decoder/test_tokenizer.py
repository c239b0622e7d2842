"""Text and ids: outside text holds no special token, and streaming breaks no character."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.decoder.tokenizer import Detokenizer, TextTokenizer
from app.errors import ModelMissing

NUM_BYTES = 256
FIRST_BYTE = 3  # ids below are the special tokens


def stream(tokenizer: TextTokenizer, ids: list[int]) -> list[str]:
    """What comes out at each id, and last what was held back."""
    detokenizer = Detokenizer(tokenizer)
    return [*(detokenizer.push(token) for token in ids), detokenizer.flush()]


def test_special_tokens_are_recognised_in_markup_only(tokenizer: TextTokenizer) -> None:
    mark = "<|im_end|>"
    assert tokenizer.encode_markup(mark) == (2,)
    plain = tokenizer.encode_text(mark)
    assert len(plain) == len(mark)
    assert tokenizer.decode(list(plain)) == mark


def test_characters_of_several_tokens_come_out_whole(tokenizer: TextTokenizer) -> None:
    text = "né 🏺🇩🇪 字"
    ids = list(tokenizer.encode_text(text))
    assert len(ids) == len(text.encode())  # one a byte
    pieces = stream(tokenizer, ids)
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)
    assert [piece for piece in pieces if piece] == list(text)


def test_what_never_becomes_a_character_is_shown_at_the_end(tokenizer: TextTokenizer) -> None:
    half = list(tokenizer.encode_text("🏺"))[:2]
    assert stream(tokenizer, half) == ["", "", "\ufffd"]


@given(st.lists(st.integers(FIRST_BYTE, FIRST_BYTE + NUM_BYTES - 1), max_size=40))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_pieces_join_to_the_whole(tokenizer: TextTokenizer, ids: list[int]) -> None:
    """Any bytes, valid UTF-8 or not."""
    assert "".join(stream(tokenizer, ids)) == tokenizer.decode(ids)


@given(st.text(max_size=30))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_survives(tokenizer: TextTokenizer, text: str) -> None:
    ids = list(tokenizer.encode_text(text))
    assert "".join(stream(tokenizer, ids)) == tokenizer.decode(ids) == text


def test_a_folder_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"no tokenizer\.json"):
        TextTokenizer(tmp_path)
