"""Alembic's entry point: runs migrations on the connection it is handed, inside its transaction."""

from alembic import context

from app.db import reliability_models  # noqa: F401  its tables are part of the metadata
from app.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,
    render_as_batch=True,
)

with context.begin_transaction():
    context.run_migrations()
