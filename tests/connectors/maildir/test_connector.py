"""The Maildir connector: durability, cancellation, crashes."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.api.abilities import NewMessage
from connectors.api.capabilities import Scope
from connectors.api.credentials import FixedCredential
from connectors.api.errors import Denied, NotFound, OverQuota, Rejected, Unavailable
from connectors.api.spec import SettingError
from connectors.api.types import SEEN, BytesContent, MailboxRef, MessageContent
from connectors.maildir import SPEC
from connectors.maildir.connector import WRITTEN_AT_ONCE, MaildirConnector
from tests.conformance.rig import Probe, mail

INBOX = MailboxRef("INBOX")
NONE: frozenset[str] = frozenset()


def make_connector(root: Path, **settings: object) -> MaildirConnector:
    connector = SPEC.build({"path": str(root), **settings}, FixedCredential(None))
    assert isinstance(connector, MaildirConnector)
    return connector


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "Maildir"


@pytest.fixture
async def inbox(root: Path) -> AsyncIterator[Probe]:
    connector = make_connector(root)
    await connector.open()
    yield Probe(connector, INBOX)
    await connector.close()


@dataclass
class SlowContent:
    """Content whose second half comes when it is let."""

    data: bytes
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    let: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def size(self) -> int:
        return len(self.data)

    async def chunks(self) -> AsyncIterator[bytes]:
        half = len(self.data) // 2
        yield self.data[:half]
        self.begun.set()
        await self.let.wait()
        yield self.data[half:]


@dataclass(frozen=True)
class FalseContent(BytesContent):
    """Content that announces more than it has."""

    @property
    def size(self) -> int:
        return len(self.data) + 1


def files(root: Path) -> dict[str, list[str]]:
    return {part: sorted(os.listdir(root / part)) for part in ("cur", "new", "tmp")}


NOTHING: dict[str, list[str]] = {"cur": [], "new": [], "tmp": []}


async def test_settings_are_checked(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="path"):
        SPEC.build({}, FixedCredential(None))
    with pytest.raises(SettingError, match="layout"):
        SPEC.build({"path": str(tmp_path), "layout": "mbox"}, FixedCredential(None))
    with pytest.raises(Unavailable):
        await make_connector(tmp_path / "none", create=False).open()


async def test_a_home_directory_is_meant_by_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    connector = SPEC.build({"path": "~/Mail"}, FixedCredential(None))
    await connector.open()
    assert (tmp_path / "Mail" / "cur").is_dir()


async def test_bodies_are_local_and_refs_are_of_one_mailbox(inbox: Probe) -> None:
    capabilities = inbox.connector.capabilities
    assert capabilities.local_bodies
    assert (capabilities.ref_scope, capabilities.cursor_scope) == (Scope.MAILBOX, Scope.MAILBOX)


async def test_a_maildir_that_disappears_is_unavailable_and_not_empty(inbox: Probe, root: Path) -> None:
    state = await inbox.append(mail(1))
    away = root.with_name("unmounted")
    os.rename(root, away)
    for ask in (inbox.refs, inbox.connector.list_mailboxes, inbox.connector.open, lambda: inbox.read(state.ref)):
        with pytest.raises(Unavailable):
            await ask()
    assert os.listdir(root.parent) == ["unmounted"]
    os.rename(away, root)
    await inbox.connector.open()
    assert await inbox.refs() == [state.ref]


# -- appending --------------------------------------------------------------------------------------------------------


async def test_a_message_is_named_with_its_sizes_and_flags(inbox: Probe, root: Path) -> None:
    date = datetime(2001, 2, 3, 4, 5, 6, tzinfo=UTC)
    state = await inbox.append(mail(1), frozenset({SEEN}), date)
    size = len(mail(1))
    (name,) = files(root)["cur"]
    assert name == f"{state.ref}:2,S"
    assert name.endswith(f",S={size},W={size}:2,S")
    assert (root / "cur" / name).stat().st_mtime == date.timestamp()
    assert (root / "cur" / name).read_bytes() == mail(1)


async def test_bare_lf_is_kept_and_the_size_others_serve_is_told_to_them(inbox: Probe, root: Path) -> None:
    data = b"Subject: x\n\nbody\r\n\n"
    state = await inbox.append(data)
    assert state.ref.endswith(f",S={len(data)},W={len(data) + 3},V")
    assert (state.size, state.size_is_exact) == (len(data), True)
    assert await inbox.read(state.ref) == data
    other = (await inbox.connector.create_mailbox(("Other",), None)).ref  # type: ignore[attr-defined]
    for result in (
        await inbox.connector.copy(INBOX, [state.ref], other),
        await inbox.connector.move(INBOX, [state.ref], other),
    ):
        moved = result.done[state.ref]
        assert moved is not None
        assert await Probe(inbox.connector, other).read(moved.ref) == data


@pytest.fixture
def events(root: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is waited for to be on the disk, and what is renamed, in order."""
    events: list[str] = []
    fsync, rename = os.fsync, os.rename

    def log_fsync(descriptor: int) -> None:
        events.append("fsync " + Path(os.readlink(f"/proc/self/fd/{descriptor}")).relative_to(root).parts[0])
        fsync(descriptor)

    def log_rename(source: str, target: str) -> None:
        events.append(f"rename {Path(source).relative_to(root).parts[0]} {Path(target).relative_to(root).parts[0]}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", log_fsync)
    monkeypatch.setattr(os, "rename", log_rename)
    return events


