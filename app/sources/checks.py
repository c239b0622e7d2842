"""Limits on what people and models write into observations."""

from app.errors import InvalidValue

MAX_QUESTION_LEN = 2000
MAX_ANSWER_LEN = 4000
MAX_TEXT_LEN = 200


def check_question(text: str) -> str:
    return _filled(text, "question", MAX_QUESTION_LEN)


def check_answer(text: str) -> str:
    return _filled(text, "answer", MAX_ANSWER_LEN)


def check_text(text: str, what: str) -> str:
    """A short text that may be empty."""
    text = " ".join(text.split())
    if len(text) > MAX_TEXT_LEN:
        raise InvalidValue(f"a {what} has {MAX_TEXT_LEN} characters at most, not {len(text)}")
    return text


def check_weight(value: float, what: str) -> float:
    """From 0 to 1; not a number is refused too."""
    if not 0 <= value <= 1:
        raise InvalidValue(f"a {what} must lie between 0 and 1, not at {value}")
    return value


def _filled(text: str, what: str, longest: int) -> str:
    text = " ".join(text.split())
    if not text or len(text) > longest:
        raise InvalidValue(f"a {what} has 1 to {longest:,} characters, not {len(text):,}")
    return text
