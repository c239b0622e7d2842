"""What filters ask for: a document's tags, its date and its access class; words on PostgreSQL."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# Filled in the transaction that stores the chunks: folding is the program's, not the server's.
WORDS = [
    """
    CREATE TABLE chunk_words (
        chunk_id bigint PRIMARY KEY REFERENCES chunks(id) ON DELETE CASCADE,
        words tsvector NOT NULL
    )
    """,
    "CREATE INDEX ix_chunk_words_words ON chunk_words USING gin (words)",
]


def upgrade() -> None:
    op.add_column("documents", sa.Column("date", sa.Date(), nullable=True))
    # Documents of before are read by everybody, as they were.
    acl_class = sa.Column("acl_class", sa.Text(), nullable=False, server_default="public")
    op.add_column("documents", acl_class)
    op.create_table(
        "document_tags",
        sa.Column("document_id", INT, nullable=False),
        sa.Column("tag", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["document_id"],
            ["documents.id"],
            name=op.f("fk_document_tags_document_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("document_id", "tag", name=op.f("pk_document_tags")),
    )
    op.create_index(op.f("ix_document_tags_tag"), "document_tags", ["tag"])
    if op.get_bind().dialect.name == "postgresql":
        for statement in WORDS:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_table("chunk_words")
    op.drop_table("document_tags")
    op.drop_column("documents", "acl_class")
    op.drop_column("documents", "date")
