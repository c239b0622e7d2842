"""An optional entailment model: does a passage entail a statement? A cross-encoder for NLI from a
local folder. Never asks a hub.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from retrieval.errors import EntailmentMissing
from retrieval.pair_model import PairModel

_BATCH_SIZE = 8
_ENTAILMENT = "entail"  # "entailment", "ENTAILMENT", "entailed"
_NOT = ("not", "non", "un")  # "not_entailment" is the other one


class EntailmentModel:
    """Implements `app.decoder.alignment.Entailment`. Threads take turns."""

    def __init__(self, folder: Path) -> None:
        self._model = PairModel(folder, _BATCH_SIZE, EntailmentMissing, "LARDER_ALIGNMENT_MODEL")
        self._label = entailment_label(folder, self._model.labels)

    async def chances(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        """How likely each premise entails its hypothesis, 0 to 1; a long premise is cut."""
        return await asyncio.to_thread(self._predict, pairs) if pairs else []

    def _predict(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        logits = self._model.logits(pairs)
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
