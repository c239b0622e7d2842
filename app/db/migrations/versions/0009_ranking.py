"""Words folded alike for every script, vectors of the next embedder, and near-duplicates."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# The function comes from the connection (app/db/sqlite.py). Through the view the index reads its
# own content folded, so that nothing is stored twice and a rebuild needs no program.
VIEW = """
    CREATE VIEW folded_chunks AS
    SELECT id, larder_words(label) AS label, larder_words(text) AS text FROM chunks
"""
FOLDED = """
    CREATE VIRTUAL TABLE chunks_fts USING fts5(
        label, text, content='folded_chunks', content_rowid='id',
        tokenize='unicode61 remove_diacritics 2'
    )
"""
PLAIN = """
    CREATE VIRTUAL TABLE chunks_fts USING fts5(
        label, text, content='chunks', content_rowid='id', tokenize='unicode61 remove_diacritics 2'
    )
"""
REBUILD = "INSERT INTO chunks_fts(chunks_fts) VALUES ('rebuild')"


def _triggers(old: str, new: str) -> list[str]:
    add = f"INSERT INTO chunks_fts(rowid, label, text) VALUES (new.id, {new});"
    drop = f"INSERT INTO chunks_fts(chunks_fts, rowid, label, text) VALUES ('delete', old.id, {old});"
    return [
        f"CREATE TRIGGER chunks_fts_insert AFTER INSERT ON chunks BEGIN {add} END",
        f"CREATE TRIGGER chunks_fts_delete AFTER DELETE ON chunks BEGIN {drop} END",
        f"CREATE TRIGGER chunks_fts_update AFTER UPDATE OF label, text ON chunks "
        f"BEGIN {drop} {add} END",
    ]


def _replace_index(table: str, old: str, new: str) -> None:
    for name in ("insert", "delete", "update"):
        op.execute(f"DROP TRIGGER chunks_fts_{name}")
    op.execute("DROP TABLE chunks_fts")
    op.execute(table)
    for statement in _triggers(old, new):
        op.execute(statement)
    op.execute(REBUILD)


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute(VIEW)
        _replace_index(
            FOLDED,
            "larder_words(old.label), larder_words(old.text)",
            "larder_words(new.label), larder_words(new.text)",
        )
    op.create_table(
        "next_embeddings",
        sa.Column("chunk_id", INT, nullable=False),
        sa.Column("embedder", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"],
            ["chunks.id"],
            name=op.f("fk_next_embeddings_chunk_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("chunk_id", name=op.f("pk_next_embeddings")),
    )
    op.create_table(
        "duplicates",
        sa.Column("chunk_id", INT, nullable=False),
        sa.Column("other_id", INT, nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("similarity", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("fk_duplicates_chunk_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["other_id"], ["chunks.id"], name=op.f("fk_duplicates_other_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("chunk_id", "other_id", name=op.f("pk_duplicates")),
    )
    op.create_index(op.f("ix_duplicates_other_id"), "duplicates", ["other_id"])
    op.create_table(
        "shingle_bands",
        sa.Column("band", sa.LargeBinary(), nullable=False),
        sa.Column("chunk_id", INT, nullable=False),
        sa.ForeignKeyConstraint(
            ["chunk_id"], ["chunks.id"], name=op.f("fk_shingle_bands_chunk_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("band", "chunk_id", name=op.f("pk_shingle_bands")),
    )
    op.create_index(op.f("ix_shingle_bands_chunk_id"), "shingle_bands", ["chunk_id"])


def downgrade() -> None:
    op.drop_table("shingle_bands")
    op.drop_table("duplicates")
    op.drop_table("next_embeddings")
    if op.get_bind().dialect.name == "sqlite":
        _replace_index(PLAIN, "old.label, old.text", "new.label, new.text")
        op.execute("DROP VIEW folded_chunks")
