"""In which collection a question was asked: the same words may mean another thing elsewhere."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# A label is about what was asked in those words, where that was in one collection.
OF_ESTIMATES = """UPDATE observations SET collection_id = (
    SELECT collection_id FROM estimates WHERE estimates.id = observations.estimate_id
) WHERE estimate_id IS NOT NULL"""
OF_RUNS = """UPDATE observations SET collection_id = (
    SELECT collection_id FROM runs WHERE runs.id = observations.run_id
) WHERE collection_id IS NULL AND run_id IS NOT NULL"""
OF_LABELS = """UPDATE observations SET collection_id = (
    SELECT CASE WHEN count(DISTINCT o.collection_id) = 1 THEN min(o.collection_id) END
    FROM observations o WHERE o.question = observations.question
) WHERE collection_id IS NULL AND kind = 'label'"""


def upgrade() -> None:
    op.add_column("observations", sa.Column("collection_id", INT, nullable=True))
    for statement in (OF_ESTIMATES, OF_RUNS, OF_LABELS):
        op.execute(statement)


def downgrade() -> None:
    op.drop_column("observations", "collection_id")