async def test_the_file_is_on_disk_before_it_is_a_message_and_its_name_before_the_answer(
    inbox: Probe, events: list[str]
) -> None:
    await inbox.append(mail(1))
    assert events == ["fsync tmp", "rename tmp cur", "fsync cur"]


async def test_all_files_are_on_disk_before_one_of_those_stored_together_is_a_message(
    inbox: Probe, events: list[str]
) -> None:
    count = 2 * WRITTEN_AT_ONCE + 1
    messages = [NewMessage(BytesContent(mail(number)), NONE, None) for number in range(count)]
    assert isinstance(inbox.connector, MaildirConnector)
    await inbox.connector.append_many(INBOX, messages)
    assert events == ["fsync tmp"] * count + ["rename tmp cur"] * count + ["fsync cur"]


async def test_without_fsync_the_disk_is_not_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("fsync", "posix_fadvise"):
        monkeypatch.setattr(os, name, lambda *_: pytest.fail("the disk was waited for"))
    connector = make_connector(root, fsync=False)
    await connector.open()
    await Probe(connector, INBOX).append(mail(1))
    await connector.append_many(INBOX, [NewMessage(BytesContent(mail(number)), NONE, None) for number in (2, 3)])
    await connector.close()


class Crash(BaseException):
    """The end of the process, as far as the code can tell."""


async def test_a_crash_between_write_and_rename_leaves_no_half_message(
    inbox: Probe, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*paths: str) -> None:
        raise Crash

    monkeypatch.setattr(os, "rename", crash)
    monkeypatch.setattr(os, "unlink", crash)  # a dead process tidies nothing up
    with pytest.raises(Crash):
        await inbox.append(mail(1))
    monkeypatch.undo()
    assert len(files(root)["tmp"]) == 1
    fresh = make_connector(root)
    await fresh.open()
    assert await Probe(fresh, INBOX).refs() == []
    await fresh.close()


async def test_a_full_disk_is_told_and_leaves_nothing(
    inbox: Probe, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OverQuota):
        await inbox.append(mail(1))
    monkeypatch.undo()
    assert files(root) == NOTHING


async def test_a_cancelled_append_leaves_nothing(inbox: Probe, root: Path) -> None:
    content = SlowContent(mail(1, b"x" * 3_000_000))
    task = asyncio.ensure_future(inbox.connector.append(INBOX, content, NONE, None))
    await content.begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert files(root) == NOTHING


async def test_a_message_is_not_seen_before_it_is_complete(inbox: Probe) -> None:
    content = SlowContent(mail(1))
    task = asyncio.ensure_future(inbox.connector.append(INBOX, content, NONE, None))
    await content.begun.wait()
    assert await inbox.refs() == []
    content.let.set()
    state = await task
    assert await inbox.refs() == [state.ref]


async def test_content_shorter_than_announced_is_refused(inbox: Probe, root: Path) -> None:
    content: MessageContent = FalseContent(mail(1))
    with pytest.raises(Rejected):
        await inbox.connector.append(INBOX, content, NONE, None)
    assert files(root) == NOTHING


