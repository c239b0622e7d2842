"""On PostgreSQL: how often passages were added or removed, so that who keeps a copy in memory knows
whether a transaction sees the same."""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

# Once a transaction: a document's passages come and go by several statements.
CHANGES = [
    """
    CREATE TABLE passage_changes (
        id smallint PRIMARY KEY CHECK (id = 1),
        number bigint NOT NULL,
        changed_by xid8 NOT NULL
    )
    """,
    """
    CREATE FUNCTION count_passage_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO passage_changes AS held VALUES (1, 1, pg_current_xact_id())
        ON CONFLICT (id) DO UPDATE SET number = held.number + 1, changed_by = excluded.changed_by
        WHERE held.changed_by <> excluded.changed_by;
        RETURN NULL;
    END $$
    """,
    """
    CREATE TRIGGER passages_changed AFTER INSERT OR DELETE ON chunks
    FOR EACH STATEMENT EXECUTE FUNCTION count_passage_change()
    """,
]


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for statement in CHANGES:
            op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER passages_changed ON chunks")
        op.execute("DROP FUNCTION count_passage_change")
        op.drop_table("passage_changes")
