"""The resident decoder takes a second look at the first passages: how likely is the question behind
each, alone after the prefix? Stored KV is reused exactly, so a passage costs the question's tokens.

Whether that pays depends on the model; docs/log.md has figures for the bundled one.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from app.decoder.types import DecodeRequest, Passage

MAX_TOGETHER = 16  # prompts of one forward, as in a vote


class Likelihoods(Protocol):
    """`DecoderService`."""

    def trim_passages(self, request: DecodeRequest) -> DecodeRequest: ...

    async def likelihoods(self, requests: Sequence[DecodeRequest]) -> list[float]:
        """Mean log likelihood of each question's tokens behind its passages."""
        ...


class HasTokens(Protocol):
    @property
    def chunk_id(self) -> int: ...

    @property
    def token_ids(self) -> tuple[int, ...]: ...


class StoredPassages(Protocol):
    """`app.db.chunks.Chunks`."""

    async def passages(self, chunk_ids: Sequence[int]) -> Sequence[HasTokens]: ...


class DecoderReranker:
    """Implements `retrieval.protocols.Reranker`."""

    def __init__(self, decoder: Likelihoods, stored: StoredPassages) -> None:
        self._decoder = decoder
        self._stored = stored

    async def scores(self, question: str, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        """The question's chance a token; 0 where a passage does not fit the context."""
        rows = await self._stored.passages(chunk_ids)
        found = {row.chunk_id: 0.0 for row in rows}
        requests = [
            DecodeRequest((Passage(row.chunk_id, row.token_ids),), question) for row in rows
        ]
        fit = [one for one in requests if self._decoder.trim_passages(one).passages]
        for first in range(0, len(fit), MAX_TOGETHER):
            batch = fit[first : first + MAX_TOGETHER]
            values = await self._decoder.likelihoods(batch)
            for request, value in zip(batch, values, strict=True):
                found[request.passages[0].chunk_id] = math.exp(value)
        return found
