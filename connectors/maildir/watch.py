"""Tells of changes on disk: by inotify where there is one, else by looking at the directories' times now and then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable

from connectors.api.types import MailboxRef, PushEvent
from connectors.maildir import keywords
from connectors.maildir.inotify import (
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_MOVE_SELF,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    Inotify,
)
from connectors.maildir.names import SUBSCRIPTIONS_FILE

_MESSAGES = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO
_FOLDERS = _MESSAGES | IN_DELETE_SELF | IN_MOVE_SELF

Places = dict[str, MailboxRef]
"""The directories of folders, with the mailbox each is."""


async def by_inotify(places: Callable[[], Places], inotify: Inotify) -> AsyncIterator[PushEvent]:
    """Yield an event for each mailbox with changed messages, and one without a mailbox when the tree has changed.

    The first event says that the watches are set, so that what happened before that is looked for once.
    `places` tells which folders there are now; it blocks. Ends when `inotify` is closed.

    Raises:
        OSError: the user has no more watches.
    """
    watched = await asyncio.to_thread(_add_watches, inotify, places)
    yield PushEvent()
    while batch := await inotify.events():
        touched: dict[MailboxRef | None, None] = {}
        for number, mask, name in batch:
            mailbox, kind = watched.get(number, (None, ""))
            if number < 0:
                touched[None] = None  # the queue has overflowed: anything may have happened
            elif kind in ("cur", "new") or (kind == "folder" and name == keywords.FILE):
                touched[mailbox] = None
            elif kind == "folder" and _is_of_tree(name, mask):
                touched[None] = None
        if None in touched:
            watched = await asyncio.to_thread(_add_watches, inotify, places)
        for mailbox in touched:
            yield PushEvent(mailbox)


def _is_of_tree(name: str, mask: int) -> bool:
    """Tell whether an event in a folder's directory may concern the mailbox tree, and not somebody's index files."""
    return not name.endswith(".lock") and not name.startswith("dovecot") and bool(mask & _FOLDERS)


def _add_watches(inotify: Inotify, places: Callable[[], Places]) -> dict[int, tuple[MailboxRef, str]]:
    watched: dict[int, tuple[MailboxRef, str]] = {}
    for path, mailbox in places().items():
        for kind, mask in (("folder", _FOLDERS), ("cur", _MESSAGES), ("new", _MESSAGES)):
            try:
                number = inotify.add(path if kind == "folder" else os.path.join(path, kind), mask)
            except (FileNotFoundError, NotADirectoryError):
                continue  # it went away just now, of which the directory above tells
            if kind != "folder":
                inotify.spare_names(number)
            watched[number] = (mailbox, kind)
    return watched


async def by_polling(places: Callable[[], Places], interval_s: float) -> AsyncIterator[PushEvent]:
    """Yield the same by comparing the times of directories every `interval_s` seconds. Never ends."""
    before = await asyncio.to_thread(_look, places)
    while True:
        await asyncio.sleep(interval_s)
        after = await asyncio.to_thread(_look, places)
        if before.keys() != after.keys():
            yield PushEvent()
        for mailbox in after:
            if mailbox in before and before[mailbox] != after[mailbox]:
                yield PushEvent(mailbox)
        before = after


def _look(places: Callable[[], Places]) -> dict[MailboxRef | None, tuple[int, ...]]:
    seen: dict[MailboxRef | None, tuple[int, ...]] = {}
    for path, mailbox in places().items():
        files = ("cur", "new", keywords.FILE, SUBSCRIPTIONS_FILE)
        seen[mailbox] = tuple(_mtime_ns(os.path.join(path, name)) for name in files)
    return seen


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0
