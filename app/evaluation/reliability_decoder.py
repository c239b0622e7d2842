"""The real decoder as a reader of evaluation documents, one document a prompt."""

from app.decoder.loop import decode
from app.decoder.types import GenerationParams, TokenText
from app.evaluation.bench_model import Bench
from app.sources.reader import MAX_TOKENS, SHORT, aligned
from app.sources.short_answer import short_answer
from kvstore.config import ReuseConfig
from kvstore.types import ReuseOptions, Segment


class BenchReader:
    """The decoder without a store: each document is read once, so there is nothing to reuse."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._engine = bench.engine(ReuseConfig())
        self.num_read = 0

    def __call__(self, question: str, text: str) -> str | None:
        self.num_read += 1
        found = short_answer(question, self._answer(question, text))
        return found if found is not None and aligned(question, found, text) else None

    def _answer(self, question: str, text: str) -> str:
        template = self._bench.template
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
            self._bench.end_ids,
            lambda: False,
        )
        return "".join(event.text for event in events if isinstance(event, TokenText))
