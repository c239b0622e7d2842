"""Probe questions: given, taken from past runs, or made from the collection's own sentences."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from app.db.reliability_rows import NewProbe
from app.db.rows import PassageRow
from app.sources.checks import MAX_ANSWER_LEN, MAX_QUESTION_LEN
from reliability.alignment import SENTENCE_END
from reliability.numbers import NUMBER

BLANK = "____"
ASKED = "Complete this sentence with the missing words: "
NAME = re.compile(r"(?<=[a-z,] )[A-Z][\w'-]+(?: [A-Z][\w'-]+)*")
FEWEST_WORDS, MOST_WORDS = 6, 40  # of a sentence: a shorter one asks nothing, a longer one is two


def from_given(items: Iterable[NewProbe], limit: int) -> list[NewProbe]:
    """Each question once, in order."""
    distinct = {item.question: item for item in items if item.question.strip()}
    return list(distinct.values())[:limit]


def from_runs(questions: Iterable[str], limit: int) -> list[NewProbe]:
    """What people really asked; nobody knows the answers."""
    found = (" ".join(question.split()) for question in questions)
    return from_given((NewProbe(text) for text in found if len(text) <= MAX_QUESTION_LEN), limit)


def from_passages(passages: Sequence[PassageRow], limit: int) -> list[NewProbe]:
    """One sentence a document with its number or name left out. What stands there is what that
    source says, not the truth, so no answer goes with it."""
    probes: dict[int, NewProbe] = {}
    for passage in passages:
        if passage.document_id in probes:
            continue
        question = blanked(passage.text)
        if question is not None:
            probes[passage.document_id] = NewProbe(question, document_id=passage.document_id)
    return from_given(_in_turn(probes, passages), limit)


def _in_turn(probes: Mapping[int, NewProbe], passages: Sequence[PassageRow]) -> list[NewProbe]:
    """A question from each source, then a second one: nobody is left out by the limit."""
    source_of = {passage.document_id: passage.source_id for passage in passages}
    seen: Counter[int] = Counter()
    turns: list[tuple[int, int, NewProbe]] = []
    for document_id, probe in probes.items():
        source = source_of[document_id]
        turns.append((seen[source], len(turns), probe))
        seen[source] += 1
    return [probe for _, _, probe in sorted(turns, key=lambda turn: turn[:2])]


def blanked(text: str) -> str | None:
    """The first sentence that states a number or a name, with that left out."""
    for part in SENTENCE_END.split(text):
        sentence = " ".join(part.split())
        if not sentence.endswith((".", "!", "?")):
            continue  # a heading, or half a sentence at the end of a chunk
        if not FEWEST_WORDS <= len(sentence.split()) <= MOST_WORDS:
            continue
        found = NUMBER.search(sentence) or NAME.search(sentence)
        if found is not None and len(sentence) < MAX_ANSWER_LEN:
            return f"{ASKED}{sentence[: found.start()]}{BLANK}{sentence[found.end() :]}"
    return None
