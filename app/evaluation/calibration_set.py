"""The built-in calibration questions, asked of the demo documents as they would be served.

Half of the prompts hold passages of the size that ingestion cuts, which here are whole documents
behind neutral primers; half hold passages of half that size, which have neighbours as primers.
"""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from app.decoder.template import PromptTemplate
from app.errors import InvalidValue
from app.evaluation.datasets import LabelledText, Passage, QuestionCase
from kvstore.primers import primer_places
from retrieval.chunking import chunk
from retrieval.config import ChunkLimits
from retrieval.parsing.registry import parse
from retrieval.types import Chunk

QUESTIONS = Path(__file__).parent / "calibration_questions.json"
DEMO = Path(__file__).parent.parent.parent / "demo" / "millbrook"
LIMITS = (ChunkLimits(), ChunkLimits(100, 150, 200))


class _Counter:
    """The template's tokenizer as the chunker wants it."""

    def __init__(self, template: PromptTemplate) -> None:
        self._template = template

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return self._template.encode_passage(label, text)

    def count(self, text: str) -> int:
        return len(self._template.tokenizer.encode_text(text))


def built_in_cases(
    template: PromptTemplate, *, passages: int, seed: int, demo: Path = DEMO
) -> list[QuestionCase]:
    """One case a question, in the order drawn with `seed`.

    Raises InvalidValue where the demo documents are not installed.
    """
    if not demo.is_dir():
        raise InvalidValue(
            "the demo documents are not installed here; name questions of your own with "
            "--dataset PATH --format squad"
        )
    asked: Mapping[str, list[tuple[str, str]]] = json.loads(QUESTIONS.read_text(encoding="utf-8"))
    draw = random.Random(seed)
    cut = [_cut(demo, sorted(asked), template, limits) for limits in LIMITS]
    cases = [
        _case(cut[number % len(cut)], document, question, answer, passages, draw)
        for document, questions in asked.items()
        for number, (question, answer) in enumerate(questions)
    ]
    draw.shuffle(cases)
    return cases


def _cut(
    demo: Path, names: Sequence[str], template: PromptTemplate, limits: ChunkLimits
) -> dict[str, list[Passage]]:
    """Every document's passages with their primers."""
    counter = _Counter(template)
    found = {}
    for name in names:
        document = parse((demo / name).read_bytes(), name, None)
        found[name] = list(_with_primers(chunk(document, counter, limits)))
    return found


def _with_primers(chunks: Sequence[Chunk]) -> Iterator[Passage]:
    texts = [LabelledText(piece.label, piece.text) for piece in chunks]
    for place, text in enumerate(texts):
        yield Passage(text, tuple(texts[near] for near in primer_places(place, len(texts))))


def _case(
    cut: Mapping[str, list[Passage]],
    document: str,
    question: str,
    answer: str,
    passages: int,
    draw: random.Random,
) -> QuestionCase:
    """The passage that holds the answer among others, in random order."""
    own = cut[document]
    gold = next((passage for passage in own if answer in passage.shown.text), own[0])
    others = [passage for found in cut.values() for passage in found if passage is not gold]
    shown = [gold, *draw.sample(others, min(passages - 1, len(others)))]
    draw.shuffle(shown)
    return QuestionCase(question, tuple(shown), (answer,), document)
