"""Whose each KV entry is, so that a tenant's bytes can be counted and its entries purged."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Empty on entries of before: the store reads it from their files at the next start.
    column = sa.Column("namespace", sa.Text(), nullable=False, server_default="")
    op.add_column("kv_entries", column)


def downgrade() -> None:
    op.drop_column("kv_entries", "namespace")
