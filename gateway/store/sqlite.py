"""The store on SQLite: stdlib `sqlite3` with a write-ahead log.

    event loop --- its own connection ------------ point reads, called directly (microseconds)
    readers ------ a connection per thread ------- bulk reads
    writer ------- the one writing connection ---- one transaction after another, each on disk when it returns

Readers never wait for the writer and see the last commit. A second process (the command line) may write too; it waits
for its turn for at most `_BUSY_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
from collections.abc import Awaitable, Collection, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlalchemy import Executable

from gateway.clock import Clock
from gateway.store import upgrade
from gateway.store.errors import Conflict, StoreError
from gateway.store.statements import Row, StatementCache, upsert
from gateway.store.tables import meta
from gateway.store.transaction import Body, Transaction

T = TypeVar("T")

_READERS = 2
_RESERVE_OCTETS = 4 << 20
"""What must be left on the disk for a write to be begun: so much a large command adds to the log at most."""
_BUSY_S = 30.0
_LOOP_BUSY_S = 1.0  # a point read holds the event loop; with a write-ahead log it practically never waits


class SqliteEngine:
    """A SQLite file with its connections and threads."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._statements = StatementCache.for_sqlite()
        self._writer = ThreadPoolExecutor(1, "store-writer")
        self._readers = ThreadPoolExecutor(_READERS, "store-reader")
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._loop_connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._has_failed = False
        self._tree_versions: dict[int, int] = {}

    async def open(self) -> None:
        """Create or upgrade the file and connect.

        Raises:
            StoreError: see `Store.open`.
        """
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._writer, self._prepare)
            self._loop_connection = self._connect(_LOOP_BUSY_S, is_writer=False)
        except BaseException:
            await self.close()
            raise

    def _prepare(self) -> None:
        path = Path(self._path)
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # The file holds sealed credentials and mail headers: nobody else may read it from its first moment on.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as exc:
            raise StoreError(f"cannot be opened for writing: {exc.strerror or exc}", source=self._path) from exc
        with translated(self._path):
            upgrade.upgrade_sqlite(self._path)
            self._local.connection = self._connect(_BUSY_S, is_writer=True)

    def _connect(self, busy_s: float, *, is_writer: bool) -> sqlite3.Connection:
        with translated(self._path):
            connection = sqlite3.connect(
                self._path,
                timeout=busy_s,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=512,
            )
            self._connections.append(connection)
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA temp_store = MEMORY")
            connection.execute("PRAGMA cache_size = -16000")
            connection.execute("PRAGMA journal_size_limit = 67108864")
            if not is_writer:
                connection.execute("PRAGMA query_only = ON")
        return connection

    async def close(self) -> None:
        """Carry out the queued writes, then close every connection; the last one folds the log into the file."""
        if self._is_closed:
            return
        self._is_closed = True
        await asyncio.to_thread(self._shut_down)

    def _shut_down(self) -> None:
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            # A failure here loses nothing: the log is replayed at the next start.
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._connections.clear()

    async def read(self, body: Body[T]) -> T:
        self._check_open()
        assert self._loop_connection is not None
        return self._run(self._loop_connection, "BEGIN", body)

    async def read_bulk(self, body: Body[T]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._run_in_reader, body)

    async def write(self, body: Body[T]) -> T:
        self._check_open()
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._run_in_writer, body)

    async def check_writable(self) -> None:
        self._check_open()
        if _free_octets(self._path) < _RESERVE_OCTETS:
            raise StoreError("cannot be written: the disk is full, or all but full", source=self._path)
        if self._has_failed:
            await asyncio.get_running_loop().run_in_executor(self._writer, self._run_in_writer, _try_write)

    def tree_version(self, account_id: int) -> int:
        return self._tree_versions.get(account_id, 0)

    def _raise_tree_versions(self, account_ids: Collection[int]) -> None:
        for account_id in account_ids:  # none but in the writer's thread
            self._tree_versions[account_id] = self._tree_versions.get(account_id, 0) + 1

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError("has been closed", source=self._path)

    def _run_in_reader(self, body: Body[T]) -> T:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(_BUSY_S, is_writer=False)
        return self._run(connection, "BEGIN", body)

    def _run_in_writer(self, body: Body[T]) -> T:
        connection: sqlite3.Connection = self._local.connection
        try:
            result = self._run(connection, "BEGIN IMMEDIATE", body)
        except StoreError as exc:
            # What broke a rule of the rows, or was refused before it came to that, says nothing about the disk.
            self._has_failed = self._has_failed or type(exc) is StoreError
            raise
        self._has_failed = False
        return result

    def _run(self, connection: sqlite3.Connection, begin: str, body: Body[T]) -> T:
        tx = SqliteTransaction(connection, self._statements, self._path, self._clock)
        try:
            connection.execute(begin)
            result = drive(body(tx))
            # Before the commit, so that nobody takes what he kept for what is there now; and after it, however it ends,
            # so that nobody keeps what he has read meanwhile.
            self._raise_tree_versions(tx.noted_trees)
            try:
                connection.execute("COMMIT")
            finally:
                self._raise_tree_versions(tx.noted_trees)
        except BaseException as exc:
            # SQLite has rolled back by itself after some errors (a full disk among them).
            if connection.in_transaction:
                with contextlib.suppress(sqlite3.Error):
                    connection.execute("ROLLBACK")
            if isinstance(exc, sqlite3.Error):
                raise translate(exc, self._path) from exc
            raise
        return result


