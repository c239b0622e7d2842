"""One entry, one safetensors file: written whole or not at all, checked when read.

Layout: a codec's tensors (`raw`: `keys` and `values` [L, G, k, D]), `token_ids` [n] int32, `kept`
[k] int32 where k < n, and statistics under `stat.NAME`;
metadata strings hold the parts of the key, the codec, the compute dtype and a SHA-256 over the
tensors' bytes. Every tier keeps these same bytes. No pickle anywhere.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError

from kvstore.arrival import Arrival
from kvstore.codecs import CODECS, RAW
from kvstore.errors import CorruptEntry, NotFinite
from kvstore.keys import SCHEMA, content_id
from kvstore.protocols import Codec
from kvstore.types import ChunkKV, EntryKey

TEMP_SUFFIX = ".tmp"
STATISTIC = "stat."
KEY_FIELDS = ("namespace", "identity", "content", "context", "digest", "preceding")
NO_ROWS = torch.empty(0)
DTYPES = {str(dtype): dtype for dtype in (torch.float32, torch.float16, torch.bfloat16)}


def to_bytes(entry: ChunkKV, codec: Codec = RAW) -> bytes:
    """The file of an entry. Raises NotFinite when its rows, or what is kept of them, hold NaN or
    infinity."""
    codec = codec if entry.coded else RAW
    _check_finite(entry, (entry.keys, entry.values), codec)
    coded = codec.encode(entry.keys.cpu(), entry.values.cpu())
    if not codec.lossless:
        _check_finite(entry, coded.values(), codec)
    tensors = {name: tensor.contiguous() for name, tensor in coded.items()}
    tensors["token_ids"] = torch.tensor(entry.token_ids, dtype=torch.int32)
    if entry.kept is not None:
        tensors["kept"] = entry.kept.cpu()
    tensors |= {STATISTIC + name: t.cpu() for name, t in entry.statistics.items()}
    metadata = {name: str(getattr(entry.key, name)) for name in KEY_FIELDS}
    metadata |= {"schema": SCHEMA, "codec": codec.name, "dtype": str(entry.keys.dtype)}
    metadata["sha256"] = entry_digest(tensors, metadata)
    return safetensors.torch.save(tensors, metadata=metadata)


def from_bytes(data: bytes, key: EntryKey, *, by_layer: bool = False) -> ChunkKV:
    """Check and decode what `to_bytes` wrote; with `by_layer` it is checked as well, and its rows
    are decoded when they are taken (ChunkKV.arrival). Raises CorruptEntry with the reason."""
    name = key.digest[:12]
    try:
        tensors = safetensors.torch.load(data)
        metadata = _metadata(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise CorruptEntry(f"{name}: {error}") from error
    stored = tuple(metadata.get(field) for field in KEY_FIELDS)
    if metadata.get("schema") != SCHEMA or stored != tuple(getattr(key, f) for f in KEY_FIELDS):
        raise CorruptEntry(f"{name}: the header names another key")
    if metadata.get("sha256") != entry_digest(tensors, metadata):
        raise CorruptEntry(f"{name}: checksum differs")
    try:
        token_ids = tuple(tensors.pop("token_ids").tolist())
        codec = CODECS[metadata.get("codec", RAW.name)]
        dtype = DTYPES[metadata["dtype"]] if "dtype" in metadata else tensors["keys"].dtype
        kept = tensors.pop("kept", None)
        named = [name for name in tensors if name.startswith(STATISTIC)]
        statistics = {name.removeprefix(STATISTIC): tensors.pop(name) for name in named}
        arrival = None
        if by_layer and not codec.lossless:  # raw rows are there already
            arrival, keys, values = Arrival(codec.layers(tensors, dtype)), NO_ROWS, NO_ROWS
        else:
            keys, values = codec.decode(tensors, dtype)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise CorruptEntry(f"{name}: {error}") from error
    if content_id(token_ids) != key.content:
        raise CorruptEntry(f"{name}: token ids differ from the key")
    return ChunkKV(key, token_ids, keys, values, kept, statistics, codec.lossless, arrival=arrival)


def key_in(data: bytes) -> EntryKey:
    """The key that the file's header names. Raises CorruptEntry."""
    try:
        metadata = _metadata(data)
        return EntryKey(**{name: metadata[name] for name in KEY_FIELDS})
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise CorruptEntry(f"the header is not one of ours: {error}") from error


def write_file(path: Path, data: bytes) -> None:
    """Write to a temporary name, fsync, rename, fsync the folder.

    Raises OSError when the disk refuses; a leftover temporary file is removed at the next start.
    Its name holds the process: two that write the same entry must not share one.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}{TEMP_SUFFIX}")
    try:
        temporary.write_bytes(data)
        _sync(temporary)
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # what went wrong first is what is told
            temporary.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def entry_digest(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str]) -> str:
    """SHA-256 over codec, compute dtype, and name, dtype, shape and bytes of each tensor, in name
    order. Files of before there were codecs name none."""
    digest = hashlib.sha256()
    for field in ("codec", "dtype"):
        if field in metadata:
            digest.update(f"{field}={metadata[field]};".encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _check_finite(entry: ChunkKV, parts: Iterable[torch.Tensor], codec: Codec) -> None:
    for part in parts:
        if part.is_floating_point() and not part.isfinite().all():
            raise NotFinite(f"rows of {entry.key.digest[:12]} are not finite as {codec.name}")


def _metadata(data: bytes) -> dict[str, str]:
    """The header's strings; safetensors reads them only from a file."""
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    return {str(name): str(text) for name, text in header["__metadata__"].items()}


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
