"""How changes on disk are told."""

from __future__ import annotations

import asyncio
import errno
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.api.errors import Unavailable
from connectors.api.types import MailboxRef, PushEvent
from connectors.maildir import connector as connector_module
from connectors.maildir.connector import MaildirConnector
from connectors.maildir.disk import Disk
from connectors.maildir.inotify import Inotify
from connectors.maildir.names import Layout
from connectors.maildir.tree import Tree

INBOX = PushEvent(MailboxRef("INBOX"))
TREE = PushEvent(None)
SOON_S = 10


class Watch:
    """A watch that has begun, and its next event."""

    def __init__(self, events: AsyncIterator[PushEvent]) -> None:
        self.events = events

    async def next(self) -> PushEvent:
        return await asyncio.wait_for(anext(self.events), SOON_S)

    async def until(self, event: PushEvent) -> None:
        while await self.next() != event:
            pass


async def deliver_until_told(watch: Watch, folder: Path, event: PushEvent) -> None:
    waiting = asyncio.ensure_future(watch.until(event))
    number = 0
    while not waiting.done():
        number += 1
        (folder / "new" / f"{number}.a.host").touch()
        await asyncio.wait({waiting}, timeout=0.02)
    await waiting


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "Maildir"


@pytest.fixture
async def connector(root: Path) -> AsyncIterator[MaildirConnector]:
    connector = MaildirConnector(Tree(str(root), Layout.MAILDIRPP, Disk(is_synced=False)), poll_interval_s=0.01)
    await connector.open()
    await connector.create_mailbox(("Work",), None)
    yield connector
    await connector.close()


@pytest.fixture
async def watch(connector: MaildirConnector) -> AsyncIterator[Watch]:
    watch = Watch(connector.watch())
    assert await watch.next() == TREE  # says that the watches are set
    yield watch
    await watch.events.aclose()  # type: ignore[attr-defined]


async def test_a_delivery_is_told_for_its_mailbox(watch: Watch, root: Path) -> None:
    (root / ".Work" / "new" / "1.a.host").touch()
    assert await watch.next() == PushEvent(MailboxRef(".Work"))


async def test_a_delivery_under_way_is_not_told(watch: Watch, root: Path) -> None:
    (root / ".Work" / "tmp" / "1.a.host").touch()
    (root / "new" / "2.a.host").touch()
    assert await watch.next() == INBOX


async def test_flags_and_removals_are_told(watch: Watch, root: Path) -> None:
    file = root / "cur" / "1.a.host:2,"
    file.touch()
    assert await watch.next() == INBOX
    file = file.rename(root / "cur" / "1.a.host:2,S")
    assert await watch.next() == INBOX
    file.unlink()
    assert await watch.next() == INBOX


async def test_many_changes_are_told_together(watch: Watch, root: Path) -> None:
    for number in range(50):
        (root / "new" / f"{number}.a.host").touch()
    assert await watch.next() == INBOX
    (root / ".Work" / "new" / "1.a.host").touch()
    assert await watch.next() == PushEvent(MailboxRef(".Work"))


async def test_keywords_are_told_and_index_files_are_not(watch: Watch, root: Path) -> None:
    (root / "dovecot.index.log").write_text("x")
    (root / "dovecot-uidlist.lock").touch()
    (root / "dovecot-keywords").write_text("0 Foo\n")
    assert await watch.next() == INBOX


async def test_a_new_folder_is_told_and_watched_even_if_it_comes_in_pieces(watch: Watch, root: Path) -> None:
    (root / ".New").mkdir()
    await watch.until(TREE)
    for part in ("tmp", "new", "cur"):
        (root / ".New" / part).mkdir()
    await watch.until(TREE)
    # What comes before the watch is set is found by whoever looks because the tree has changed; later mail is told.
    await deliver_until_told(watch, root / ".New", PushEvent(MailboxRef(".New")))


async def test_a_removed_folder_is_told(watch: Watch, root: Path) -> None:
    shutil.rmtree(root / ".Work")
    await watch.until(TREE)


async def test_closing_the_connector_ends_the_watch(connector: MaildirConnector, watch: Watch) -> None:
    waiting = asyncio.ensure_future(watch.next())
    await asyncio.sleep(0)
    await connector.close()
    with pytest.raises((StopAsyncIteration, Unavailable)):
        await waiting


async def test_two_watches_are_told_alike(connector: MaildirConnector, watch: Watch, root: Path) -> None:
    second = Watch(connector.watch())
    await second.next()
    (root / "new" / "1.a.host").touch()
    assert await watch.next() == INBOX
    assert await second.next() == INBOX
    await second.events.aclose()  # type: ignore[attr-defined]


class NoInotify(Inotify):
    def __init__(self) -> None:
        raise OSError(errno.EMFILE, "Too many open files")


class NoWatches(Inotify):
    def add(self, path: str, mask: int) -> int:
        raise OSError(errno.ENOSPC, "No space left on device", path)


@pytest.mark.parametrize("replacement", [NoInotify, NoWatches])
async def test_without_inotify_the_times_are_compared(
    connector: MaildirConnector, root: Path, monkeypatch: pytest.MonkeyPatch, replacement: type[Inotify]
) -> None:
    monkeypatch.setattr(connector_module, "Inotify", replacement)
    watch = Watch(connector.watch())
    await deliver_until_told(watch, root, INBOX)
    shutil.rmtree(root / ".Work")
    await watch.until(TREE)
    await watch.events.aclose()  # type: ignore[attr-defined]
