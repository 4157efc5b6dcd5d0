"""Comparing the files of message bodies with what the rows say of them. Everything here blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlalchemy import select

from gateway.store.body_cache import BodyCache
from gateway.store.body_file import BodyKey
from gateway.store.body_folder import BodyFolder
from gateway.store.contents import kept_in_use
from gateway.store.findings import Finding, Progress
from gateway.store.kept_bodies import KeptBodies
from gateway.store.tables import accounts, messages
from gateway.store.transaction import Transaction

NAMED_FILES = 10
"""So many files of the cache are named at most; a changed key makes all of them unusable."""

_KEPT = select(
    messages.c.account_id, messages.c.kept_id, messages.c.id, messages.c.size, messages.c.content_hash
).where(messages.c.kept_id.is_not(None))
_MESSAGES = select(messages.c.account_id, messages.c.id)
_ACCOUNTS = select(accounts.c.id)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """What a message says of its kept octets; None for what it does not say."""

    message_id: int
    size: int | None
    content_hash: bytes | None


@dataclass(frozen=True, slots=True)
class Expected:
    """What files there may be: the rows of each kept one, those kept for a reason, and the messages there are."""

    kept: Mapping[BodyKey, tuple[KeptRow, ...]]
    in_use: frozenset[BodyKey]
    messages: frozenset[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Examined:
    """What came of reading a folder: how many files were read, what cannot be used, what no message has any more."""

    files: int
    damaged: tuple[BodyKey, ...] = ()
    unused: tuple[BodyKey, ...] = ()


async def expected(tx: Transaction) -> Expected:
    """Return what the rows say of files."""
    kept: dict[BodyKey, list[KeptRow]] = defaultdict(list)
    for account_id, kept_id, *row in await tx.rows(_KEPT):
        kept[BodyKey(account_id, kept_id)].append(KeptRow(*row))
    in_use: set[BodyKey] = set()
    for (account_id,) in await tx.rows(_ACCOUNTS):
        in_use |= {BodyKey(account_id, kept_id) for kept_id in await kept_in_use(tx, account_id)}
    return Expected(
        {key: tuple(rows) for key, rows in kept.items()},
        frozenset(in_use),
        frozenset((account_id, message_id) for account_id, message_id in await tx.rows(_MESSAGES)),
    )


Found = Callable[[Finding], None]
Read = Callable[[int, bytes, int], None]
"""Told (message id, SHA-256, size) of kept octets whose message does not say what they are."""


def check_kept(kept: KeptBodies, wanted: Expected, progress: Progress, found: Found, unbound: Read) -> Examined:
    """Read every kept file and compare it with its messages. Nothing is changed.

    Raises:
        OSError: the folder cannot be read.
    """
    there = set(kept.keys_on_disk())
    for key in progress.follow("Appended messages", sorted(wanted.kept), len(wanted.kept)):
        problem = _problem_of(kept, key, wanted.kept[key], unbound)
        if problem is not None:
            found(Finding(str(kept.path_of(key)), problem, _RESTORE, is_mendable=False))
    return Examined(len(wanted.kept), unused=tuple(sorted(there - wanted.in_use)))


_RESTORE = (
    "restore the file from a backup; without it the message is served as its backend composes it, under a new UID"
)


def _problem_of(kept: KeptBodies, key: BodyKey, rows: tuple[KeptRow, ...], unbound: Read) -> str | None:
    try:
        size, digest = kept.examine(key)
    except FileNotFoundError:
        return "is missing, and is the only copy of what a client appended"
    except OSError as exc:
        return f"cannot be used, and is the only copy of what a client appended: {exc}"
    for row in rows:
        if row.content_hash is None or row.size is None:
            unbound(row.message_id, digest, size)
        elif (row.size, row.content_hash) != (size, digest):
            return f"is not what was appended as message {row.message_id}: it has {size} octets, or others"
    return None


def check_cache(cache: BodyCache, wanted: Expected, progress: Progress, found: Found) -> Examined:
    """Read every file of the cache; of those that cannot be used the first few are named. Nothing is changed.

    Raises:
        OSError: the folder cannot be read.
    """
    keys = cache.keys_on_disk()
    damaged: list[BodyKey] = []
    for key in progress.follow("Cached messages", keys, len(keys)):
        try:
            cache.examine(key)
        except FileNotFoundError:
            continue
        except OSError as exc:
            damaged.append(key)
            if len(damaged) <= NAMED_FILES:
                found(Finding(str(cache.path_of(key)), f"cannot be used: {exc}", _READ_AGAIN, is_mendable=True))
    if len(damaged) > NAMED_FILES:
        text = f"{len(damaged) - NAMED_FILES} more files cannot be used; the key may be another now"
        found(Finding("cache.directory", text, _READ_AGAIN, is_mendable=True))
    unused = tuple(key for key in keys if (key.account_id, key.message_id) not in wanted.messages)
    return Examined(len(keys), tuple(damaged), unused)


_READ_AGAIN = "it is removed, and read from the backend again when it is asked for"


def remove(folder: BodyFolder, key: BodyKey) -> bool:
    """Remove a file; False if it cannot be."""
    try:
        folder.path_of(key).unlink(missing_ok=True)
    except OSError:
        return False
    return True
