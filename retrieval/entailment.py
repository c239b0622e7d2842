"""An optional entailment model: does a passage entail a statement? A cross-encoder for NLI from a
local folder. Never asks a hub.
"""

import asyncio
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retrieval.errors import EntailmentMissing

_MAX_SEQ_LEN = 512
_BATCH_SIZE = 8
_ENTAILMENT = "entail"  # "entailment", "ENTAILMENT", "entailed"
_NOT = ("not", "non", "un")  # "not_entailment" is the other one


class EntailmentModel:
    """Implements `app.decoder.alignment.Entailment`. Threads take turns."""

    def __init__(self, folder: Path) -> None:
        if not any(folder.glob("*.safetensors")):
            raise EntailmentMissing(
                f"{folder} holds no cross-encoder with safetensors weights. "
                "Give the folder of one, or remove LARDER_ALIGNMENT_MODEL."
            )
        # Imported here: takes seconds, and only a server with this setting needs it.
        from sentence_transformers import CrossEncoder

        self._model = CrossEncoder(
            str(folder), device="cpu", local_files_only=True, max_length=_MAX_SEQ_LEN
        )
        self._label = entailment_label(folder, self._model.config.id2label)
        self._turn = threading.Lock()

    async def chances(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How likely each premise entails its hypothesis, 0 to 1; a long premise is cut."""
        return await asyncio.to_thread(self._predict, list(pairs)) if pairs else []

    def _predict(self, pairs: list[tuple[str, str]]) -> list[float]:
        import torch

        with self._turn:
            raw = self._model.predict(
                pairs,
                batch_size=_BATCH_SIZE,
                show_progress_bar=False,
                activation_fn=torch.nn.Identity(),
            )
        logits = np.asarray(raw, np.float64).reshape(len(pairs), -1)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances = weights[:, self._label] / weights.sum(axis=1)
        return [float(chance) for chance in np.nan_to_num(chances)]


def entailment_label(folder: Path, names: Mapping[int, str]) -> int:
    """Which output is the one for entailment, by the names in the model's configuration.

    Raises `EntailmentMissing` where none or several are.
    """
    found = [place for place, name in names.items() if _is_entailment(name)]
    if len(found) != 1 or len(names) < 2:
        listed = ", ".join(str(name) for name in names.values()) or "none"
        raise EntailmentMissing(
            f"the model in {folder} has no label for entailment; its labels are: {listed}. "
            "Give a model for natural language inference, or remove LARDER_ALIGNMENT_MODEL."
        )
    return int(found[0])


def _is_entailment(name: str) -> bool:
    plain = name.casefold().strip()
    return _ENTAILMENT in plain and not plain.startswith(_NOT)
