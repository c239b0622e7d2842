"""Errors of kvstore.

KVStoreError
├── UnsupportedModel    the model has layers that chunk reuse cannot serve; the message says which
├── CorruptEntry        a stored file is truncated, altered or not what its key says
├── TierFull            no room within the byte budget (nothing evictable, or eviction not allowed)
├── TierUnavailable     the tier cannot be written or read right now (disk full, permissions)
├── NotFinite           rows hold NaN or infinity; nothing is stored
├── UnknownCodec        no codec of that name, or its package is not installed
├── InvalidTier         the address of a shared tier is not one, or its client is not installed
├── InvalidReuse        a request names an unknown policy or a ratio outside 0 to 1
└── RowsLost            rows that were to be placed while a prompt is computed cannot be decoded
"""


class KVStoreError(Exception):
    """Base of everything kvstore raises on purpose."""


class UnsupportedModel(KVStoreError):
    pass


class CorruptEntry(KVStoreError):
    pass


class TierFull(KVStoreError):
    pass


class TierUnavailable(KVStoreError):
    pass


class NotFinite(KVStoreError):
    pass


class UnknownCodec(KVStoreError):
    pass


class InvalidTier(KVStoreError):
    pass


class InvalidReuse(KVStoreError):
    pass


class RowsLost(KVStoreError):
    pass
