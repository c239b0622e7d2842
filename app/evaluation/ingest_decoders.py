"""What stands in for the decoder's service while ingestion is timed: no server, no questions."""

import asyncio
from collections.abc import Sequence

from app.decoder.template import PromptTemplate
from app.decoder.types import Passage, PrecomputeReport, PurgeReport
from kvstore.reuse import ReuseEngine
from kvstore.types import Segment


class TokensOnly:
    """Tokenises passages and leaves every KV for later."""

    dtype = "none"
    namespace = "bench"

    def __init__(self, template: PromptTemplate) -> None:
        self._template = template
        self.name = self.identity = "tokens-only"

    def count(self, text: str) -> int:
        return len(self._template.tokenizer.encode_text(text))

    def encode_passage(self, label: str, text: str) -> tuple[int, ...]:
        return self._template.encode_passage(label, text)

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        return PrecomputeReport(0, 0, len(passages), 0, "not_measured")

    async def purge(self, token_ids: Sequence[tuple[int, ...]]) -> PurgeReport:  # noqa: ARG002
        return PurgeReport(0, 0)


class Storing(TokensOnly):
    """Computes KV with an engine of its own, and remembers of which chunks."""

    def __init__(self, template: PromptTemplate, engine: ReuseEngine) -> None:
        super().__init__(template)
        self._engine = engine
        self.chunks: list[Segment] = []

    async def precompute(self, passages: Sequence[Passage]) -> PrecomputeReport:
        chunks = [Segment("chunk", one.token_ids, one.primers) for one in passages]
        self.chunks += chunks
        reports = await asyncio.to_thread(lambda: list(self._engine.precompute(chunks)))
        return PrecomputeReport(
            stored=sum(report.stored for report in reports),
            already=sum(report.already for report in reports),
            left=sum(report.left for report in reports),
            num_tokens=sum(report.num_tokens for report in reports),
        )
