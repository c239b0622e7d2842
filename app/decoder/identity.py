"""The identity under which a loaded model's rows are stored: every field of kvstore.keys."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from transformers import PreTrainedModel

from app.decoder.file_digests import sha256_of
from app.decoder.template import PromptTemplate
from kvstore.attention import ATTENTION_NAME
from kvstore.families import layout_of
from kvstore.keys import ModelIdentity

# The number type is a field of the identity by itself (kv_dtype).
BY_THE_WAY = {"_name_or_path", "transformers_version", "dtype", "torch_dtype"}


def identify(
    model: PreTrainedModel,
    model_dir: Path,
    template: PromptTemplate,
    sha256: Callable[[Path], str] = sha256_of,
    codec: str = "raw",
) -> ModelIdentity:
    """Digests of what the files hold, wherever they lie; `sha256` tells a file's."""
    layout = layout_of(model)
    config = json.dumps(_meaning(model.config.to_dict()), sort_keys=True, default=str)
    tokenizer_files = [model_dir / "tokenizer.json", model_dir / "tokenizer_config.json"]
    versions = (
        ".".join(torch.__version__.split(".")[:2]),
        ".".join(transformers.__version__.split(".")[:2]),
    )
    return ModelIdentity(
        weights=digest_weights(model_dir, sha256),
        config=hashlib.sha256(config.encode()).hexdigest(),
        tokenizer=digest_files([path for path in tokenizer_files if path.exists()], sha256),
        template=template.version,
        adapter=None,
        kv_dtype=str(model.dtype),
        codec=codec,
        layout=(layout.num_layers, layout.num_kv_heads, layout.head_dim),
        rope_state="unrotated",
        compute=f"{model.device.type}:{model.dtype}:{ATTENTION_NAME}:torch{versions[0]}:tf{versions[1]}",
    )


def _meaning(config: dict[str, object]) -> dict[str, object]:
    """Without where it was read from and who wrote it: a moved folder keeps its entries."""
    return {name: value for name, value in config.items() if name not in BY_THE_WAY}


def digest_weights(model_dir: Path, sha256: Callable[[Path], str] = sha256_of) -> str:
    return digest_files(sorted(model_dir.glob("*.safetensors")), sha256)


def digest_files(paths: list[Path], sha256: Callable[[Path], str]) -> str:
    """SHA-256 over names and SHA-256 of contents."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(f"{path.name}:{sha256(path)};".encode())
    return digest.hexdigest()
