"""An embedder that keeps what it has computed in a folder, so that a second run starts at once."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from retrieval.protocols import Embedder, Float32Array

BATCH = 256  # texts; progress is reported after each


class VectorCache:
    """Whole lists only: those of a set's passages. Questions are never kept, they are timed."""

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self._folder = folder

    def encode(self, texts: Sequence[str], progress: Callable[[int], None]) -> Float32Array:
        """[len(texts), d]; `progress` is told how many were done each time."""
        file = self._file(texts)
        if file is not None and file.is_file():
            progress(len(texts))
            kept: Float32Array = np.load(file, allow_pickle=False)
            return kept
        parts = []
        for start in range(0, len(texts), BATCH):
            parts.append(self._embedder.encode(texts[start : start + BATCH]))
            progress(len(parts[-1]))
        vectors = np.concatenate(parts)
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            np.save(file, vectors, allow_pickle=False)
        return vectors

    def _file(self, texts: Sequence[str]) -> Path | None:
        if self._folder is None:
            return None
        digest = hashlib.sha256(self._embedder.identity.encode())
        for text in texts:
            digest.update(hashlib.sha256(text.encode()).digest())
        return self._folder / f"{digest.hexdigest()[:32]}.npy"
