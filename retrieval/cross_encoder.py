"""An optional second look at the first passages: a cross-encoder from a local folder.

It reads question and passage together, which is better and slower than comparing vectors. Never
asks a hub.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retrieval.errors import RerankerMissing
from retrieval.protocols import PassageTexts, Reranker

_MAX_SEQ_LEN = 512
_BATCH_SIZE = 16


class CrossEncoderReranker(Reranker):
    """Implements `retrieval.protocols.Reranker`. Threads take turns."""

    def __init__(self, folder: Path, texts: PassageTexts) -> None:
        if not any(folder.glob("*.safetensors")):
            raise RerankerMissing(
                f"{folder} holds no cross-encoder with safetensors weights. "
                "Give the folder of one, or remove LARDER_RERANKER."
            )
        # Imported here: takes seconds, and only a server with this setting needs it.
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(
            str(folder), device="cpu", local_files_only=True, max_length=_MAX_SEQ_LEN
        )
        self._texts = texts
        self._turn = threading.Lock()

    async def scores(self, question: str, chunk_ids: Sequence[int]) -> Mapping[int, float]:
        texts = await self._texts.texts(chunk_ids)
        known = [chunk_id for chunk_id in chunk_ids if chunk_id in texts]
        if not known:
            return {}
        pairs = [(question, texts[chunk_id]) for chunk_id in known]
        return dict(zip(known, await asyncio.to_thread(self._predict, pairs), strict=True))

    def _predict(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        import torch

        with self._turn:
            raw = self._model.predict(
                list(pairs),
                batch_size=_BATCH_SIZE,
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
            )
        logits = np.asarray(raw, np.float64).reshape(len(pairs), -1)[:, -1]
        return [float(1 / (1 + np.exp(-np.clip(logit, -30, 30)))) for logit in logits]
