"""Passages, questions and which passages answer them, read from the files the user names.

Knows formats, not how anything is searched.
"""

import csv
import gzip
import json
import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import InvalidValue
from retrieval.chunking import chunk
from retrieval.parsing.registry import parse
from retrieval.protocols import PassageTokenizer

# A source that its makers say to skip: its text is not in the set.
_NOT_HERE = "pubmed"


@dataclass(frozen=True, slots=True)
class LabelledPassage:
    label: str
    text: str

    @property
    def indexed(self) -> str:
        """What is embedded, as at ingest."""
        return f"{self.label}\n{self.text}"


@dataclass(frozen=True, slots=True)
class JudgedQuestion:
    text: str
    relevant: frozenset[int]  # places in the set's passages


@dataclass(frozen=True, slots=True)
class RetrievalSet:
    name: str
    passages: tuple[LabelledPassage, ...]
    questions: tuple[JudgedQuestion, ...]

    def sample(self, count: int, seed: int) -> "RetrievalSet":
        """At most `count` questions, the passages as they are; 0 for all."""
        questions = list(self.questions)
        random.Random(seed).shuffle(questions)
        return RetrievalSet(self.name, self.passages, tuple(questions[: count or None]))


class _Pool:
    """Passages of all questions in one corpus, each once."""

    def __init__(self) -> None:
        self.places: dict[LabelledPassage, int] = {}
        self.questions: list[JudgedQuestion] = []

    def place(self, label: str, text: str) -> int:
        return self.places.setdefault(LabelledPassage(label, text), len(self.places))

    def ask(self, question: str, relevant: Iterable[int]) -> None:
        """A question without a passage that answers it measures nothing and is left out."""
        if places := frozenset(relevant):
            self.questions.append(JudgedQuestion(question, places))

    def finish(self, name: str) -> RetrievalSet:
        if not self.questions:
            raise ValueError("no question with a passage that answers it")
        return RetrievalSet(name, tuple(self.places), tuple(self.questions))


def load_retrieval_set(path: Path, file_format: str, tokenizer: PassageTokenizer) -> RetrievalSet:
    """`tokenizer` is the decoder's; only `chunking` cuts documents and needs it."""
    if file_format not in LOADERS:
        raise InvalidValue(f"unknown format {file_format!r}; known: {', '.join(LOADERS)}")
    with _one_message(path, file_format):
        return LOADERS[file_format](path, tokenizer)


@contextmanager
def _one_message(path: Path, file_format: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InvalidValue(f"{path} cannot be read: {error.strerror}") from error
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InvalidValue(f"{path} is not in the format {file_format!r}: {error!r}") from error


def _load_squad(path: Path, _tokenizer: PassageTokenizer) -> RetrievalSet:
    """SQuAD 1.1 JSON: a question's paragraph among those of all articles."""
    pool = _Pool()
    for article in json.loads(_text(path))["data"]:
        title = article.get("title", "").replace("_", " ")
        for paragraph in article["paragraphs"]:
            place = pool.place(title, paragraph["context"])
            for qa in paragraph["qas"]:
                pool.ask(qa["question"], [place])
    return pool.finish(path.stem)


def _load_nq_oracle(path: Path, _tokenizer: PassageTokenizer) -> RetrievalSet:
    """JSON lines, a gold passage a question; the gold passages of all are the corpus."""
    pool = _Pool()
    for line in _text(path).splitlines():
        row = json.loads(line)
        places = [(pool.place(c["title"], c["text"]), c.get("isgold")) for c in row["ctxs"]]
        pool.ask(row["question"], (place for place, is_gold in places if is_gold))
    return pool.finish(path.name.split(".")[0])


def _load_hotpotqa(path: Path, _tokenizer: PassageTokenizer) -> RetrievalSet:
    """JSON list with some ten documents a question, pooled; those of high credibility answer it."""
    pool = _Pool()
    for row in json.loads(_text(path)):
        places = [(pool.place(d["title"], d["text"]), d["cred"]) for d in row["docs"]]
        pool.ask(row["question"], (place for place, cred in places if cred == "high"))
    return pool.finish(path.stem)


def _load_chunking(path: Path, tokenizer: PassageTokenizer) -> RetrievalSet:
    """CSV of questions with spans of the corpora beside it; our chunks that touch a span."""
    pool = _Pool()
    for corpus in _read_corpora(path):
        document = parse(corpus.text.encode(), f"{corpus.name}.md")
        chunks = chunk(document, tokenizer)
        places = [pool.place(cut.label, cut.text) for cut in chunks]
        for question in corpus.questions:
            spans = [find_span(document.text, content) for content in question.references]
            touching = (
                place
                for place, cut in zip(places, chunks, strict=True)
                if any(cut.start < end and start < cut.end for start, end in spans)
            )
            pool.ask(question.text, touching)
    return pool.finish(path.stem)


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    text: str
    references: tuple[str, ...]  # excerpts of the corpus, word for word


@dataclass(frozen=True, slots=True)
class Corpus:
    name: str
    text: str
    questions: tuple[SpanQuestion, ...]


def load_corpora(path: Path) -> list[Corpus]:
    """The texts named by the questions in a CSV; each lies beside it as `<corpus_id>.md`."""
    with _one_message(path, "chunking"):
        return _read_corpora(path)


def _read_corpora(path: Path) -> list[Corpus]:
    questions: dict[str, list[SpanQuestion]] = {}
    for row in _csv_rows(_text(path)):
        if row["corpus_id"] != _NOT_HERE:
            contents = tuple(str(r["content"]) for r in json.loads(row["references"]))
            asked = SpanQuestion(row["question"], contents)
            questions.setdefault(row["corpus_id"], []).append(asked)
    names = sorted(questions)
    if any(not name.replace("_", "").replace("-", "").isalnum() for name in names):
        raise ValueError("a corpus_id is not a plain name")
    return [
        Corpus(name, _text(path.parent / f"{name}.md"), tuple(questions[name])) for name in names
    ]


def _csv_rows(text: str) -> list[dict[str, str]]:
    """Cells of up to ten million characters; the limit is the process's, so it is put back."""
    before = csv.field_size_limit(10**7)
    try:
        return list(csv.DictReader(text.splitlines(keepends=True)))
    finally:
        csv.field_size_limit(before)


def find_span(text: str, content: str) -> tuple[int, int]:
    """Where an excerpt stands; (0, 0), which touches nothing, where it does not."""
    start = text.find(content)
    return (start, start + len(content)) if start >= 0 and content else (0, 0)


def _text(path: Path) -> str:
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


LOADERS: dict[str, Callable[[Path, PassageTokenizer], RetrievalSet]] = {
    "squad": _load_squad,
    "nq-oracle": _load_nq_oracle,
    "hotpotqa": _load_hotpotqa,
    "chunking": _load_chunking,
}
