"""Runs keep how sources were trusted, what was decided, and on which beliefs."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("runs", sa.Column("trust", sa.Text(), nullable=False, server_default="weighted"))
    op.add_column("runs", sa.Column("verdict_json", sa.Text(), nullable=True))
    op.add_column(
        "runs", sa.Column("reliability_version", INT, nullable=False, server_default="0")
    )


def downgrade() -> None:
    op.drop_column("runs", "reliability_version")
    op.drop_column("runs", "verdict_json")
    op.drop_column("runs", "trust")