@pytest.mark.skipif(os.geteuid() == 0, reason="lacks the ability: root is denied nothing")
async def test_a_maildir_of_somebody_else_is_denied(inbox: Probe, root: Path) -> None:
    (root / "tmp").chmod(0o500)
    with pytest.raises(Denied):
        await inbox.append(mail(1))


# -- reading ----------------------------------------------------------------------------------------------------------


async def test_content_outlives_the_file(inbox: Probe, root: Path) -> None:
    data = mail(1, b"x" * 1_000_000)
    state = await inbox.append(data)
    opened = await inbox.connector.fetch(INBOX, state.ref)
    chunks = opened.chunks()
    first = await anext(chunks)
    await inbox.connector.store_flags(INBOX, [state.ref], frozenset({SEEN}), NONE)
    await inbox.connector.expunge(INBOX, [state.ref])
    assert files(root) == NOTHING
    assert first + b"".join([chunk async for chunk in chunks]) == data
    with pytest.raises(NotFound):
        await inbox.read(state.ref)


async def test_a_message_of_lf_lines_is_served_and_measured_in_crlf(inbox: Probe, root: Path) -> None:
    for number, size in enumerate((100, 1_000_000)):
        (root / "new" / f"{number}.a.host").write_bytes(b"Subject: x\n\n" + b"line\n" * (size // 5))
    for ref, size in zip(await inbox.refs(), (100, 1_000_000), strict=True):
        served = b"Subject: x\r\n\r\n" + b"line\r\n" * (size // 5)
        assert await inbox.read(ref) == served
        state = await inbox.state(ref)
        assert (state.size, state.size_is_exact) == (len(served), True)


async def test_listings_come_in_pages(inbox: Probe, root: Path) -> None:
    for number in range(2001):
        (root / "cur" / f"{number}.a.host:2,").touch()
    pages = [len(page) async for page in inbox.connector.listing(INBOX)]
    assert pages == [1000, 1000, 1]
    fresh = make_connector(root)
    await fresh.open()
    position = await inbox.position()
    (root / "cur" / "7.a.host:2,").unlink()
    found = [page async for page in fresh.changes(INBOX, position)]
    assert [len(page.changed) for page in found] == [1000, 1000, 0]
    assert found[-1].present is not None
    assert len(found[-1].present) == 2000
    assert [page.cursor is None for page in found] == [True, True, False]
    await fresh.close()


async def test_a_batch_beyond_the_limit_is_refused(inbox: Probe) -> None:
    state = await inbox.append(mail(1))
    too_many = [state.ref] * (inbox.connector.capabilities.batch_limit + 1)
    with pytest.raises(Rejected):
        await inbox.connector.store_flags(INBOX, too_many, frozenset({SEEN}), NONE)
    with pytest.raises(Rejected):
        await inbox.connector.expunge(INBOX, too_many)


async def test_one_call_takes_one_turn_in_a_thread(inbox: Probe, monkeypatch: pytest.MonkeyPatch) -> None:
    refs = [(await inbox.append(mail(number))).ref for number in range(20)]
    calls: list[object] = []
    to_thread = asyncio.to_thread

    async def counted(function: object, *args: object, **kwargs: object) -> object:
        calls.append(function)
        return await to_thread(function, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(asyncio, "to_thread", counted)
    await inbox.connector.store_flags(INBOX, refs, frozenset({SEEN}), NONE)
    assert len([outline async for outline in inbox.connector.outlines(INBOX, refs)]) == 20
    await inbox.connector.states(INBOX, refs)
    await inbox.connector.expunge(INBOX, refs)
    assert len(calls) == 4


async def test_keywords_beyond_the_letters_are_left_to_the_gateway(inbox: Probe) -> None:
    state = await inbox.append(mail(1))
    keywords = frozenset(f"k{number:02}" for number in range(30))
    result = await inbox.connector.store_flags(INBOX, [state.ref], keywords, NONE)
    stored = result.done[state.ref]
    assert stored is not None
    assert stored.flags == frozenset(f"k{number:02}" for number in range(26))
    (info,) = await inbox.connector.list_mailboxes()
    assert not info.any_keyword
