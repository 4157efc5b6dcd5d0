"""The schema of a new database, made at once.

Alembic would go through every upgrade there has been, and takes a third of a second to be imported alone.
"""

from __future__ import annotations

import sqlite3
from functools import cache

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.migrations import REVISIONS
from gateway.store.tables import metadata

# As Alembic makes it, which does every later upgrade.
_VERSION = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)


@cache
def _statements() -> tuple[str, ...]:
    dialect = sqlite.dialect()
    made: list[str] = []
    for table in metadata.sorted_tables:
        made.append(str(CreateTable(table).compile(dialect=dialect)))
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        made += [str(CreateIndex(index).compile(dialect=dialect)) for index in indexes]
    return tuple(made)


def create_schema(connection: sqlite3.Connection) -> None:
    """Make the tables and indexes of the present schema, within the transaction that the caller has begun.

    Raises:
        sqlite3.Error: it cannot be written.
    """
    for statement in _statements():
        connection.execute(statement)
    connection.execute(_VERSION)
    connection.execute("INSERT INTO alembic_version VALUES (?)", [REVISIONS[-1]])
