"""Read evaluation sets from files the user names. Knows formats, not measurements."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from app.errors import InvalidValue
from kvstore.primers import primer_places

# Which chunks of its document a chunk is primed by: the two kvstore.primers chooses, the nearer of
# them, the document's opening and the one before, or the two farthest from the start.
PrimerChoice = Literal["neighbours", "nearest", "opening", "far"]
# Where the other passages of a prompt come from: the question's own article, or any other.
Others = Literal["article", "any"]


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
    """A question, the passages of its prompt in order, and the answers that count as right;
    `document`: the one that it is about."""

    question: str
    passages: tuple[Passage, ...]
    answers: tuple[str, ...]
    document: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a prompt is made: so many passages, each of `join` paragraphs, primed by `primers`."""

    passages: int
    join: int = 1
    primers: PrimerChoice = "neighbours"
    others: Others = "article"


def load_cases(
    path: Path, file_format: str, count: int, *, layout: Layout, seed: int
) -> list[QuestionCase]:
    """`count` cases drawn with `seed`. Raises InvalidValue for an unknown format or a bad file."""
    if file_format not in LOADERS:
        raise InvalidValue(f"unknown format {file_format!r}; known: {', '.join(LOADERS)}")
    try:
        cases = LOADERS[file_format](path, layout, random.Random(seed))
    except FileNotFoundError as error:
        raise InvalidValue(f"there is no file {path}") from error
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidValue(f"{path} is not in the format {file_format!r}: {error!r}") from error
    random.Random(seed).shuffle(cases)
    return cases[:count]


def _load_squad(path: Path, layout: Layout, order: random.Random) -> list[QuestionCase]:
    """SQuAD 1.1 JSON: the question's passage among others of its article, in random order; joined
    passages fill up from other articles, as an article has few. Others of `any` are of none but
    other articles."""
    articles = json.loads(path.read_text(encoding="utf-8"))["data"]
    made = [_passages(article, layout) for article in articles]
    cases = []
    for number, article in enumerate(articles):
        own = made[number]
        for place, paragraph in enumerate(article["paragraphs"]):
            gold = own[place // layout.join]
            near = [text for text in own if text is not gold]
            far = [text for other in made[:number] + made[number + 1 :] for text in other]
            for qa in paragraph["qas"]:
                shown = [gold, *_others(near, far, layout, order)]
                order.shuffle(shown)
                answers = tuple(dict.fromkeys(a["text"] for a in qa["answers"]))
                about = f"{number}: {article.get('title', '')}"
                cases.append(QuestionCase(qa["question"], tuple(shown), answers, about))
    return cases


def _others(
    near: Sequence[Passage], far: Sequence[Passage], layout: Layout, order: random.Random
) -> list[Passage]:
    count = layout.passages - 1
    if layout.others == "any":
        return order.sample(far, min(count, len(far)))
    found = order.sample(near, min(count, len(near)))
    if layout.join > 1:
        found += order.sample(far, min(count - len(found), len(far)))
    return found


def _passages(article: Mapping[str, Any], layout: Layout) -> list[Passage]:
    """An article is a document, `join` paragraphs of it are a chunk."""
    title = article.get("title", "").replace("_", " ")
    texts = [paragraph["context"] for paragraph in article["paragraphs"]]
    joined = [
        LabelledText(title, "\n\n".join(texts[start : start + layout.join]))
        for start in range(0, len(texts), layout.join)
    ]
    places = range(len(joined))
    return [
        Passage(joined[place], tuple(joined[near] for near in _primers(layout, place, places)))
        for place in places
    ]


def _primers(layout: Layout, place: int, places: Sequence[int]) -> Sequence[int]:
    """Chunks of the document that stand before `place` while it is encoded, nearest last."""
    neighbours = primer_places(place, len(places))
    if layout.primers == "nearest":
        return neighbours[-1:]
    if layout.primers == "opening" and place >= 2:
        return (0, place - 1)
    if layout.primers == "far":
        return [other for other in reversed(places) if other != place][:2]
    return neighbours


LOADERS = {"squad": _load_squad}
