"""Observations about sources, the beliefs folded from them, and the probes that make them."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

INT = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

TABLES = [
    "probes",
    "estimates",
    "source_posteriors",
    "reliability_versions",
    "observations",
    "source_events",
    "source_aliases",
]
COLUMNS = ["prior_alpha", "prior_beta", "class_name", "state", "merged_into"]


def upgrade() -> None:
    op.add_column("sources", sa.Column("prior_alpha", sa.Double(), nullable=False, server_default="2"))
    op.add_column("sources", sa.Column("prior_beta", sa.Double(), nullable=False, server_default="2"))
    op.add_column("sources", sa.Column("class_name", sa.Text(), nullable=True))
    op.add_column("sources", sa.Column("state", sa.Text(), nullable=False, server_default="active"))
    op.add_column("sources", sa.Column("merged_into", INT, nullable=True))
    # What was believed so far is what people stated: nothing had been observed.
    op.execute("UPDATE sources SET prior_alpha = alpha, prior_beta = beta")

    op.create_table(
        "source_aliases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source_id", INT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_source_aliases_source_id")
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_source_aliases")),
    )
    op.create_index(op.f("ix_source_aliases_source_id"), "source_aliases", ["source_id"])

    op.create_table(
        "source_events",
        sa.Column("id", INT, nullable=False),
        sa.Column("source_id", INT, nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_source_events_source_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_events")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_source_events_source_id"), "source_events", ["source_id"])

    op.create_table(
        "observations",
        sa.Column("id", INT, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("source_id", INT, nullable=True),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=True),
        sa.Column("verdict", sa.Double(), nullable=True),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("family", INT, nullable=True),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("document_id", INT, nullable=True),
        sa.Column("question_document_id", INT, nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("estimate_id", INT, nullable=True),
        sa.Column("observed_at", sa.Double(), nullable=False),
        sa.Column("undone_by", INT, nullable=True),
        sa.ForeignKeyConstraint(
            ["source_id"], ["sources.id"], name=op.f("fk_observations_source_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_observations")),
        sqlite_autoincrement=True,
    )
    for column in ("source_id", "document_id", "question_document_id", "run_id", "observed_at"):
        op.create_index(op.f(f"ix_observations_{column}"), "observations", [column])

    op.create_table(
        "reliability_versions",
        sa.Column("id", INT, nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("estimator", sa.Text(), nullable=False),
        sa.Column("settings_json", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("last_observation_id", INT, nullable=False),
        sa.Column("observations", INT, nullable=False),
        sa.Column("rounds", INT, nullable=False),
        sa.Column("default_weight", sa.Double(), nullable=False),
        sa.Column("wrong_options", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reliability_versions")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "source_posteriors",
        sa.Column("id", INT, nullable=False),
        sa.Column("version_id", INT, nullable=False),
        sa.Column("source_id", INT, nullable=False),
        sa.Column("topic", sa.Text(), nullable=True),
        sa.Column("alpha", sa.Double(), nullable=False),
        sa.Column("beta", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("silence", sa.Double(), nullable=False),
        sa.Column("observed", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["version_id"],
            ["reliability_versions.id"],
            name=op.f("fk_source_posteriors_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_source_posteriors")),
    )
    op.create_index(op.f("ix_source_posteriors_version_id"), "source_posteriors", ["version_id"])

    op.create_table(
        "estimates",
        sa.Column("id", INT, nullable=False),
        sa.Column("collection_id", INT, nullable=False),
        sa.Column("estimator", sa.Text(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("version_id", INT, nullable=True),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.Column("finished_at", sa.Double(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_estimates")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_estimates_state"), "estimates", ["state"])

    op.create_table(
        "probes",
        sa.Column("id", INT, nullable=False),
        sa.Column("estimate_id", INT, nullable=False),
        sa.Column("question", sa.Text(), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("known_answer", sa.Text(), nullable=True),
        sa.Column("document_id", INT, nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", INT, nullable=False),
        sa.Column("leased_at", sa.Double(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["estimate_id"],
            ["estimates.id"],
            name=op.f("fk_probes_estimate_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_probes")),
        sa.UniqueConstraint(
            "estimate_id", "question", name=op.f("uq_probes_estimate_id_question")
        ),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_probes_document_id"), "probes", ["document_id"])


def downgrade() -> None:
    for table in TABLES:
        op.drop_table(table)
    for column in COLUMNS:
        op.drop_column("sources", column)
