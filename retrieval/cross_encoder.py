"""An optional second look at the first passages: a cross-encoder from a local folder.

It reads question and passage together, which is better and slower than comparing vectors. Never
asks a hub.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retrieval.errors import RerankerMissing
from retrieval.pair_model import PairModel
from retrieval.protocols import PassageTexts, Reranker

_BATCH_SIZE = 16


class CrossEncoderReranker(Reranker):
    """Implements `retrieval.protocols.Reranker`. Threads take turns."""

    def __init__(self, folder: Path, texts: PassageTexts) -> None:
        self._model = PairModel(folder, _BATCH_SIZE, RerankerMissing, "LARDER_RERANKER")
        self._texts = texts

    async def scores(self, question: str, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        texts = await self._texts.texts(chunk_ids)
        known = [chunk_id for chunk_id in chunk_ids if chunk_id in texts]
        if not known:
            return {}
        pairs = [(question, texts[chunk_id]) for chunk_id in known]
        return dict(zip(known, await asyncio.to_thread(self._predict, pairs), strict=True))

    def _predict(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        logits = self._model.logits(pairs)[:, -1]
        return [float(1 / (1 + np.exp(-np.clip(logit, -30, 30)))) for logit in logits]
