"""RAMDocs and PoisonedRAG read document by document, instead of believing their labels.

What is read takes the place of the label it means the same as; what no label means the same as
stays what it is, and what the document does not state is no answer.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from app.evaluation.reliability_documents import Item
from reliability.alignment import align
from reliability.matching import cluster_answers, normal_answer

UNREAD = "unknown"  # as RAMDocs writes that a document says nothing

Progress = Callable[[], None]


class Reader(Protocol):
    def __call__(self, question: str, text: str) -> str | None:
        """What the text says to the question; None: it says nothing."""
        ...


def sampled(items: Sequence[Item], sample: int | None) -> list[Item]:
    """The same `sample` questions each time, in the file's order; all where None."""
    if sample is None or sample >= len(items):
        return list(items)
    places = sorted(Random(0).sample(range(len(items)), sample))
    return [items[place] for place in places]


def read_ramdocs(items: Sequence[Item], read: Reader, progress: Progress) -> list[Item]:
    """Each document's label replaced by what was read in it."""
    found = []
    for item in items:
        question, documents = item["question"], item["documents"]
        said = [read(question, document["text"]) for document in documents]
        labels = [*item["gold_answers"], *item["wrong_answers"]]
        named = named_by_labels(question, said, labels)
        changed = [d | {"answer": name or UNREAD} for d, name in zip(documents, named, strict=True)]
        found.append(item | {"documents": changed})
        progress()
    return found


def read_poisoned(items: Sequence[Item], read: Reader, progress: Progress) -> list[Item]:
    """What was read in each false text, as the field `read`."""
    found = []
    for item in items:
        question = item["question"]
        said = [read(question, text) for text in item["adv_texts"]]
        labels = [item["correct answer"], item["incorrect answer"]]
        found.append(item | {"read": named_by_labels(question, said, labels)})
        progress()
    return found


def named_by_labels(
    question: str, said: Sequence[str | None], labels: Sequence[str]
) -> list[str | None]:
    """Each answer by the label that it means the same as or that it contains, else as it is."""
    answers = {answer for answer in said if answer is not None}
    names = cluster_answers(answers | set(labels), question).representative
    label_of = {names[label]: label for label in reversed(labels)}
    return [
        None if answer is None else label_of.get(names[answer]) or _stated(answer, labels)
        for answer in said
    ]


def _stated(answer: str, labels: Sequence[str]) -> str:
    """The one label that a longer answer states ("It has 24 episodes": "24"), or that holds a
    shorter one ("Miami, Florida": "Miami"); else the answer."""
    words = set(normal_answer(answer).split())
    stated = [label for label in labels if align(label, answer).score == 1.0]
    holding = [label for label in labels if words and words < set(normal_answer(label).split())]
    found = stated or holding
    return found[0] if len(found) == 1 else answer
