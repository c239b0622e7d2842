"""Run the stock model over chosen rows. The only file that calls the model's forward.

Shapes: N prompt tokens, S computed rows, V vocabulary.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from kvstore.attention import TILE, AttentionObserver, Places, tile_ends_of
from kvstore.branch_cache import BranchCache, Writes, branch_mask
from kvstore.cache import ScatterCache, causal_mask
from kvstore.families import layout_of
from kvstore.spare_buffers import SpareBuffers


class ModelRunner:
    """A decoder loaded with kvstore's attention (kvstore.attention.register)."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layout = layout_of(model)
        self.dtype: torch.dtype = model.dtype
        self.device: torch.device = model.device
        self._has_windows = getattr(model.config, "sliding_window", None) is not None
        self._embed = model.get_input_embeddings()
        self._spare = SpareBuffers()
        self.links: torch.Tensor | None = None  # [k, hidden]: ids from the vocabulary's end on

    @property
    def vocabulary(self) -> int:
        """Number of token ids the model knows; link tokens follow (kvstore.links)."""
        return int(self._embed.weight.shape[0])

    def new_cache(self, capacity: int) -> ScatterCache:
        return ScatterCache(self.layout, capacity, self.dtype, self.device, self._spare)

    def new_branch_cache(self, num_branches: int, capacity: int) -> BranchCache:
        return BranchCache(self.layout, num_branches, capacity, self.dtype, self.device)

    @torch.inference_mode()
    def forward_all(
        self,
        token_ids: torch.Tensor,
        cache: ScatterCache,
        *,
        recorder: AttentionObserver | None = None,
    ) -> torch.Tensor:
        """Plain full prefill of [N] ids from row 0; returns the last row's logits [V]."""
        rows = torch.arange(len(token_ids), device=self.device)
        cache.expect(rows, len(token_ids))
        return self._call(token_ids, rows, cache, mask=None, recorder=recorder)[0]

    @torch.inference_mode()
    def forward_rows(
        self,
        token_ids: torch.Tensor,
        rows: torch.Tensor,
        cache: ScatterCache,
        *,
        keep_logits: int = 1,
        recorder: AttentionObserver | None = None,
    ) -> torch.Tensor:
        """Compute the sorted `rows` of a prompt of [N] ids; other rows come from the cache.

        Row i sees keys at positions <= rows[i]. Returns logits [keep_logits, V] of the last rows.
        """
        num_tokens = len(token_ids)
        cache.expect(rows, num_tokens)
        if cache.hidden is not None:
            cache.hidden[rows] = False
        mask = causal_mask(rows, num_tokens, self.dtype, cache.hidden)
        return self._call(token_ids[rows], rows, cache, mask, keep_logits, recorder)

    @torch.inference_mode()
    def forward_packed(
        self,
        token_ids: torch.Tensor,
        positions: torch.Tensor,
        first_row: int,
        cache: ScatterCache,
        mask: torch.Tensor,
    ) -> None:
        """Compute several segments at once behind rows 0..first_row-1, each at its own positions.

        token_ids and positions [T]; mask additive [1, 1, T, first_row + T].
        """
        rows = torch.arange(first_row, first_row + len(token_ids), device=self.device)
        cache.expect(rows, first_row + len(token_ids))
        self._call(token_ids, positions, cache, mask)

    @torch.inference_mode()
    def append(self, token_ids: Sequence[int], cache: ScatterCache) -> torch.Tensor:
        """Compute tokens at the end of the cache; returns the logits [n, V] of their rows."""
        ids = torch.tensor(token_ids, device=self.device)
        rows = torch.arange(cache.length, cache.length + len(ids), device=self.device)
        cache.expect(rows, cache.length + len(ids))
        needs_mask = len(ids) > 1 or cache.hidden is not None
        mask = causal_mask(rows, cache.length, self.dtype, cache.hidden) if needs_mask else None
        return self._call(ids, rows, cache, mask, keep_logits=len(ids))

    @torch.inference_mode()
    def forward_branches(
        self,
        token_ids: torch.Tensor,
        starts: Sequence[int],
        counts: Sequence[int],
        writes: Writes,
        cache: BranchCache,
    ) -> torch.Tensor:
        """Compute ids [B, n] of B prompts side by side; logits [B, V] of each one's last row.

        Branch b has `counts[b]` real rows from position `starts[b]` on, then padding.
        """
        last = sorted({count - 1 for count in counts})
        rows = self.branch_rows(token_ids, starts, last, writes, cache)
        kept = torch.tensor([last.index(count - 1) for count in counts], device=self.device)
        return rows[torch.arange(len(counts), device=self.device), kept]

    def branch_rows(
        self,
        token_ids: torch.Tensor,
        starts: Sequence[int],
        kept: Sequence[int],
        writes: Writes,
        cache: BranchCache,
    ) -> torch.Tensor:
        """The same; logits [B, len(kept), V] of these rows of every branch."""
        cache.expect(writes)
        first = torch.tensor(starts, device=self.device)[:, None]
        positions = first + torch.arange(token_ids.shape[1], device=self.device)
        extra: dict[str, object] = {}
        if self._has_windows:
            extra["places"] = Places(positions, torch.arange(writes.length, device=self.device))
        output = self.model(
            input_ids=token_ids,
            position_ids=positions,
            past_key_values=cache,
            attention_mask=branch_mask(positions, writes.length, self.dtype),
            use_cache=True,
            logits_to_keep=torch.tensor(kept, device=self.device),
            **extra,
        )
        logits: torch.Tensor = output.logits
        return logits

    @staticmethod
    def drop(count: int, cache: ScatterCache) -> None:
        """Forget the last `count` rows of the cache."""
        cache.expect(cache.rows[:0], cache.length - count)

    def _call(
        self,
        token_ids: torch.Tensor,
        positions: torch.Tensor,
        cache: ScatterCache,
        mask: torch.Tensor | None,
        keep_logits: int = 1,
        recorder: AttentionObserver | None = None,
    ) -> torch.Tensor:
        extra: dict[str, object] = {} if recorder is None else {"attention_recorder": recorder}
        if cache.bias is not None:
            if mask is None:
                mask = causal_mask(cache.rows, cache.length, self.dtype, cache.hidden)
            mask = cache.bias.added(mask, cache.rows)
        if mask is not None and len(token_ids) > TILE:
            extra["tile_ends"] = tile_ends_of(cache.rows)
        if self._has_windows:
            extra["places"] = Places(positions, cache.places(positions))
        output = self.model(
            **self._inputs(token_ids),
            position_ids=positions[None],
            past_key_values=cache,
            attention_mask=mask,
            use_cache=True,
            logits_to_keep=keep_logits,
            **extra,
        )
        logits: torch.Tensor = output.logits[0]
        return logits

    def _inputs(self, token_ids: torch.Tensor) -> dict[str, torch.Tensor]:
        """Ids as they are, or the embeddings [1, n, hidden] where link tokens are among them."""
        if self.links is None or not bool((token_ids >= self.vocabulary).any()):
            return {"input_ids": token_ids[None]}
        is_link = token_ids >= self.vocabulary
        embedded = self._embed(token_ids.masked_fill(is_link, 0))
        embedded[is_link] = self.links[token_ids[is_link] - self.vocabulary].to(embedded.dtype)
        return {"inputs_embeds": embedded[None]}
