"""How far the chances of answers can be taken at their word, learned with each version of beliefs."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "calibrations",
        sa.Column("version_id", INT, nullable=False),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("knots_json", sa.Text(), nullable=False),
        sa.Column("answers", INT, nullable=False),
        sa.Column("thumbs", INT, nullable=False),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["reliability_versions.id"],
            name=op.f("fk_calibrations_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("version_id", name=op.f("pk_calibrations")),
    )


def downgrade() -> None:
    op.drop_table("calibrations")
