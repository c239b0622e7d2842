"""What the production watch saw, and what it switched off."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "watched_requests",
        sa.Column("id", INT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("collection_id", INT, nullable=True),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("first_token_ms", sa.Double(), nullable=False),
        sa.Column("full_ms", sa.Double(), nullable=True),
        sa.Column("kl", sa.Double(), nullable=True),
        sa.Column("top1_agreement", sa.Double(), nullable=True),
        sa.Column("num_tokens", INT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_watched_requests")),
        sqlite_autoincrement=True,
    )
    op.create_index(
        op.f("ix_watched_requests_identity_created_at"),
        "watched_requests",
        ["identity", "created_at"],
    )
    op.create_table(
        "reuse_suspensions",
        sa.Column("id", INT, nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("collection_id", INT, nullable=True),
        sa.Column("since", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("lifted_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reuse_suspensions")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_reuse_suspensions_identity"), "reuse_suspensions", ["identity"])


def downgrade() -> None:
    op.drop_table("reuse_suspensions")
    op.drop_table("watched_requests")
