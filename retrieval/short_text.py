"""One text through a BERT sentence model with nothing between the matrix products.

A question has some ten tokens: of the time a stock forward takes for it, a third to a half goes
into what a framework does around them. Used only where it gives the stock model's vectors, which
is tried when it is made. Knows no other architecture.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from retrieval.protocols import Float32Array

_PROBES = ("when was it built", "The naïve café opens at 08:30; 价格 1,234.5 m. " * 4)
_MAX_DIFFERENCE = 1e-5  # of a unit vector's numbers; float32 sums in another order differ by 1e-7
_MODULES = ["Transformer", "Pooling", "Normalize"]


@dataclass(frozen=True, slots=True)
class _Layer:
    """Weights and biases in the order of use; query, key and value are one product."""

    qkv: tuple[torch.Tensor, torch.Tensor]
    attention_out: tuple[torch.Tensor, torch.Tensor]
    attention_norm: tuple[torch.Tensor, torch.Tensor]
    widen: tuple[torch.Tensor, torch.Tensor]
    narrow: tuple[torch.Tensor, torch.Tensor]
    norm: tuple[torch.Tensor, torch.Tensor]


class ShortTextEncoder:
    def __init__(self, bert: Any, tokenizer: Any, max_len: int) -> None:
        config, embeddings = bert.config, bert.embeddings
        self._tokenizer = tokenizer
        self._max_len = max_len
        self._heads = config.num_attention_heads
        self._eps = config.layer_norm_eps
        self._words = embeddings.word_embeddings.weight.detach()
        types = embeddings.token_type_embeddings.weight.detach()[0]
        self._places = embeddings.position_embeddings.weight.detach() + types
        self._norm = _both(embeddings.LayerNorm)
        self._layers = [_layer(layer) for layer in bert.encoder.layer]

    @torch.inference_mode()
    def encode(self, text: str) -> Float32Array:
        """[dimension], of length 1."""
        ids = self._tokenizer(text, truncation=True, max_length=self._max_len)["input_ids"]
        rows = functional.embedding(torch.tensor(ids), self._words) + self._places[: len(ids)]
        rows = self._normed(rows, self._norm)
        for layer in self._layers:
            attended = functional.linear(self._attend(rows, layer), *layer.attention_out)
            rows = self._normed(attended + rows, layer.attention_norm)
            wide = functional.gelu(functional.linear(rows, *layer.widen))
            rows = self._normed(functional.linear(wide, *layer.narrow) + rows, layer.norm)
        vector = rows.mean(0)
        unit: Float32Array = (vector / vector.norm()).numpy()
        return unit

    def _attend(self, rows: torch.Tensor, layer: _Layer) -> torch.Tensor:
        """[tokens, dimension] to the same; every token sees every other."""
        num_tokens, dimension = rows.shape
        qkv = functional.linear(rows, *layer.qkv).view(num_tokens, 3, self._heads, -1)
        query, key, value = qkv.permute(1, 2, 0, 3).unsqueeze(1)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return seen[0].transpose(0, 1).reshape(num_tokens, dimension)

    def _normed(
        self, rows: torch.Tensor, weights: tuple[torch.Tensor, torch.Tensor]
    ) -> torch.Tensor:
        return functional.layer_norm(rows, rows.shape[-1:], *weights, self._eps)


def short_text_encoder(model: Any, stock: Sequence[Float32Array]) -> ShortTextEncoder | None:
    """For a SentenceTransformer; `stock` are its vectors of `probes()`. None where they differ."""
    if [type(module).__name__ for module in model] != _MODULES:
        return None
    bert = model[0].model if hasattr(model[0], "model") else model[0].auto_model
    if type(bert).__name__ != "BertModel" or bert.config.hidden_act != "gelu":
        return None
    encoder = ShortTextEncoder(bert, model.tokenizer, model.max_seq_length)
    ours = [encoder.encode(text) for text in probes()]
    same = all(
        np.abs(mine - theirs).max() <= _MAX_DIFFERENCE
        for mine, theirs in zip(ours, stock, strict=True)
    )
    return encoder if same else None


def probes() -> tuple[str, ...]:
    """Texts whose vectors decide whether the two ways agree."""
    return _PROBES


def _layer(layer: Any) -> _Layer:
    attention = layer.attention.self
    parts = [_both(part) for part in (attention.query, attention.key, attention.value)]
    weights, biases = zip(*parts, strict=True)
    return _Layer(
        qkv=(torch.cat(weights), torch.cat(biases)),
        attention_out=_both(layer.attention.output.dense),
        attention_norm=_both(layer.attention.output.LayerNorm),
        widen=_both(layer.intermediate.dense),
        narrow=_both(layer.output.dense),
        norm=_both(layer.output.LayerNorm),
    )


def _both(module: Any) -> tuple[torch.Tensor, torch.Tensor]:
    return module.weight.detach(), module.bias.detach()
