"""A cross-encoder from a local folder: two texts in, one row of logits out. Never asks a hub."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError

_MAX_SEQ_LEN = 512


class PairModel:
    """Threads take turns. Raises `missing` where the folder holds no model; `setting` names it."""

    def __init__(
        self, folder: Path, batch_size: int, missing: type[RetrievalError], setting: str
    ) -> None:
        if not any(folder.glob("*.safetensors")):
            raise missing(
                f"{folder} holds no cross-encoder with safetensors weights. "
                f"Give the folder of one, or remove {setting}."
            )
        # Imported here: takes seconds, and only a server with such a setting needs it.
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(
            str(folder), device="cpu", local_files_only=True, max_length=_MAX_SEQ_LEN
        )
        self._batch_size = batch_size
        self._turn = threading.Lock()

    @property
    def labels(self) -> Mapping[int, str]:
        """Names of the logits, by the model's configuration."""
        names: Mapping[int, str] = self._model.config.id2label
        return names

    def logits(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """[len(pairs), labels]; what is beyond 512 word pieces is cut."""
        import torch

        with self._turn:
            raw = self._model.predict(
                list(pairs),
                batch_size=self._batch_size,
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
            )
        return np.asarray(raw, np.float64).reshape(len(pairs), -1)
