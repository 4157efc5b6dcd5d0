"""What a write in one mailbox means in others is told as soon as the backend has answered, without a reading."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from connectors.api.types import BytesContent, MailboxRef, MessageContent, MessageState
from connectors.gmail.connector import GmailConnector
from connectors.memory.faults import Operation
from gateway.mailbox.view import View, ViewChanges
from gateway.store import placements
from gateway.wire.commands import StoreAction
from gateway.wire.gmail import SystemLabel
from tests.conformance.rig import mail
from tests.fakes.gmail.options import FakeOptions
from tests.gateway.sync.test_gmail import Line, gmail_line
from tests.stack import INBOX, Stack, eventually, message, next_changes, until_held

STARRED = "[Gmail]/Starred"


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    """An account at Gmail with one message in INBOX, and an hour until the next look for changes."""
    async with gmail_line(tmp_path, FakeOptions()) as line:
        line.fake.new_label("Work")
        line.fake.deliver(mail(1))
        yield line


async def open_all(line: Line, *names: str) -> list[View]:
    return [await line.user.open(name, is_read_only=False) for name in names]


def told(view: View) -> ViewChanges:
    return view.catch_up(allow_expunge=True)


def flags(view: View) -> list[bytes]:
    return [row.flags for row in view.flag_rows(view.uids)]


async def test_a_star_is_told_at_once_where_the_stars_are(line: Line) -> None:
    inbox, starred, everything = await open_all(line, "INBOX", STARRED, "[Gmail]/All Mail")
    line.fake.stats.clear()
    await inbox.store(inbox.uids, StoreAction.ADD, ["\\Flagged"])
    assert told(starred).exists == 1
    assert flags(starred) == [b"(\\Flagged \\Recent)"]
    assert [row.flags for row in told(everything).flagged] == [b"(\\Flagged \\Recent)"]
    await inbox.store(inbox.uids, StoreAction.REMOVE, ["\\Flagged"])
    assert [number for number, _ in told(starred).expunged] == [1]
    assert line.fake.stats.calls == {"gmail.users.messages.modify": 2}


async def test_taking_a_star_off_among_the_stars_takes_the_message_from_there(line: Line) -> None:
    inbox, starred = await open_all(line, "INBOX", STARRED)
    await inbox.store(inbox.uids, StoreAction.ADD, ["\\Flagged"])
    assert told(starred).exists == 1
    await starred.store(starred.uids, StoreAction.REMOVE, ["\\Flagged"])
    assert told(starred).expunged
    assert flags(inbox) == [b"(\\Recent)"]


async def test_the_label_of_a_star_is_a_flag_too(line: Line) -> None:
    inbox, starred = await open_all(line, "INBOX", STARRED)
    await inbox.store_labels(inbox.uids, StoreAction.ADD, [SystemLabel.STARRED])
    assert told(starred).exists == 1
    assert [row.flags for row in told(inbox).flagged] == [b"(\\Flagged \\Recent)"]
    await inbox.store_labels(inbox.uids, StoreAction.REMOVE, [SystemLabel.STARRED])
    assert told(starred).expunged
    assert [row.flags for row in told(inbox).flagged] == [b"(\\Recent)"]


async def test_what_goes_to_trash_leaves_everywhere_else_at_once(line: Line) -> None:
    inbox, work, trash = await open_all(line, "INBOX", "Work", "[Gmail]/Trash")
    await inbox.copy(inbox.uids, "Work", is_move=False)
    assert told(work).exists == 1
    await inbox.copy(inbox.uids, "[Gmail]/Trash", is_move=True)
    assert told(trash).exists == 1
    assert told(inbox).expunged
    assert told(work).expunged


async def test_what_is_expunged_for_trash_is_told_there(line: Line) -> None:
    (everything, inbox, trash) = await open_all(line, "[Gmail]/All Mail", "INBOX", "[Gmail]/Trash")
    await everything.store(everything.uids, StoreAction.ADD, ["\\Deleted"])
    await everything.expunge()
    assert told(trash).exists == 1
    assert flags(trash) == [b"(\\Recent)"]
    assert told(inbox).expunged


async def test_what_is_appended_is_at_once_where_else_it_is(line: Line) -> None:
    work, starred, everything = await open_all(line, "Work", STARRED, "[Gmail]/All Mail")
    line.fake.stats.clear()
    await line.user.append("Work", BytesContent(mail(2)), ("\\Flagged", "\\Seen"), None)
    await until_held(work, 1)
    await until_held(starred, 1)
    await until_held(everything, 2)
    assert flags(everything)[-1] == flags(starred)[-1] == flags(work)[-1] == b"(\\Flagged \\Seen \\Recent)"
    assert "gmail.users.history.list" not in line.fake.stats.calls


async def test_of_what_is_appended_the_answer_does_not_undo_what_was_read(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, starred, everything = await open_all(line, "Work", STARRED, "[Gmail]/All Mail")
    (engine,) = line.engines()
    connector = engine.context.account.connector
    append = connector.append

    async def slowly(
        mailbox: MailboxRef, content: MessageContent, flags: frozenset[str], internal_date: datetime | None
    ) -> MessageState:
        state = await append(mailbox, content, flags, internal_date)
        line.fake.relabel(state.ref, remove=["STARRED"])
        line.poll()
        await until_held(everything, 2)
        return state

    monkeypatch.setattr(connector, "append", slowly)
    await line.user.append("Work", BytesContent(mail(2)), ("\\Flagged",), None)
    await until_held(work, 1)
    assert flags(work) == [b"(\\Recent)"]
    assert flags(starred) == []
    assert len(flags(everything)) == 2


async def test_a_mailbox_that_was_never_listed_gets_its_messages_in_their_order(line: Line) -> None:
    line.fake.deliver(mail(2))
    (inbox,) = await open_all(line, "INBOX")
    for uid in reversed(inbox.uids):
        await inbox.store([uid], StoreAction.ADD, ["\\Flagged"])
    (starred,) = await open_all(line, STARRED)
    refs = await line.store.read(lambda tx: placements.refs_of(tx, starred.mailbox_id))
    assert [ref for ref, *_ in refs] == [held.id for held in line.fake.mailbox.messages.values()]


async def test_stars_of_which_the_answer_does_not_tell_are_looked_for_at_once(line: Line) -> None:
    for number in range(2, 13):
        line.fake.deliver(mail(number))
    inbox, starred = await open_all(line, "INBOX", STARRED)
    (engine,) = line.engines()
    connector = engine.context.account.connector
    assert isinstance(connector, GmailConnector)
    # As after a start: so many are starred in one call, which is silent about labels.
    connector._mail.known.restart(None)
    await inbox.store(inbox.uids, StoreAction.ADD, ["\\Flagged"])
    assert (await next_changes(starred)).exists
    await until_held(starred, 12)


async def test_seeing_messages_of_which_the_answer_does_not_tell_has_nothing_read(line: Line) -> None:
    for number in range(2, 13):
        line.fake.deliver(mail(number))
    inbox, _ = await open_all(line, "INBOX", STARRED)
    (engine,) = line.engines()
    connector = engine.context.account.connector
    assert isinstance(connector, GmailConnector)
    connector._mail.known.restart(None)
    line.fake.stats.clear()
    await inbox.store(inbox.uids, StoreAction.ADD, ["\\Seen"])
    assert await engine.wait_until_read(inbox.mailbox_id, 10)
    calls = line.fake.stats.calls
    assert (calls["gmail.users.messages.batchModify"], calls["gmail.users.history.list"]) == (1, 1)


async def test_of_two_writes_at_once_the_later_answer_does_not_undo_the_other(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    backend.deliver(INBOX, message(1))
    inbox = await stack.open()
    await inbox.copy([1], "Archive", is_move=False)
    archive = await stack.open("Archive")
    first_gate = backend.faults.hold(Operation.STORE_FLAGS, is_after=True)
    first = asyncio.create_task(inbox.store([1], StoreAction.ADD, ["\\Flagged"]))
    await first_gate.reached()
    second_gate = backend.faults.hold(Operation.STORE_FLAGS, is_after=True)
    second = asyncio.create_task(archive.store([1], StoreAction.ADD, ["\\Seen"]))
    await second_gate.reached()
    second_gate.release()
    await second
    first_gate.release()
    await first
    assert flags(archive) == [b"(\\Flagged \\Seen \\Recent)"]

    def shown() -> list[bytes]:
        told(inbox)
        return flags(inbox)

    await eventually(inbox, shown, lambda found: found == [b"(\\Flagged \\Seen \\Recent)"])


async def test_a_flag_that_only_the_gateway_holds_stays_where_it_was_given(line: Line) -> None:
    line.fake.new_draft(mail(2))
    drafts, everything = await open_all(line, "[Gmail]/Drafts", "[Gmail]/All Mail")
    (draft,) = drafts.uids
    # Gmail does not flag drafts, so this is kept here; then an answer tells what the draft has there.
    await drafts.store([draft], StoreAction.ADD, ["\\Flagged"])
    await drafts.store([draft], StoreAction.REMOVE, ["\\Draft"])
    assert flags(drafts) == [b"(\\Draft \\Flagged \\Seen \\Recent)"]
    assert flags(everything)[-1] == b"(\\Draft \\Seen \\Recent)"
