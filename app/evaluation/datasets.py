"""Read evaluation sets from files the user names. Knows formats, not measurements."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidValue
from kvstore.primers import primer_places


@dataclass(frozen=True, slots=True)
class LabelledText:
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph with its neighbours in the document, behind which it is primed."""

    shown: LabelledText
    primers: tuple[LabelledText, ...] = ()


@dataclass(frozen=True, slots=True)
class QuestionCase:
    """A question, the passages of its prompt in order, and the answers that count as right."""

    question: str
    passages: tuple[Passage, ...]
    answers: tuple[str, ...]


def load_cases(
    path: Path, file_format: str, count: int, *, passages: int, seed: int
) -> list[QuestionCase]:
    """`count` cases drawn with `seed`. Raises InvalidValue for an unknown format or a bad file."""
    if file_format not in LOADERS:
        raise InvalidValue(f"unknown format {file_format!r}; known: {', '.join(LOADERS)}")
    try:
        cases = LOADERS[file_format](path, passages, random.Random(seed))
    except FileNotFoundError as error:
        raise InvalidValue(f"there is no file {path}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"{path} is not in the format {file_format!r}: {error!r}") from error
    random.Random(seed).shuffle(cases)
    return cases[:count]


def _load_squad(path: Path, passages: int, order: random.Random) -> list[QuestionCase]:
    """SQuAD 1.1 JSON: the question's paragraph among others of its article, in random order."""
    cases = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        title = article.get("title", "").replace("_", " ")
        texts = _with_primers([LabelledText(title, p["context"]) for p in article["paragraphs"]])
        for gold, paragraph in zip(texts, article["paragraphs"], strict=True):
            others = [text for text in texts if text is not gold]
            for qa in paragraph["qas"]:
                shown = [gold, *order.sample(others, min(passages - 1, len(others)))]
                order.shuffle(shown)
                answers = tuple(dict.fromkeys(a["text"] for a in qa["answers"]))
                cases.append(QuestionCase(qa["question"], tuple(shown), answers))
    return cases


def _with_primers(texts: Sequence[LabelledText]) -> list[Passage]:
    """An article is a document, its paragraphs are the chunks."""
    return [
        Passage(text, tuple(texts[near] for near in primer_places(place, len(texts))))
        for place, text in enumerate(texts)
    ]


LOADERS = {"squad": _load_squad}
