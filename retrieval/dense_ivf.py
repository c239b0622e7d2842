"""Lists around centres (IVF) for millions of vectors: searched in part, never changed.

Rows that come later are scanned beside it; when they are a fifth, it is built anew. Nothing is ever
removed from it: ids under IVF shift silently after a removal.
"""

import math

import faiss
import numpy as np

from retrieval.dense_positional import PositionalIndex, Positions
from retrieval.protocols import Float32Array

_LISTS_PER_ROOT = 4  # lists: four times the root of the number of rows
_TRAIN_PER_LIST = 100  # rows; 40 to 250 are enough
_PROBED = 0.1  # share of the lists a search reads
_MIN_PROBED = 16
_MAX_LATER = 0.2


class _Lists:
    def __init__(self, vectors: Float32Array) -> None:
        dimension = vectors.shape[1]
        num_lists = max(1, min(_LISTS_PER_ROOT * math.isqrt(len(vectors)), len(vectors) // 40))
        self._centres = faiss.IndexFlatIP(dimension)  # referenced: the index only points to it
        self._index = faiss.IndexIVFFlat(
            self._centres, dimension, num_lists, faiss.METRIC_INNER_PRODUCT
        )
        wanted = min(len(vectors), _TRAIN_PER_LIST * num_lists)
        sample = np.random.default_rng(0).choice(len(vectors), wanted, replace=False)
        self._index.train(vectors[np.sort(sample)])
        self._index.add(vectors)
        self._num_probed = min(num_lists, max(_MIN_PROBED, round(_PROBED * num_lists)))

    @property
    def num_rows(self) -> int:
        return int(self._index.ntotal)

    def extend(self, vectors: Float32Array) -> None:
        """Nothing: what follows is scanned."""

    def is_outgrown(self, num_rows: int) -> bool:
        return num_rows > (1 + _MAX_LATER) * self.num_rows

    def candidates(
        self, row: Float32Array, count: int, selector: faiss.IDSelector | None
    ) -> Positions:
        options = faiss.SearchParametersIVF()
        options.sel = selector
        options.nprobe = self._num_probed
        positions: Positions = self._index.search(row, count, params=options)[1][0]
        return positions


class IvfDenseIndex(PositionalIndex):
    def build(self, vectors: Float32Array) -> _Lists:
        return _Lists(vectors)
