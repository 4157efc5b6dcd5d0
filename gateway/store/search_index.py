"""The search index: texts of messages in a SQLite file of its own, a pure cache beside the database.

    writer ---- one thread, the one writing connection
    readers --- a connection per thread; SQLite works without the interpreter's lock, so the event loop goes on

A file of another version, or one that turns out to be damaged, is deleted and made anew. Nothing in it is needed: what
it lacks, or cannot tell because the disk fails, is found out in another way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from gateway.store import search_rows, search_schema
from gateway.store.search_rows import IndexEntry, Level, Part

log = logging.getLogger(__name__)

T = TypeVar("T")

Work = Callable[[sqlite3.Connection], T]

_READERS = 2
_BUSY_S = 30.0
_LEVELS_AT_ONCE = 1000
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_IS_HEADER = bytes(level >= Level.HEADER for level in range(256))
_IS_WHOLE = bytes(level >= Level.WHOLE for level in range(256))


class IndexUnavailable(Exception):
    """The index cannot tell now, or cannot take anything in; the text says why."""


class SearchIndex:
    """The file. `open` it, `close` it at the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = ThreadPoolExecutor(1, "search-writer")
        self._readers = ThreadPoolExecutor(_READERS, "search-reader")
        self._local = threading.local()
        self._lock = threading.Lock()
        self._connections: list[sqlite3.Connection] = []
        self._generation = 0
        self._is_closed = False
        self._levels = bytearray()

    @classmethod
    async def open(cls, path: Path) -> SearchIndex:
        """Open the file, made anew if it cannot be used.

        Raises:
            IndexUnavailable: its directory cannot be written, or this SQLite (before 3.34) has no index of trigrams.
        """
        index = cls(path)
        try:
            await asyncio.get_running_loop().run_in_executor(index._writer, index._prepare)
        except (sqlite3.Error, OSError) as error:
            await index.close()
            raise IndexUnavailable(f"{path}: {error}") from error
        return index

    async def close(self) -> None:
        """Finish what is being written and let go of the file. May be called twice."""
        if not self._is_closed:
            self._is_closed = True
            await asyncio.to_thread(self._shut_down)

    async def keep_accounts(self, tags: dict[int, str], last_message_id: int) -> None:
        """Drop what is not of these accounts, given with their tags, and messages above the highest id there is.

        Call it before anything else is done with the database: one that was restored from a backup gives ids anew.
        """
        await self.write(lambda connection: self._keep(connection, tags, last_message_id))

    def account(self, account_id: int, tag: str) -> AccountIndex:
        """Return the part of an account; `tag` tells it from one that had its number in another database."""
        return AccountIndex(self, account_id, tag)

    @property
    def generation(self) -> int:
        """Counts how often the file was made anew: what was known of it before is void."""
        return self._generation

    # -- work ---------------------------------------------------------------------------------------------------------

    async def read(self, work: Work[T]) -> T:
        """Run some work on a reading connection.

        Raises:
            IndexUnavailable: see there.
        """
        return await self._run(self._readers, work)

    async def write(self, work: Work[T]) -> T:
        """Run some work in a transaction; if it raises, nothing of it is kept.

        Raises:
            IndexUnavailable: see there.
        """
        return await self._run(self._writer, lambda connection: _in_transaction(connection, work))

    async def _run(self, threads: ThreadPoolExecutor, work: Work[T]) -> T:
        if self._is_closed:
            raise IndexUnavailable("it is closed")
        generation = self._generation
        try:
            return await asyncio.get_running_loop().run_in_executor(threads, self._on_connection, work)
        except (sqlite3.Error, OSError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                log.warning("the search index %s is damaged and is made anew: %s", self._path, error)
                await self._start_anew(generation)
            raise IndexUnavailable(f"{self._path}: {error}") from error

    async def start_anew(self) -> None:
        """Make the file anew, with nothing in it."""
        await self._start_anew(self._generation)

    async def _start_anew(self, generation: int) -> None:
        def work() -> None:
            if self._generation == generation:
                self._generation += 1
                self._delete()
                self._prepare()

        with contextlib.suppress(sqlite3.Error, OSError):
            await asyncio.get_running_loop().run_in_executor(self._writer, work)

    def _on_connection(self, work: Work[T]) -> T:
        return work(self._connection())

    def _connection(self) -> sqlite3.Connection:
        """Return this thread's connection to the file as it is now."""
        known: tuple[int, sqlite3.Connection] | None = getattr(self._local, "connection", None)
        if known is not None and known[0] == self._generation:
            return known[1]
        if known is not None:
            known[1].close()
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        # What a crash of the machine takes away is indexed again; the file stays sound all the same.
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        with self._lock:
            self._connections.append(connection)
        self._local.connection = (self._generation, connection)
        return connection

    # -- the file -----------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Open the file in the writer's thread, made anew if it is of another version or no database."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            is_usable = self._path.exists() and self._version() == search_schema.VERSION
        except sqlite3.DatabaseError as error:
            log.warning("the search index %s cannot be read and is made anew: %s", self._path, error)
            is_usable = False
        if not is_usable:
            self._generation += 1
            self._delete()
            # It holds the texts of mail: nobody else may read it from its first moment on.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        search_schema.create_file(self._connection())
        self._levels[:] = bytes(len(self._levels))

    def _version(self) -> int:
        (version,) = self._connection().execute("PRAGMA user_version").fetchone()
        search_schema.account_tags(self._connection())
        return int(version)

    def _delete(self) -> None:
        # Other threads may be reading the file that was; they close it when they are asked for something next.
        known: tuple[int, sqlite3.Connection] | None = getattr(self._local, "connection", None)
        if known is not None:
            self._local.connection = None
            known[1].close()
        delete_index(self._path)

    def _shut_down(self) -> None:
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            with contextlib.suppress(sqlite3.Error):
                connection.close()
        self._connections.clear()

    def _keep(self, connection: sqlite3.Connection, tags: dict[int, str], last_message_id: int) -> None:
        for account_id, tag in search_schema.account_tags(connection).items():
            if tags.get(account_id) == tag:
                search_rows.remove_above(connection, account_id, last_message_id)
            else:
                search_schema.drop_account(connection, account_id)

    # -- what is in it ------------------------------------------------------------------------------------------------

    def levels_of(self, message_ids: Sequence[int]) -> bytes:
        """Return the level of each message, an octet for each."""
        try:
            return bytes(map(self._levels.__getitem__, message_ids))
        except IndexError:
            self._levels.extend(bytes(max(message_ids) + 1 - len(self._levels)))
            return bytes(map(self._levels.__getitem__, message_ids))

    def set_levels(self, levels: Iterable[tuple[int, int]]) -> None:
        for message_id, level in levels:
            if message_id >= len(self._levels):
                self._levels.extend(bytes(message_id + 1024 - len(self._levels)))
            self._levels[message_id] = level


class AccountIndex:
    """The messages of one account in the index. `load` it before anything else; that may be done more than once."""

    def __init__(self, index: SearchIndex, account_id: int, tag: str) -> None:
        self._index = index
        self._account_id = account_id
        self._tag = tag
        self._count = 0
        self._loaded: int | None = None
        self._loading = asyncio.Lock()

    async def load(self) -> None:
        """Learn what is in the index.

        Raises:
            IndexUnavailable: see there.
        """
        async with self._loading:
            generation = self._index.generation
            if self._loaded == generation:
                return
            await self._index.write(
                lambda connection: search_schema.create_account(connection, self._account_id, self._tag)
            )
            self._count, last = 0, 0
            while page := await self._index.read(self._levels_after(last)):
                self._index.set_levels(page)
                self._count += len(page)
                last = page[-1][0]
            self._loaded = generation

    def _levels_after(self, last: int) -> Work[list[tuple[int, int]]]:
        return lambda connection: search_rows.levels(connection, self._account_id, last, _LEVELS_AT_ONCE)

    @property
    def generation(self) -> int:
        """Changes when the file was made anew, and nothing is in it any more."""
        return self._index.generation

    def levels_of(self, message_ids: Sequence[int]) -> bytes:
        """Return the `Level` of each message, an octet for each."""
        return self._index.levels_of(message_ids)

    def with_header(self, message_ids: Sequence[int]) -> bytes:
        """Return, an octet for each, 1 for the messages whose header is in the index and 0 for the others."""
        return self._index.levels_of(message_ids).translate(_IS_HEADER)

    def with_body(self, message_ids: Sequence[int]) -> bytes:
        """Return, an octet for each, 1 for the messages that are in the index as a whole and 0 for the others."""
        return self._index.levels_of(message_ids).translate(_IS_WHOLE)

    # -- changing -----------------------------------------------------------------------------------------------------

    async def add(self, entries: Sequence[IndexEntry]) -> None:
        """Put messages in; what is known already of one is never made less.

        Raises:
            IndexUnavailable: see there.
        """
        added = await self._index.write(lambda connection: search_rows.add(connection, self._account_id, entries))
        self._count += sum(not level for level in self._index.levels_of(list(added)))
        self._index.set_levels(added.items())

    async def remove(self, message_ids: Collection[int]) -> None:
        """Take messages out that are gone for good.

        Raises:
            IndexUnavailable: see there.
        """
        there = [key for key, level in zip(message_ids, self._index.levels_of(list(message_ids)), strict=True) if level]
        if there:
            await self._index.write(lambda connection: search_rows.remove(connection, self._account_id, there))
            self._count -= len(there)
            self._index.set_levels((key, Level.NOTHING) for key in there)

    async def ids_after(self, message_id: int) -> list[int]:
        """Return the lowest ids above one of messages that are in the index, a page of them.

        Raises:
            IndexUnavailable: see there.
        """
        return [key for key, _ in await self._index.read(self._levels_after(message_id))]

    # -- asking -------------------------------------------------------------------------------------------------------

    async def with_field(self, field: str, needle: str, among: Collection[int]) -> set[int]:
        """Return messages with the needle in a field of `FIELDS`; with any such field, if the needle is empty.

        All that are in `among` and match are there; others may be, too, here and below.

        Raises:
            IndexUnavailable: see there.
        """
        n, chosen = self._account_id, self._narrowed(among)
        return await self._index.read(lambda connection: search_rows.with_field(connection, n, field, needle, chosen))

    async def with_text(self, part: Part, needles: Sequence[str], among: Collection[int]) -> set[int]:
        """Return messages with all of the needles in their header or in their body."""
        n, chosen = self._account_id, self._narrowed(among)
        return await self._index.read(lambda connection: search_rows.with_text(connection, n, part, needles, chosen))

    async def sent(self, first_day: int | None, last_day: int | None, among: Collection[int]) -> set[int]:
        """Return messages whose Date field names a day of these, in days since 1970; None is no limit."""
        n, chosen = self._account_id, self._narrowed(among)
        return await self._index.read(lambda connection: search_rows.sent(connection, n, first_day, last_day, chosen))

    def _narrowed(self, among: Collection[int]) -> Collection[int] | None:
        # To name most of them would cost more than it spares.
        return among if len(among) * 4 < self._count else None


def delete_index(path: Path) -> None:
    """Remove the file of an index, if there is one.

    Raises:
        OSError: it cannot be removed.
    """
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _in_transaction(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
        raise
    return result
