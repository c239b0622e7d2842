"""Token ids as the database keeps them: little-endian int32 bytes and their digest."""

import hashlib
from collections.abc import Sequence

import numpy as np


def pack(token_ids: Sequence[int]) -> bytes:
    return np.asarray(token_ids, dtype="<i4").tobytes()


def unpack(packed: bytes) -> tuple[int, ...]:
    return tuple(np.frombuffer(packed, dtype="<i4").tolist())


def digest(packed: bytes) -> str:
    """Equal digests mean equal token ids, so one KV entry serves both chunks."""
    return hashlib.sha256(packed).hexdigest()
