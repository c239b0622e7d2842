"""First tables, and the full-text index over chunks that triggers keep in step."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# 64 bits on both engines: SQLite numbers rows by itself only where the type is INTEGER.
INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# The index stores no text of its own: it reads `chunks`, so the two cannot disagree about content.
FTS = [
    """
    CREATE VIRTUAL TABLE chunks_fts USING fts5(
        label, text, content='chunks', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
    )
    """,
    """
    CREATE TRIGGER chunks_fts_insert AFTER INSERT ON chunks BEGIN
        INSERT INTO chunks_fts(rowid, label, text) VALUES (new.id, new.label, new.text);
    END
    """,
    """
    CREATE TRIGGER chunks_fts_delete AFTER DELETE ON chunks BEGIN
        INSERT INTO chunks_fts(chunks_fts, rowid, label, text)
        VALUES ('delete', old.id, old.label, old.text);
    END
    """,
    """
    CREATE TRIGGER chunks_fts_update AFTER UPDATE OF label, text ON chunks BEGIN
        INSERT INTO chunks_fts(chunks_fts, rowid, label, text)
        VALUES ('delete', old.id, old.label, old.text);
        INSERT INTO chunks_fts(rowid, label, text) VALUES (new.id, new.label, new.text);
    END
    """,
]
TABLES = [
    "embeddings",
    "document_bodies",
    "chunks",
    "run_documents",
    "documents",
    "stamps",
    "sources",
    "runs",
    "pending_purges",
    "model_records",
    "kv_entries",
    "collections",
]


def upgrade() -> None:
    op.create_table(
        "collections",
        sa.Column("id", INT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_collections")),
        sa.UniqueConstraint("name", name=op.f("uq_collections_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "kv_entries",
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("context", sa.Text(), nullable=False),
        sa.Column("num_tokens", INT, nullable=False),
        sa.Column("num_bytes", INT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("last_used_at", sa.Double(), nullable=False),
        sa.Column("uses", INT, nullable=False),
        sa.Column("is_pinned", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_kv_entries")),
    )
    op.create_index(op.f("ix_kv_entries_content"), "kv_entries", ["content"])

    op.create_table(
        "model_records",
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("record_json", sa.Text(), nullable=False),
        sa.Column("saved_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_model_records")),
    )
    op.create_table(
        "pending_purges",
        sa.Column("id", INT, nullable=False),
        sa.Column("token_ids", sa.LargeBinary(), nullable=False),
        sa.Column("tokens_sha256", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_purges")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("collection_id", INT, nullable=False),
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("policy", sa.Text(), nullable=True),
        sa.Column("ratio", sa.Double(), nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("finish_reason", sa.Text(), nullable=True),
        sa.Column("tokens_prompt", INT, nullable=False),
        sa.Column("tokens_exact_prefix", INT, nullable=False),
        sa.Column("tokens_reused", INT, nullable=False),
        sa.Column("tokens_recomputed", INT, nullable=False),
        sa.Column("tokens_fresh", INT, nullable=False),
        sa.Column("tokens_generated", INT, nullable=False),
        sa.Column("ttft_ms", sa.Double(), nullable=True),
        sa.Column("prefill_ms", sa.Double(), nullable=True),
        sa.Column("full_prefill_ms_estimate", sa.Double(), nullable=True),
        sa.Column("timings_json", sa.Text(), nullable=False),
        sa.Column("plan_json", sa.Text(), nullable=True),
        sa.Column("passages_json", sa.Text(), nullable=False),
        sa.Column("citations_json", sa.Text(), nullable=False),
        sa.Column("is_redacted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runs")),
    )
    op.create_index(op.f("ix_runs_created_at"), "runs", ["created_at"])

    op.create_table(
        "sources",
        sa.Column("id", INT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("beta", sa.Double(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "stamps",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_stamps")),
    )
    op.create_table(
        "documents",
        sa.Column("id", INT, nullable=False),
        sa.Column("collection_id", INT, nullable=False),
        sa.Column("source_id", INT, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("media_type", sa.Text(), nullable=False),
        sa.Column("size_bytes", INT, nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("parse_attempts", INT, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["collection_id"],
            ["collections.id"],
            name=op.f("fk_documents_collection_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_documents_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint(
            "collection_id",
            "source_id",
            "sha256",
            name=op.f("uq_documents_collection_id_source_id_sha256"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_documents_source_id"), "documents", ["source_id"])
    op.create_index(op.f("ix_documents_state"), "documents", ["state"])

    op.create_table(
        "run_documents",
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("document_id", INT, nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.id"], name=op.f("fk_run_documents_run_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("run_id", "document_id", name=op.f("pk_run_documents")),
    )
    op.create_index(op.f("ix_run_documents_document_id"), "run_documents", ["document_id"])

    op.create_table(
        "chunks",
        sa.Column("id", INT, nullable=False),
        sa.Column("document_id", INT, nullable=False),
        sa.Column("ordinal", INT, nullable=False),
        sa.Column("start", INT, nullable=False),
        sa.Column("end", INT, nullable=False),
        sa.Column("page", INT, nullable=True),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("token_ids", sa.LargeBinary(), nullable=False),
        sa.Column("tokens_sha256", sa.Text(), nullable=False),
        sa.Column("num_tokens", INT, nullable=False),
        sa.Column("is_cached", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_chunks_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_chunks")),
        sa.UniqueConstraint("document_id", "ordinal", name=op.f("uq_chunks_document_id_ordinal")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_chunks_document_id_num_tokens_is_cached"),
        "chunks",
        ["document_id", "num_tokens", "is_cached"],
    )
    op.create_index(op.f("ix_chunks_tokens_sha256"), "chunks", ["tokens_sha256"])

    op.create_table(
        "document_bodies",
        sa.Column("document_id", INT, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_document_bodies_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", name=op.f("pk_document_bodies")),
    )
    op.create_table(
        "embeddings",
        sa.Column("chunk_id", INT, nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("fk_embeddings_chunk_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_embeddings")),
    )
    if op.get_bind().dialect.name == "sqlite":  # PostgreSQL: see 0005
        for statement in FTS:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE chunks_fts")
    for table in TABLES:
        op.drop_table(table)
