"""How rows are written to a file: one codec a file, one line in this table.

A codec is part of the model identity, so entries of different codecs never meet under one key.
"""

from kvstore.codecs.bf16 import Bf16Codec
from kvstore.codecs.cachegen import CacheGenCodec
from kvstore.codecs.int8 import Int8Codec
from kvstore.codecs.kivi_int4 import KiviInt4Codec
from kvstore.codecs.raw import RawCodec
from kvstore.codecs.zstd_int8 import ZstdInt8Codec
from kvstore.errors import UnknownCodec
from kvstore.protocols import Codec

RAW = RawCodec()
CODECS: dict[str, Codec] = {
    codec.name: codec
    for codec in (
        RAW,
        Bf16Codec(),
        Int8Codec(),
        KiviInt4Codec(),
        ZstdInt8Codec(),
        CacheGenCodec(),
    )
}


def find_codec(name: str) -> Codec:
    """The codec called `name`; raises UnknownCodec with the known names."""
    if name not in CODECS:
        raise UnknownCodec(f"unknown codec {name!r}; known: {', '.join(CODECS)}")
    return CODECS[name]
