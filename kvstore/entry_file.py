"""One entry, one safetensors file: written whole or not at all, checked when read.

Layout: tensors `keys`, `values` [L, G, n, D] and `token_ids` [n] int32; metadata strings hold the
parts of the key and a SHA-256 over the tensors' bytes. No pickle anywhere.
"""

import hashlib
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kvstore.errors import CorruptEntry
from kvstore.keys import SCHEMA, content_id
from kvstore.types import ChunkKV, EntryKey

TEMP_SUFFIX = ".tmp"
KEY_FIELDS = ("namespace", "identity", "content", "context", "digest", "preceding")


def write_entry(path: Path, entry: ChunkKV) -> int:
    """Write to a temporary name, fsync, rename, fsync the folder; returns the file's bytes.

    Raises OSError when the disk refuses; a leftover temporary file is removed at the next start.
    """
    tensors = {
        "keys": entry.keys.contiguous(),
        "values": entry.values.contiguous(),
        "token_ids": torch.tensor(entry.token_ids, dtype=torch.int32),
    }
    metadata = {name: str(getattr(entry.key, name)) for name in KEY_FIELDS}
    metadata |= {"schema": SCHEMA, "sha256": tensor_digest(tensors)}
    temporary = path.with_name(path.name + TEMP_SUFFIX)
    try:
        save_file(tensors, temporary, metadata=metadata)
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, SafetensorError):  # safetensors wraps ENOSPC in its own class
            raise OSError(str(error)) from error
        raise
    _sync(path.parent)
    return path.stat().st_size


def read_entry(path: Path, key: EntryKey) -> ChunkKV:
    """Read and check an entry. Raises FileNotFoundError, or CorruptEntry with the reason."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in ("keys", "values", "token_ids")}
    except FileNotFoundError:
        raise
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise CorruptEntry(f"{path.name}: {error}") from error
    stored = tuple(metadata.get(name, "") for name in KEY_FIELDS)
    if metadata.get("schema") != SCHEMA or stored != tuple(getattr(key, n) for n in KEY_FIELDS):
        raise CorruptEntry(f"{path.name}: the header names another key")
    if metadata.get("sha256") != tensor_digest(tensors):
        raise CorruptEntry(f"{path.name}: checksum differs")
    token_ids = tuple(tensors["token_ids"].tolist())
    if content_id(token_ids) != key.content:
        raise CorruptEntry(f"{path.name}: token ids differ from the key")
    # copied out of the memory map: a file cut short later must not end the process by SIGBUS
    return ChunkKV(key, token_ids, tensors["keys"].clone(), tensors["values"].clone())


def tensor_digest(tensors: dict[str, torch.Tensor]) -> str:
    """SHA-256 over name, dtype, shape and bytes of each tensor, in name order."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
