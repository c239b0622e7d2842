"""The real decoder as a reader of evaluation documents, one document a prompt."""

import json
from pathlib import Path

from app.decoder.loop import decode
from app.decoder.types import GenerationParams, TokenText
from app.evaluation.bench_model import Bench
from app.sources.reader import MAX_TOKENS, SHORT
from app.sources.short_answer import short_answer
from kvstore.config import ReuseConfig
from kvstore.types import ReuseOptions, Segment
from reliability.alignment import align


class Readings:
    """What the decoder said to each question and text, in a file of JSON lines: reading takes
    seconds a document, and what was read before a break is not read again."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known: dict[tuple[str, str], str] = {}
        if path is not None and path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                said = json.loads(line)
                self._known[said["question"], said["text"]] = said["raw"]

    def get(self, question: str, text: str) -> str | None:
        return self._known.get((question, text))

    def keep(self, question: str, text: str, raw: str) -> None:
        self._known[question, text] = raw
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"question": question, "text": text, "raw": raw}) + "\n")


class BenchReader:
    """The decoder without a store: each document is read once, so there is nothing to reuse."""

    def __init__(self, bench: Bench, readings: Readings | None = None) -> None:
        self.bench = bench
        self._engine = bench.engine(ReuseConfig())
        self._readings = readings or Readings(None)
        self.num_read = 0

    def __call__(self, question: str, text: str) -> str | None:
        found = short_answer(question, self.raw(question, text))
        return found if found is not None and align(found, text).score else None

    def raw(self, question: str, text: str) -> str:
        """What the decoder says, as it says it."""
        said = self._readings.get(question, text)
        if said is None:
            self.num_read += 1
            said = self._answer(question, text)
            self._readings.keep(question, text, said)
        return said

    def _answer(self, question: str, text: str) -> str:
        template = self.bench.template
        segments = [
            Segment("prefix", template.frame.prefix),
            Segment("chunk", template.encode_passage("", text)),
            Segment("question", template.encode_question(f"{question}\n{SHORT}")),
        ]
        capacity = sum(len(segment.token_ids) for segment in segments) + MAX_TOKENS
        prefilled = self._engine.prefill(segments, ReuseOptions(mode="off"), capacity=capacity)
        events = decode(
            prefilled.logits,
            prefilled.extend,
            template.tokenizer,
            GenerationParams(max_tokens=MAX_TOKENS),
            self.bench.end_ids,
            lambda: False,
        )
        return "".join(event.text for event in events if isinstance(event, TokenText))