_TRY = upsert(meta, ["key"], value=lambda _: meta.c.value + 1)


async def _try_write(tx: Transaction) -> None:
    await tx.execute(_TRY, key="written after a failure", value=1)


def _free_octets(path: str) -> int:
    """Return what is free on the disk for this process; where nothing can tell it, what is always enough."""
    try:
        status = os.statvfs(path)
    except OSError:
        return _RESERVE_OCTETS
    free = status.f_bfree if os.geteuid() == 0 else status.f_bavail
    return free * status.f_frsize if status.f_blocks else _RESERVE_OCTETS


class SqliteTransaction(Transaction):
    """A transaction on one connection, in the thread that drives its body."""

    __slots__ = ("_clock", "_connection", "_now", "_path", "_statements", "noted_trees")

    def __init__(self, connection: sqlite3.Connection, statements: StatementCache, path: str, clock: Clock) -> None:
        self._connection = connection
        self._statements = statements
        self._path = path
        self._clock = clock
        self._now: int | None = None
        self.noted_trees: Collection[int] = ()

    def now(self) -> int:
        if self._now is None:
            self._now = int(self._clock.now().timestamp())
        return self._now

    def note_tree(self, account_id: int) -> None:
        self.noted_trees = {*self.noted_trees, account_id}

    def _execute(self, statement: Executable, parameters: Mapping[str, Any]) -> sqlite3.Cursor:
        compiled = self._statements.get(statement)
        return self._connection.execute(compiled.sql, compiled.layout(parameters))

    async def rows(self, statement: Executable, /, **parameters: Any) -> list[Row]:
        try:
            return self._execute(statement, parameters).fetchall()
        except sqlite3.Error as exc:
            raise translate(exc, self._path) from exc

    async def row(self, statement: Executable, /, **parameters: Any) -> Row | None:
        try:
            # All rows are taken, so that no statement is left half-read to stand in the way of COMMIT.
            found = self._execute(statement, parameters).fetchall()
        except sqlite3.Error as exc:
            raise translate(exc, self._path) from exc
        return found[0] if found else None

    async def scalar(self, statement: Executable, /, **parameters: Any) -> Any:
        found = await self.row(statement, **parameters)
        return found[0] if found else None

    async def execute(self, statement: Executable, /, **parameters: Any) -> int:
        try:
            return self._execute(statement, parameters).rowcount
        except sqlite3.Error as exc:
            raise translate(exc, self._path) from exc

    async def execute_many(self, statement: Executable, parameters: Sequence[Mapping[str, Any]], /) -> None:
        compiled = self._statements.get(statement)
        try:
            self._connection.executemany(compiled.sql, map(compiled.layout, parameters))
        except sqlite3.Error as exc:
            raise translate(exc, self._path) from exc


def drive(body: Awaitable[T]) -> T:
    """Run a body to its end without an event loop.

    Raises:
        RuntimeError: it awaits something other than its transaction, which would hold the transaction open.
    """
    coroutine = cast(Coroutine[Any, Any, T], body)
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return cast(T, stop.value)
    coroutine.close()
    raise RuntimeError("the body of a transaction waits for something other than its transaction")


@contextlib.contextmanager
def translated(path: str) -> Iterator[None]:
    """Turn the driver's errors into ours."""
    try:
        yield
    except sqlite3.Error as exc:
        raise translate(exc, path) from exc


_REASONS = {
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_READONLY: "cannot be written: the file, its directory or the file system is read-only",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened: check that its directory exists and may be written to",
    sqlite3.SQLITE_PERM: "cannot be opened: permission denied",
    sqlite3.SQLITE_NOTADB: "is damaged or is no SQLite database; restore it from a backup",
    sqlite3.SQLITE_CORRUPT: "is damaged; `imap-gateway store check` tells what can be saved",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_BUSY: "is held by another process for too long",
    sqlite3.SQLITE_LOCKED: "is held by another process for too long",
}


def translate(error: sqlite3.Error, path: str) -> StoreError:
    """Return our error for one of the driver's; SQLite's own words are kept for the operator."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if isinstance(error, sqlite3.IntegrityError) or code == sqlite3.SQLITE_CONSTRAINT:
        return Conflict(f"refused the change ({error})", source=path)
    return StoreError(f"{_REASONS.get(code, 'failed')} ({error})", source=path)
