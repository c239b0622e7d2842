"""A shared tier from its address. Client libraries are loaded only for the one that is named."""

from urllib.parse import urlsplit

from kvstore.errors import InvalidTier
from kvstore.protocols import Codec
from kvstore.shared_tier import DEFAULT_LIMITS, Blobs, SharedLimits, SharedTier

SCHEMES = ("valkey", "valkeys", "s3")  # Redis servers speak the same protocol as Valkey


def open_shared(
    url: str,
    budget_bytes: int,
    codec: Codec,
    limits: SharedLimits = DEFAULT_LIMITS,
) -> SharedTier:
    """Connects to nothing yet. Raises InvalidTier for an address or a client that is missing."""
    return SharedTier(_blobs(url, limits.limit_s), budget_bytes, codec, limits)


def _blobs(url: str, limit_s: float) -> Blobs:
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise InvalidTier(f"{scheme}:// is no shared tier; known: {', '.join(SCHEMES)}")
    try:
        if scheme == "s3":
            from kvstore.s3_tier import S3Blobs

            return S3Blobs(url, limit_s)
        from kvstore.valkey_tier import ValkeyBlobs

        return ValkeyBlobs(url, limit_s)
    except ModuleNotFoundError as error:
        raise InvalidTier(f"{scheme}:// needs the package {error.name}") from error
