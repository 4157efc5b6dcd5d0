"""Saving what counts from a damaged database file.

Most of the file is what can be had again: headers, structures and previews, which the backend or the cache of bodies
tells anew. If all the rest can be read in full, it is copied into a new file with all that can be read of those, and
what could not is asked for again. If one row of the rest cannot be read, nothing is done: a UID map with a hole in it
would give UIDs a second meaning.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from gateway.store.errors import StoreError
from gateway.store.findings import Progress
from gateway.store.migrations import REVISIONS
from gateway.store.sqlite import translated
from gateway.store.tables import envelopes, header_values, headers, metadata, previews, structures, usual_headers
from gateway.store.upgrade import schema_revision, upgrade_sqlite

_TOLD_ANEW = (envelopes, structures, headers, usual_headers, header_values, previews)
_NAMES = frozenset(table.name for table in _TOLD_ANEW)
_SIDE_FILES = ("-wal", "-shm", "-journal")


def rebuild(path: Path, progress: Progress) -> tuple[Path, int]:
    """Put a sound database in the place of a damaged one; return where the old one is, and how many rows are lost.

    The old files are kept beside it, with `.damaged` behind their names. Nobody else may have the database open.

    Raises:
        StoreError: something that cannot be had again cannot be read, or the disk is full; nothing was changed.
    """
    new = path.with_name(path.name + ".rebuilt")
    _remove(new)
    try:
        lost = _copy_all(path, new, progress)
        _adopt_owner(path, new)
        kept = _keep_old(path)
        _sync(new)
        # The log of the damaged file must never be taken for that of the new one.
        _remove(path, is_with_file=False)
        os.replace(new, path)
    except OSError as exc:
        raise StoreError(f"cannot be rebuilt: {exc.strerror or exc}", source=str(path)) from exc
    finally:
        _remove(new)
    return kept, lost


def _copy_all(path: Path, new: Path, progress: Progress) -> int:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as old, translated(str(path)):
        if schema_revision(old, str(path)) != REVISIONS[-1]:
            raise StoreError("is damaged and of an older schema; restore it from a backup", source=str(path))
        upgrade_sqlite(str(new))
        with contextlib.closing(sqlite3.connect(new, isolation_level=None)) as target:
            target.execute("BEGIN")
            for table in metadata.sorted_tables:
                if table.name not in _NAMES:
                    _copy_whole(old, target, table.name, path)
            target.execute("DELETE FROM sqlite_sequence")
            _copy_whole(old, target, "sqlite_sequence", path)
            _check_complete(target, path)
            # Removals may have been lost with their page: who asks is told of all that is missing instead.
            target.execute("UPDATE mailboxes SET tombstone_floor = highestmodseq")
            lost = _copy_told_anew(old, target, progress)
            target.execute("COMMIT")
            target.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            (verdict,) = target.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise StoreError(f"cannot be rebuilt: {verdict}", source=str(path))
    return lost


def _copy_whole(old: sqlite3.Connection, target: sqlite3.Connection, table: str, path: Path) -> None:
    columns = [row[1] for row in old.execute(f"PRAGMA table_info({table})")]
    listed, marks = ", ".join(columns), ", ".join("?" * len(columns))
    try:
        # Read in full, by the table itself, so that what an index lacks is not missed.
        rows = old.execute(f"SELECT {listed} FROM {table} NOT INDEXED").fetchall()  # noqa: S608  our own names
    except sqlite3.DatabaseError as exc:
        text = f"is damaged where it counts: {table} cannot be read ({exc}); restore it from a backup"
        raise StoreError(text, source=str(path)) from exc
    target.executemany(f"INSERT INTO {table} ({listed}) VALUES ({marks})", rows)  # noqa: S608  our own names


def _check_complete(target: sqlite3.Connection, path: Path) -> None:
    """See that as many messages came out of the damaged table as its mailbox has counted."""
    short = target.execute(_MISCOUNTED).fetchall()
    if short:
        text = f"is damaged where it counts: rows of {len(short)} mailboxes are missing; restore it from a backup"
        raise StoreError(text, source=str(path))


_MISCOUNTED = (
    "SELECT id FROM mailboxes WHERE messages <> (SELECT count(*) FROM placements WHERE mailbox_id = mailboxes.id)"
)


def _copy_told_anew(old: sqlite3.Connection, target: sqlite3.Connection, progress: Progress) -> int:
    ids = [row[0] for row in target.execute("SELECT id FROM messages ORDER BY id")]
    lost: set[int] = set()
    for message_id in progress.follow("Copying messages", ids, len(ids)):
        for table in _TOLD_ANEW:
            try:
                row = old.execute(f"SELECT * FROM {table.name} WHERE message_id = ?", (message_id,)).fetchone()  # noqa: S608
            except sqlite3.DatabaseError:
                lost.add(message_id)
                continue
            if row is not None and row[0] == message_id:
                marks = ", ".join("?" * len(row))
                target.execute(f"INSERT INTO {table.name} VALUES ({marks})", row)  # noqa: S608  our own names
    # What is missing of a message is asked for again only if it does not count as read.
    lost |= {row[0] for row in target.execute(_READ_WITHOUT_ENVELOPE)}
    target.executemany("UPDATE messages SET hydration = 0 WHERE id = ?", [(key,) for key in lost])
    return len(lost)


_READ_WITHOUT_ENVELOPE = (
    "SELECT id FROM messages WHERE hydration > 0 AND NOT EXISTS "
    "(SELECT 1 FROM envelopes WHERE envelopes.message_id = messages.id)"
)


def _adopt_owner(path: Path, new: Path) -> None:
    status = path.stat()
    os.chmod(new, status.st_mode & 0o777)
    if os.geteuid() == 0:
        os.chown(new, status.st_uid, status.st_gid)


def _keep_old(path: Path) -> Path:
    kept = path.with_name(path.name + ".damaged")
    for suffix in ("", *_SIDE_FILES):
        source = path.with_name(path.name + suffix)
        if source.exists():
            shutil.copy2(source, kept.with_name(kept.name + suffix))
            os.chmod(kept.with_name(kept.name + suffix), 0o600)
    return kept


def _sync(path: Path) -> None:
    for name in (path, path.parent):
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove(path: Path, *, is_with_file: bool = True) -> None:
    suffixes: Iterable[str] = ("", *_SIDE_FILES) if is_with_file else _SIDE_FILES
    for suffix in suffixes:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
