"""A SQLite store that nobody serves from, opened to be checked and repaired. Everything here blocks."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import TypeVar
from urllib.parse import quote

from gateway.clock import Clock, SystemClock
from gateway.store.errors import StoreError
from gateway.store.migrations import REVISIONS
from gateway.store.sqlite import SqliteTransaction, drive, translate, translated
from gateway.store.statements import StatementCache
from gateway.store.transaction import Body
from gateway.store.upgrade import schema_revision, upgrade_sqlite

T = TypeVar("T")

COMPLAINTS = 100
"""How many complaints SQLite is asked for."""

_ABOUT_INDEX = re.compile(r"(row \d+ missing from index|wrong # of entries in index|non-unique entry in index) ")


class OfflineStore:
    """The database at `path`; a context manager. Without `is_writable` nothing of it is changed."""

    def __init__(self, path: Path, *, is_writable: bool, clock: Clock | None = None) -> None:
        """Open the file.

        Raises:
            StoreError: there is none, or it cannot be opened.
        """
        try:
            is_there = path.is_file()
        except OSError as exc:
            raise StoreError(f"cannot be opened: {exc.strerror or exc}", source=str(path)) from exc
        if not is_there:
            raise StoreError(
                "there is no database; nothing was ever stored, or store.url names another file", source=str(path)
            )
        self.path = path
        self._begin = "BEGIN IMMEDIATE" if is_writable else "BEGIN"
        self._clock = clock or SystemClock()
        self._statements = StatementCache.for_sqlite()
        mode = "rw" if is_writable else "ro"
        with translated(str(path)):
            self._connection = sqlite3.connect(
                f"file:{quote(str(path.absolute()))}?mode={mode}", uri=True, isolation_level=None
            )
            self._connection.execute("PRAGMA temp_store = MEMORY")

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    def __enter__(self) -> OfflineStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def run(self, body: Body[T]) -> T:
        """Run a body in one transaction, which is committed at its end.

        Raises:
            StoreError: the database cannot be read or written.
        """
        with translated(str(self.path)):
            self._connection.execute(self._begin)
        try:
            result = drive(body(SqliteTransaction(self._connection, self._statements, str(self.path), self._clock)))
            with translated(str(self.path)):
                self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
            raise
        return result

    def is_current(self) -> bool:
        """Tell whether the schema is the one that this version works with; an older one has to be upgraded first.

        Raises:
            StoreError: it is newer, of another program, or cannot be read.
        """
        with translated(str(self.path)):
            return schema_revision(self._connection, str(self.path)) == REVISIONS[-1]

    def upgrade(self) -> None:
        """Upgrade the schema.

        Raises:
            StoreError: it cannot be; nothing was changed.
        """
        with translated(str(self.path)):
            upgrade_sqlite(str(self.path))

    def complaints(self) -> list[str]:
        """Return what SQLite finds wrong with the file, a line each; empty if nothing. Reads all of it."""
        try:
            rows = self._connection.execute(f"PRAGMA integrity_check({COMPLAINTS})").fetchall()
        except sqlite3.DatabaseError as exc:
            return [translate(exc, str(self.path)).operator_text.removeprefix(f"{self.path}: ")]
        lines = [line for (text,) in rows for line in str(text).splitlines() if not line.startswith("***")]
        return [] if lines == ["ok"] else lines

    def dangling(self) -> Counter[tuple[str, str]]:
        """Return how many rows refer to one that does not exist, by their table and the other."""
        with translated(str(self.path)):
            rows = self._connection.execute("PRAGMA foreign_key_check").fetchall()
        return Counter((table, owner) for table, _, owner, _ in rows)

    def reindex(self) -> None:
        """Make every index anew from its table.

        Raises:
            StoreError: a table cannot be read, or holds what must be there once twice.
        """
        with translated(str(self.path)):
            self._connection.execute("REINDEX")


def is_about_indexes(complaints: list[str]) -> bool:
    """Tell whether all that SQLite complains of is indexes, which can be made anew without losing anything."""
    return all(_ABOUT_INDEX.match(complaint) for complaint in complaints)
