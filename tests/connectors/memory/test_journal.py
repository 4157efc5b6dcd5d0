"""The journal, its cursors and those who watch it."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import (
    CursorExpired,
)
from connectors.api.types import PushEvent
from connectors.memory.backend import INBOX, MemoryBackend
from connectors.memory.journal import Watcher

MAIL = b"Subject: x\r\n\r\nbody\r\n"


def test_only_expired_cursors_are_refused() -> None:
    backend = MemoryBackend()
    box = backend.mailbox(INBOX)
    old = backend.journal.position(box)
    backend.journal.expire_cursors()
    new = backend.journal.position(box)
    with pytest.raises(CursorExpired):
        backend.journal.serial_of(old, box)
    assert list(backend.journal.entries_after(new, box)) == []


@pytest.mark.parametrize("cursor", ["", "x", "1.1.1", "1.999", "-1.1"])
def test_a_cursor_of_unknown_origin_is_refused(cursor: str) -> None:
    backend = MemoryBackend()
    with pytest.raises(CursorExpired):
        backend.journal.serial_of(cursor, backend.mailbox(INBOX))  # type: ignore[arg-type]


async def test_a_watcher_is_told_once_of_each_mailbox_in_which_something_happened() -> None:
    backend = MemoryBackend()
    watcher = Watcher()
    backend.journal.watchers.add(watcher)
    for _ in range(2):
        backend.deliver(INBOX, MAIL)
    backend.deliver(("Sent",), MAIL)
    async with asyncio.timeout(5):
        events = await watcher.next_events()
    assert events == [PushEvent(backend.mailbox(path).ref) for path in (INBOX, ("Sent",))]


def test_entries_of_one_mailbox_are_those_after_the_cursor_in_their_order() -> None:
    backend = MemoryBackend()
    box = backend.mailbox(INBOX)
    backend.deliver(INBOX, MAIL)
    cursor = backend.journal.position(box)
    refs = [backend.deliver(INBOX, MAIL)]
    backend.deliver(("Sent",), MAIL)
    refs.append(backend.deliver(INBOX, MAIL))
    assert [entry.ref for entry in backend.journal.entries_after(cursor, box)] == refs
