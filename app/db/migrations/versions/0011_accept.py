"""From which chance on answers are given, learned with the map of chances."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("calibrations", sa.Column("accept", sa.Double(), nullable=True))


def downgrade() -> None:
    op.drop_column("calibrations", "accept")
