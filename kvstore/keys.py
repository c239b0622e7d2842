"""Entry keys: SHA-256 over namespace, identity, content and context (DESIGN 4).

Knows token ids and digests; never text, file paths or Python's hash().
"""

import hashlib
import hmac
import json
import struct
from collections.abc import Sequence, Set
from dataclasses import asdict, dataclass

from kvstore.types import EntryKey

SCHEMA = "larder-kv-2"


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Everything that changes what a stored row means. Any difference is another identity."""

    weights: str  # digest over the weight files
    config: str  # digest over the model configuration, RoPE included
    tokenizer: str
    template: str  # prompt template version, its primers included
    adapter: str | None
    kv_dtype: str
    codec: str
    layout: tuple[int, int, int]  # layers, kv heads, head size
    rope_state: str
    compute: str  # device class, compute dtype, attention, library versions

    @property
    def digest(self) -> str:
        body = {"schema": SCHEMA, **asdict(self)}
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def content_id(token_ids: Sequence[int]) -> str:
    """Digest of token ids as little-endian uint32 behind a domain tag and their number."""
    packed = struct.pack(f"<{len(token_ids)}I", *token_ids)
    return hashlib.sha256(b"content" + struct.pack("<Q", len(token_ids)) + packed).hexdigest()


def context_id(preceding: Sequence[str]) -> str:
    """Digest of the ordered content ids of what preceded a segment, P first."""
    return hashlib.sha256(("context:" + ",".join(preceding)).encode()).hexdigest()


def derive_namespace(secret: bytes, tenant: str, acl_class: str) -> str:
    """HMAC(server secret, tenant, ACL class); never taken from a client."""
    message = json.dumps([tenant, acl_class]).encode()
    return hmac.new(secret, message, hashlib.sha256).hexdigest()


def entry_key(namespace: str, identity: str, content: str, preceding: Sequence[str]) -> EntryKey:
    """Key of a content behind the contents `preceding`, P first."""
    context = context_id(preceding)
    joined = "|".join((SCHEMA, namespace, identity, content, context))
    digest = hashlib.sha256(joined.encode()).hexdigest()
    return EntryKey(namespace, identity, content, context, digest, ",".join(preceding))


def is_behind(content: str, preceding: str, wanted: Set[str]) -> bool:
    """Whether an entry is of one of the contents `wanted`, or was computed behind one of them."""
    return content in wanted or not wanted.isdisjoint(preceding.split(","))
