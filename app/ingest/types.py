"""Values of the write path."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IngestConfig:
    max_document_bytes: int
    embed_batch: int = 128  # chunks; a few seconds of MiniLM on two cores, sorted by length
    parse_ahead: int = 256  # documents that are looked at together
    precompute_batch: int = 8  # chunks; a few seconds of the decoder, and a delete waits for one
    max_parse_attempts: int = 5  # after so many crashes of the process the bytes are to blame
    stores_kv: bool = True  # else passages wait for their second use, or for being warmed

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name != "stores_kv" and getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class DeleteReport:
    """What went from database, indexes and KV store."""

    chunks: int
    kv_entries: int
    kv_bytes: int
    job_id: str
    observations: int
    is_complete: bool  # else the job goes on: a tier or the database could not be reached
