"""Every table. Only this folder sees these classes; what leaves it are the rows of rows.py."""

from datetime import date as Date
from typing import ClassVar

from sqlalchemy import (
    BigInteger,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# Ids are never used twice, so a citation in an old run cannot point at somebody else's chunk.
FRESH_IDS = {"sqlite_autoincrement": True}

PUBLIC = "public"  # the access class of a document nobody gave one


class CleanText(TypeDecorator[str]):
    """Text that can be stored: half a surrogate pair, legal in JSON but not in UTF-8, becomes "?",
    and NUL, which PostgreSQL does not take, the replacement character.

    One character for one, so spans stay right.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        if value is None:
            return None
        return value.encode("utf-8", "replace").decode("utf-8").replace("\0", "\ufffd")


class Base(DeclarativeBase):
    # SQLite numbers rows by itself only where the type is INTEGER, which is 64 bits wide there.
    type_annotation_map: ClassVar = {int: BigInteger().with_variant(Integer(), "sqlite")}
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Collection(Base):
    __tablename__ = "collections"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(CleanText, unique=True)
    created_at: Mapped[float]  # all times: seconds since 1970, UTC


class Source(Base):
    __tablename__ = "sources"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(CleanText, unique=True)
    alpha: Mapped[float]  # what is believed now: ranking reads it
    beta: Mapped[float]
    created_at: Mapped[float]
    prior_alpha: Mapped[float]  # what was believed before anything was observed
    prior_beta: Mapped[float]
    class_name: Mapped[str | None] = mapped_column(CleanText)  # see reliability/prior.py
    state: Mapped[str] = mapped_column(CleanText)  # active, quarantined
    merged_into: Mapped[int | None]  # the source that it turned out to be


class Document(Base):
    __tablename__ = "documents"
    __table_args__ = (UniqueConstraint("collection_id", "source_id", "sha256"), FRESH_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    collection_id: Mapped[int] = mapped_column(ForeignKey("collections.id", ondelete="CASCADE"))
    source_id: Mapped[int] = mapped_column(ForeignKey("sources.id"), index=True)
    name: Mapped[str] = mapped_column(CleanText)
    title: Mapped[str] = mapped_column(CleanText)
    media_type: Mapped[str] = mapped_column(CleanText)
    size_bytes: Mapped[int]
    sha256: Mapped[str] = mapped_column(CleanText)
    state: Mapped[str] = mapped_column(CleanText, index=True)
    parse_attempts: Mapped[int]
    error: Mapped[str | None] = mapped_column(CleanText)
    text: Mapped[str | None] = mapped_column(CleanText)  # None until parsed
    created_at: Mapped[float]
    date: Mapped[Date | None]  # of what it says, where the sender gave one
    acl_class: Mapped[str] = mapped_column(CleanText, server_default=PUBLIC)
    external_id: Mapped[str | None] = mapped_column(CleanText, index=True)  # the sender's name
    # `live`; `staged`: a new version that is not found yet; `deleting`: found by nobody any more.
    visibility: Mapped[str] = mapped_column(CleanText, default="live")


class DocumentTag(Base):
    __tablename__ = "document_tags"

    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    tag: Mapped[str] = mapped_column(CleanText, primary_key=True, index=True)


class DocumentBody(Base):
    """Uploaded bytes, kept until they are parsed."""

    __tablename__ = "document_bodies"

    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    body: Mapped[bytes] = mapped_column(LargeBinary)


class DocumentBlocks(Base):
    """Where headings, lists, tables and pages of a parsed document are; see app/db/blocks.py."""

    __tablename__ = "document_blocks"

    document_id: Mapped[int] = mapped_column(
        ForeignKey("documents.id", ondelete="CASCADE"), primary_key=True
    )
    blocks: Mapped[bytes] = mapped_column(LargeBinary)


class Chunk(Base):
    __tablename__ = "chunks"
    __table_args__ = (
        UniqueConstraint("document_id", "ordinal"),
        # Counting the chunks of a document reads this index only, never the text.
        Index(None, "document_id", "num_tokens", "is_cached"),
        FRESH_IDS,
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    document_id: Mapped[int] = mapped_column(ForeignKey("documents.id", ondelete="CASCADE"))
    ordinal: Mapped[int]
    start: Mapped[int]
    end: Mapped[int]
    page: Mapped[int | None]
    label: Mapped[str] = mapped_column(CleanText)
    text: Mapped[str] = mapped_column(CleanText)
    token_ids: Mapped[bytes] = mapped_column(LargeBinary)  # little-endian int32
    tokens_sha256: Mapped[str] = mapped_column(CleanText, index=True)
    num_tokens: Mapped[int]
    is_cached: Mapped[bool]  # its KV was computed at ingest


class Embedding(Base):
    __tablename__ = "embeddings"

    chunk_id: Mapped[int] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True
    )
    vector: Mapped[bytes] = mapped_column(LargeBinary)  # little-endian float32


class NextEmbedding(Base):
    """A vector of the embedder that is about to take over; moved to `embeddings` once all are."""

    __tablename__ = "next_embeddings"

    chunk_id: Mapped[int] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True
    )
    embedder: Mapped[str] = mapped_column(CleanText)
    vector: Mapped[bytes] = mapped_column(LargeBinary)  # little-endian float32


class Duplicate(Base):
    """Two chunks that say the same in the same or nearly the same words; the later one first."""

    __tablename__ = "duplicates"

    chunk_id: Mapped[int] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True
    )
    other_id: Mapped[int] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True, index=True
    )
    level: Mapped[str] = mapped_column(CleanText)  # L0 the same words, L1 nearly
    similarity: Mapped[float]  # 1 for L0; the greater of Jaccard and containment for L1


class ShingleBand(Base):
    """A band of a chunk's MinHash: chunks that share one are worth comparing."""

    __tablename__ = "shingle_bands"

    band: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    chunk_id: Mapped[int] = mapped_column(
        ForeignKey("chunks.id", ondelete="CASCADE"), primary_key=True, index=True
    )


class PendingPurge(Base):
    """Token ids of deleted chunks whose KV may still lie in the store."""

    __tablename__ = "pending_purges"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    token_ids: Mapped[bytes] = mapped_column(LargeBinary)
    tokens_sha256: Mapped[str] = mapped_column(CleanText)


class Run(Base):
    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(CleanText, primary_key=True)
    created_at: Mapped[float] = mapped_column(index=True)
    finished_at: Mapped[float | None]
    question: Mapped[str] = mapped_column(CleanText)
    collection_id: Mapped[int]  # no foreign key: a run outlives its collection
    collection: Mapped[str] = mapped_column(CleanText)
    model: Mapped[str] = mapped_column(CleanText)
    mode: Mapped[str] = mapped_column(CleanText)
    policy: Mapped[str | None] = mapped_column(CleanText)
    ratio: Mapped[float | None]
    answer: Mapped[str] = mapped_column(CleanText)
    finish_reason: Mapped[str | None] = mapped_column(CleanText)
    tokens_prompt: Mapped[int]
    tokens_exact_prefix: Mapped[int]
    tokens_reused: Mapped[int]
    tokens_recomputed: Mapped[int]
    tokens_fresh: Mapped[int]
    tokens_generated: Mapped[int]
    ttft_ms: Mapped[float | None]
    prefill_ms: Mapped[float | None]
    full_prefill_ms_estimate: Mapped[float | None]
    timings_json: Mapped[str] = mapped_column(CleanText)
    plan_json: Mapped[str | None] = mapped_column(CleanText)
    passages_json: Mapped[str] = mapped_column(CleanText)
    citations_json: Mapped[str] = mapped_column(CleanText)
    is_redacted: Mapped[bool]  # a document it quoted was deleted
    trust: Mapped[str] = mapped_column(CleanText)  # plain, weighted, tagged, vote
    verdict_json: Mapped[str | None] = mapped_column(CleanText)
    reliability_version: Mapped[int]


class RunDocument(Base):
    """Which documents a run saw, so that deleting one finds the runs that quote it."""

    __tablename__ = "run_documents"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    document_id: Mapped[int] = mapped_column(primary_key=True, index=True)


class KVEntry(Base):
    """One file of the KV store's disk tier."""

    __tablename__ = "kv_entries"

    digest: Mapped[str] = mapped_column(CleanText, primary_key=True)
    namespace: Mapped[str] = mapped_column(CleanText, server_default="")
    identity: Mapped[str] = mapped_column(CleanText)
    content: Mapped[str] = mapped_column(CleanText, index=True)
    context: Mapped[str] = mapped_column(CleanText)
    preceding: Mapped[str] = mapped_column(CleanText)  # content ids, joined by commas
    num_tokens: Mapped[int]
    num_bytes: Mapped[int]
    created_at: Mapped[float]
    last_used_at: Mapped[float]
    uses: Mapped[int]
    is_pinned: Mapped[bool]


class ModelRecord(Base):
    """What calibration found out about a model."""

    __tablename__ = "model_records"

    identity: Mapped[str] = mapped_column(CleanText, primary_key=True)
    record_json: Mapped[str] = mapped_column(CleanText)
    saved_at: Mapped[float]


class Stamp(Base):
    """Which embedder and which tokenizer the stored vectors and token ids came from."""

    __tablename__ = "stamps"

    name: Mapped[str] = mapped_column(CleanText, primary_key=True)
    value: Mapped[str] = mapped_column(CleanText)


class Job(Base):
    """Work that outlives a process; see app/db/job_leases.py for who may do it."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "rank", "collection_id"),)

    id: Mapped[str] = mapped_column(CleanText, primary_key=True)
    kind: Mapped[str] = mapped_column(CleanText)
    state: Mapped[str] = mapped_column(CleanText)
    rank: Mapped[int]  # lower ones first
    collection_id: Mapped[int | None]  # no foreign key: a job outlives its collection
    stage: Mapped[str | None] = mapped_column(CleanText)
    payload_json: Mapped[str] = mapped_column(CleanText)
    result_json: Mapped[str | None] = mapped_column(CleanText)
    total: Mapped[int]
    done: Mapped[int]
    failed: Mapped[int]
    skipped: Mapped[int]
    attempts: Mapped[int]  # since something was last achieved
    error: Mapped[str | None] = mapped_column(CleanText)
    is_cancelling: Mapped[bool]
    lease_owner: Mapped[str | None] = mapped_column(CleanText)
    lease_beat: Mapped[int]  # grows with every sign of life; a count, so no clock can mislead
    heartbeat_at: Mapped[float | None]
    available_at: Mapped[float]
    served: Mapped[int]  # the number of its last turn
    created_at: Mapped[float] = mapped_column(index=True)
    started_at: Mapped[float | None]
    finished_at: Mapped[float | None]


class JobItem(Base):
    """One document, address or file of a job, and what became of it."""

    __tablename__ = "job_items"
    __table_args__ = (Index(None, "job_id", "state"), FRESH_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(CleanText)
    document_id: Mapped[int | None] = mapped_column(index=True)  # no foreign key, as above
    state: Mapped[str] = mapped_column(CleanText)
    error: Mapped[str | None] = mapped_column(CleanText)


class IdempotencyKey(Base):
    """A request that was made with a key, and how it was answered."""

    __tablename__ = "idempotency_keys"

    key: Mapped[str] = mapped_column(CleanText, primary_key=True)
    digest: Mapped[str] = mapped_column(CleanText)
    owner: Mapped[str] = mapped_column(CleanText)  # the process that is answering
    status: Mapped[int | None]  # None while it is being answered
    headers_json: Mapped[str] = mapped_column(CleanText)
    body: Mapped[str] = mapped_column(CleanText)
    created_at: Mapped[float] = mapped_column(index=True)


class WatchedRequest(Base):
    """A request that the production watch drew (app.decoder.watch). Holds no text."""

    __tablename__ = "watched_requests"
    __table_args__ = (Index(None, "identity", "created_at"), FRESH_IDS)

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[float]
    identity: Mapped[str] = mapped_column(CleanText)
    collection_id: Mapped[int | None]  # no foreign key: a figure outlives its collection
    arm: Mapped[str] = mapped_column(CleanText)
    first_token_ms: Mapped[float]
    full_ms: Mapped[float | None]
    kl: Mapped[float | None]
    top1_agreement: Mapped[float | None]
    num_tokens: Mapped[int | None]


class ReuseSuspension(Base):
    """Chunk reuse switched off until it is lifted; a reset leaves a row that never was open."""

    __tablename__ = "reuse_suspensions"
    __table_args__ = (FRESH_IDS,)

    id: Mapped[int] = mapped_column(primary_key=True)
    identity: Mapped[str] = mapped_column(CleanText, index=True)
    collection_id: Mapped[int | None]
    since: Mapped[float]
    reason: Mapped[str] = mapped_column(CleanText)
    lifted_at: Mapped[float | None]
