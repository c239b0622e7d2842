"""A transformers cache over preallocated buffers into which fresh rows are scattered.

Knows rows, not where they came from. Buffers belong to one request and never alias the store.
"""

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from kvstore.column_bias import ColumnBias
from kvstore.families import KVLayout
from kvstore.layer_feed import LayerFeed
from kvstore.spare_buffers import SpareBuffers


class BufferLayer(CacheLayerMixin):  # type: ignore[misc]  # transformers is untyped
    """One layer over buffers [B, G, capacity, D] (keys rotated) that exist from the start. A
    subclass says where fresh rows go (`update`) and how many are seen (`get_seq_length`)."""

    is_sliding = False

    def __init__(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        super().__init__()
        self.keys, self.values = keys, values
        self.dtype, self.device = keys.dtype, keys.device
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Buffers exist from the start."""

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:  # noqa: ARG002
        return self.get_seq_length(), 0

    def get_max_length(self) -> int:
        return int(self.keys.shape[2])


class ScatterLayer(BufferLayer):
    """One layer's rows; `rows` and `length` are shared by all layers through the cache."""

    def __init__(
        self, keys: torch.Tensor, values: torch.Tensor, owner: "ScatterCache", number: int
    ) -> None:
        super().__init__(keys, values)
        self.owner, self.number = owner, number

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_: object, **__: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the fresh rows [1, G, len(rows), D] and return all rows up to the length. Stored
        rows are there before: fresh ones go over some of them."""
        self.owner.await_layer(self.number)
        rows, length = self.owner.rows, self.owner.length
        self.keys.index_copy_(2, rows, key_states)
        self.values.index_copy_(2, rows, value_states)
        return self.keys[:, :, :length], self.values[:, :, :length]

    def get_seq_length(self) -> int:
        return self.owner.length


class ScatterCache(Cache):  # type: ignore[misc]
    """KV of one request: keys and values [L, 1, G, capacity, D] (keys rotated).

    `rows`: where the next forward's rows go; `length`: how many rows attention sees. Its buffers
    come from `spare` and go back there with `release`.
    """

    def __init__(
        self,
        layout: KVLayout,
        capacity: int,
        dtype: torch.dtype,
        device: torch.device,
        spare: SpareBuffers,
    ) -> None:
        shape = (layout.num_layers, 1, layout.num_kv_heads, capacity, layout.head_dim)
        self._spare = spare
        self._whole = spare.take(shape, dtype, device)
        self.key_buffer, self.value_buffer = (b[:, :, :, :capacity] for b in self._whole)
        self.rows = torch.empty(0, dtype=torch.int64, device=device)
        self.length = 0
        self.feed: LayerFeed | None = None  # places stored rows meanwhile
        self.bias: ColumnBias | None = None  # of the prompt in here
        self.hidden: torch.Tensor | None = None  # [capacity] bool, rows no attention may see
        super().__init__(
            layers=[
                ScatterLayer(self.key_buffer[i], self.value_buffer[i], self, i)
                for i in range(layout.num_layers)
            ]
        )

    @property
    def capacity(self) -> int:
        return int(self.key_buffer.shape[3])

    def expect(self, rows: torch.Tensor, length: int) -> None:
        """State where the next forward writes. Raises ValueError when a row does not fit."""
        if length > self.capacity or (rows.numel() and int(rows.max()) >= length):
            raise ValueError(f"rows up to {length} do not fit a cache of {self.capacity}")
        self.rows, self.length = rows, length

    def await_layer(self, layer: int) -> None:
        """Until its stored rows are in place. Raises RowsLost."""
        if self.feed is not None:
            self.feed.wait(layer)

    def release(self) -> None:
        """Its rows are not needed any more; the next request writes over them. A forward through
        this cache fails from now on."""
        if self.layers:
            self.layers.clear()
            self.key_buffer = self.value_buffer = self.key_buffer[:0]
            self._spare.give_back(self._whole)

    def hide(self, rows: torch.Tensor) -> None:
        """No row sees these until they are computed; they must hold finite numbers."""
        if self.hidden is None:
            self.hidden = torch.zeros(self.capacity, dtype=torch.bool, device=self.rows.device)
        self.hidden[rows] = True

    def places(self, positions: torch.Tensor) -> torch.Tensor:
        """Position [length] of each row in the text: its own number, and `positions` for the rows
        of this forward, which differ where several segments stand side by side."""
        places = torch.arange(self.length, device=positions.device)
        places[self.rows] = positions
        return places


def causal_mask(
    rows: torch.Tensor, num_keys: int, dtype: torch.dtype, hidden: torch.Tensor | None = None
) -> torch.Tensor:
    """Additive mask [1, 1, len(rows), num_keys]: row i sees keys at positions <= rows[i] that are
    not `hidden` (bool, num_keys or more).

    Explicit because sdpa's own causal flag is aligned to the top left, wrong for scattered rows.
    """
    keys = torch.arange(num_keys, device=rows.device)
    mask = torch.zeros(len(rows), num_keys, dtype=dtype, device=rows.device)
    mask.masked_fill_(keys[None, :] > rows[:, None], float("-inf"))
    if hidden is not None:
        mask.masked_fill_(hidden[None, :num_keys], float("-inf"))
    return mask[None, None]
