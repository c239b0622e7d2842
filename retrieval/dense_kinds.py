"""The kinds of vector index by name, and which one a number of vectors asks for."""

from collections.abc import Mapping

from retrieval.dense import FlatDenseIndex
from retrieval.dense_hnsw import HnswDenseIndex
from retrieval.dense_ivf import IvfDenseIndex
from retrieval.dense_sq8 import Sq8DenseIndex

AnyDenseIndex = FlatDenseIndex | Sq8DenseIndex | HnswDenseIndex | IvfDenseIndex

KINDS: Mapping[str, type[AnyDenseIndex]] = {
    "flat": FlatDenseIndex,
    "sq8": Sq8DenseIndex,
    "hnsw": HnswDenseIndex,
    "ivf": IvfDenseIndex,
}
AUTO = "auto"

# Comparing every vector takes 6 ms at 100,000 and grows with the number; codes find the same in
# less than half of that and a quarter of the memory; beyond millions only a part can be read.
_BOUNDS = ((50_000, "flat"), (5_000_000, "sq8"))


def kind_for(num_vectors: int) -> str:
    """What `auto` chooses."""
    return next((kind for bound, kind in _BOUNDS if num_vectors <= bound), "ivf")
