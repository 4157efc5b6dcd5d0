"""Keywords keep the spelling that a client gave them, whatever a backend makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from connectors.api.types import (
    SYSTEM_FLAGS,
    BatchResult,
    BytesContent,
    MailboxRef,
    MessageContent,
    MessageRef,
    MessageState,
)
from connectors.memory.connector import MemoryConnector
from gateway.store.flags import FlagSet
from gateway.sync.flag_writer import FlagAction
from gateway.wire.commands import StoreAction
from tests.gateway.sync.test_account_sync import read, rows_of
from tests.stack import INBOX, Stack, message, next_changes, silence, until_held


def folded(flags: frozenset[str]) -> frozenset[str]:
    return frozenset(flag if flag in SYSTEM_FLAGS else flag.lower() for flag in flags)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[frozenset[str], frozenset[str]]]:
    """Let the backend fold keywords to lower case, as JMAP does (RFC 8621 section 4.1.1); return what it is told."""
    store, append = MemoryConnector.store_flags, MemoryConnector.append
    told: list[tuple[frozenset[str], frozenset[str]]] = []

    async def store_folded(
        self: MemoryConnector,
        mailbox: MailboxRef,
        refs: Sequence[MessageRef],
        add: frozenset[str],
        remove: frozenset[str],
    ) -> BatchResult:
        told.append((add, remove))
        assert not folded(add) & folded(remove)
        return await store(self, mailbox, refs, folded(add), folded(remove))

    async def append_folded(
        self: MemoryConnector,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        return await append(self, mailbox, content, folded(flags), internal_date)

    monkeypatch.setattr(MemoryConnector, "store_flags", store_folded)
    monkeypatch.setattr(MemoryConnector, "append", append_folded)
    return told


@pytest.mark.parametrize("action", [FlagAction.ADD, FlagAction.REPLACE])
def test_a_keyword_that_is_there_keeps_its_spelling(action: FlagAction) -> None:
    assert action.apply(FlagSet.of(["Work"]), ["WORK"]) == FlagSet.of(["Work"])


async def test_a_keyword_stored_in_lower_case_is_shown_as_it_was_given(
    stack: Stack, sent: list[tuple[frozenset[str], frozenset[str]]]
) -> None:
    backend = await stack.add_account(layout="items")
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    await until_held(view, 1)
    await view.store([1], StoreAction.ADD, ["MyWork"])
    await read(stack)
    assert view.flag_rows([1])[0].flags == b"(MyWork \\Recent)"
    assert backend.messages(INBOX)[0].flags == frozenset({"mywork"})
    highest = (await rows_of(stack))[INBOX].highestmodseq
    await read(stack)
    assert (await rows_of(stack))[INBOX].highestmodseq == highest
    await view.store([1], StoreAction.REPLACE, ["MYWORK", "\\Seen"])
    assert [sorted(add | remove) for add, remove in sent] == [["MyWork"], ["\\Seen"]]
    assert view.flag_rows([1])[0].flags == b"(\\Seen MyWork \\Recent)"
    await view.store([1], StoreAction.REMOVE, ["mywork"])
    assert backend.messages(INBOX)[0].flags == frozenset({"\\Seen"})


@pytest.mark.usefixtures("sent")
async def test_an_appended_and_a_copied_message_keep_the_spelling(stack: Stack) -> None:
    await stack.add_account(layout="items")
    user = await stack.user()
    await user.append("INBOX", BytesContent(message(1)), ("MyWork",), None)
    view = await stack.open()
    assert view.flag_rows([1])[0].flags == b"(MyWork \\Recent)"
    await view.copy([1], "Archive", is_move=True)
    await read(stack)
    archive = await stack.open("Archive")
    assert archive.flag_rows([1])[0].flags == b"(MyWork \\Recent)"


async def test_a_keyword_spelled_anew_outside_is_no_news(stack: Stack) -> None:
    backend = await stack.add_account(layout="items")
    ref = backend.deliver(INBOX, message(1), frozenset({"Work"}))
    view = await stack.open()
    await until_held(view, 1)
    backend.set_flags(INBOX, ref, frozenset({"work"}))
    backend.deliver(INBOX, message(2))
    told = await next_changes(view)
    assert told.exists == 2
    assert [row.uid for row in told.flagged] == []


@pytest.mark.parametrize("layout", ["folders", "items", "labels"])
async def test_what_a_store_does_not_find_any_more_is_told_to_be_gone(stack: Stack, layout: str) -> None:
    backend = await stack.add_account(layout=layout)
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    await until_held(view, 1)
    await silence(stack, backend)
    backend.remove(INBOX, ref)
    assert (await view.store([1], StoreAction.ADD, ["\\Seen"])).error is None
    await until_held(view, 0)
