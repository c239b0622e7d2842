"""What each KV entry was computed behind, so that a purge finds entries that saw a deleted text."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Entries of before are of another schema: never found again, and evicted when room is needed.
    column = sa.Column("preceding", sa.Text(), nullable=False, server_default="")
    op.add_column("kv_entries", column)


def downgrade() -> None:
    op.drop_column("kv_entries", "preceding")
