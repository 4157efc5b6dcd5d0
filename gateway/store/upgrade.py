"""Bring the schema of a database to the version this program works with."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from importlib.resources import files

from gateway.store.creation import create_schema
from gateway.store.errors import StoreError
from gateway.store.migrations import REVISIONS

_BUSY_S = 60.0
_RETRY_S = 0.01


def upgrade_sqlite(path: str) -> None:
    """Create or upgrade the schema in the file, in one transaction.

    Raises:
        StoreError: the file was written by a newer version, or holds something else.
        sqlite3.Error: it cannot be read or written.
    """
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)) as connection:
        _use_log(connection, path)
        revision = schema_revision(connection, path) or _create(connection, path)
    if revision != REVISIONS[-1]:
        _run_alembic(path)


def _create(connection: sqlite3.Connection, path: str) -> str | None:
    """Make the schema, unless another process has done so meanwhile; return the revision."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if schema_revision(connection, path) is None:
            create_schema(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return schema_revision(connection, path)


def _use_log(connection: sqlite3.Connection, path: str) -> None:
    """Switch the file to a write-ahead log, which it then keeps.

    SQLite does not wait its turn for this change as it does for every other: two processes that open a new file at the
    same moment get in each other's way for a moment.
    """
    deadline = time.monotonic() + _BUSY_S
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_RETRY_S)
            continue
        if mode != "wal":
            raise StoreError("cannot have a write-ahead log there; network file systems do not do", source=path)
        return


def schema_revision(connection: sqlite3.Connection, path: str) -> str | None:
    """Return the schema's revision; None for an empty database.

    Raises:
        StoreError: see `upgrade_sqlite`.
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    row = None
    if "alembic_version" in tables:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    if row is None:
        if tables - {"alembic_version", "sqlite_sequence"}:
            raise StoreError("is a database of another program", source=path)
        return None
    revision = str(row[0])
    if revision not in REVISIONS:
        raise StoreError(
            f"has schema {revision}, written by a newer version of this program; "
            f"this version knows schemas up to {REVISIONS[-1]}. Install the newer version again, or restore a backup",
            source=path,
        )
    return revision


def _run_alembic(path: str) -> None:
    # Imported here because it takes a third of a second, and only an old schema needs it.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import create_engine, event, exc  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)

    config = Config()
    config.set_main_option("script_location", str(files("gateway.store.migrations")).replace("%", "%%"))
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    # The driver would begin a transaction only before the first INSERT; schema changes have to be inside it too.
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with engine.connect() as connection, connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            broken = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
            if broken:
                raise StoreError(f"breaks references after the upgrade: {broken[:5]}; nothing was changed", source=path)
    except exc.DBAPIError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise error.orig from error
        raise
    finally:
        engine.dispose()
