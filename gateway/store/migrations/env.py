"""Alembic's entry: upgrade over the connection that `gateway.store.upgrade` made."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from gateway.store.tables import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    # SQLite cannot alter a table in place; Alembic copies it instead.
    render_as_batch=connection.dialect.name == "sqlite",
)
# The caller's transaction holds all steps together: the schema ends up in one known version or unchanged.
context.run_migrations()
