"""Link tokens: trained embeddings after each chunk, computed with sight of everything before
(KVLink, arXiv 2502.16002). They carry into later rows what a chunk alone could not know.

Only embeddings are trained, against the frozen model, so one small file serves one model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open

from kvstore.errors import InvalidReuse
from kvstore.types import Segment

TENSOR = "link_embeddings"


@dataclass(frozen=True, slots=True)
class LinkTokens:
    """embeddings: [k, hidden], what the model's embedding layer would return for them.

    first_id: their ids follow the vocabulary, so that no text can contain one.
    """

    embeddings: torch.Tensor
    first_id: int

    def weave(self, segments: Sequence[Segment]) -> list[Segment]:
        """The prompt with k link tokens after each chunk."""
        ids = tuple(range(self.first_id, self.first_id + len(self.embeddings)))
        woven: list[Segment] = []
        for segment in segments:
            woven.append(segment)
            if segment.kind == "chunk":
                woven.append(Segment("link", ids))
        return woven

    def count_in(self, segments: Sequence[Segment]) -> int:
        """How many tokens of `segments` are link tokens."""
        return sum(len(s.token_ids) for s in segments if s.kind == "link")


def save_links(path: Path, embeddings: torch.Tensor, model: str) -> None:
    """`model`: digest of the weights they were trained against (ModelIdentity.weights)."""
    tensors = {TENSOR: embeddings.detach().float().cpu().contiguous()}
    safetensors.torch.save_file(tensors, path, metadata={"model": model})


def load_links(path: Path, hidden: int, first_id: int, model: str) -> LinkTokens:
    """Read what `save_links` wrote for `model`. Raises InvalidReuse with what is wrong with the
    file: trained against other weights, the embeddings would be noise in every prompt."""
    try:
        with safe_open(path, framework="pt") as file:
            trained_for = (file.metadata() or {}).get("model")
            embeddings = file.get_tensor(TENSOR)
    except (OSError, SafetensorError, KeyError) as error:
        raise InvalidReuse(f"{path.name} holds no link tokens: {error}") from error
    if embeddings.ndim != 2 or embeddings.shape[1] != hidden or not embeddings.isfinite().all():
        raise InvalidReuse(
            f"{path.name} holds link tokens of shape {tuple(embeddings.shape)}; "
            f"this model needs [k, {hidden}]"
        )
    if trained_for != model:
        raise InvalidReuse(
            f"{path.name} was trained against other weights than this model's; train link tokens "
            "for it with benchmarks/train_link_tokens.py"
        )
    return LinkTokens(embeddings, first_id)
