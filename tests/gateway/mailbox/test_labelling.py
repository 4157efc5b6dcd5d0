from __future__ import annotations

import pytest

from connectors.api.types import Role
from connectors.memory.backend import Layout, MemoryBackend
from gateway.mailbox import labelling
from gateway.mailbox.labelling import GmailIds, changes
from gateway.mailbox.view import View
from gateway.store import mailboxes
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.wire.gmail import Label, SystemLabel
from tests.stack import INBOX, Stack, message, until_held

ANSWER = b"Subject: Re: Number 1\r\nIn-Reply-To: <1@example.org>\r\nMessage-ID: <9@example.org>\r\n\r\nYes\r\n"


async def opened(stack: Stack, name: str = "work") -> tuple[MemoryBackend, View]:
    """Return a backend like Gmail, with a message and the answer to it, and a view of its INBOX."""
    stack.backends[name] = backend = MemoryBackend(Layout.LABELS, has_gmail_ids=True, is_sparse=True)
    ref = backend.deliver(INBOX, message(1))
    backend.deliver(INBOX, ANSWER)
    backend.create_mailbox(("All",), Role.ALL)
    work = backend.create_mailbox(("Projects", "a/b"))
    for path in (("Sent",), ("Flagged",), ("All",), work.path):
        backend.copy(backend.mailbox(INBOX), ref, backend.mailbox(path))
    await stack.add_account(name)
    prefix = "" if len(stack.backends) == 1 else f"{name}/"
    view = await stack.open(f"{prefix}INBOX")
    await until_held(view, 2)
    return backend, view


def ids(view: View) -> list[int]:
    return [entry.message_id for uid in view.uids if (entry := view._mailbox.find(uid))]


async def row_of(stack: Stack, view: View) -> MailboxRow:
    async def read(tx: Transaction) -> MailboxRow:
        row = await mailboxes.mailbox_by_id(tx, view.mailbox_id)
        assert row is not None
        return row

    return await stack.store.read(read)


async def test_labels_are_the_other_mailboxes_but_for_all_mail(stack: Stack) -> None:
    _, view = await opened(stack)
    first, second = ids(view)
    row = await row_of(stack, view)
    held = await stack.store.read(lambda tx: labelling.labels_of(tx, row, [first, second]))
    assert held == {first: [SystemLabel.SENT, SystemLabel.STARRED, "Projects/a%2Fb"]}
    sent = await stack.open("Sent")
    row = await row_of(stack, sent)
    held = await stack.store.read(lambda tx: labelling.labels_of(tx, row, ids(sent)))
    assert held == {first: [SystemLabel.INBOX, SystemLabel.STARRED, "Projects/a%2Fb"]}


async def test_labels_of_one_of_several_accounts_do_not_name_it(stack: Stack) -> None:
    await stack.add_account("home")
    _, view = await opened(stack)
    row = await row_of(stack, view)
    held = await stack.store.read(lambda tx: labelling.labels_of(tx, row, ids(view)))
    assert next(iter(held.values()))[-1] == "Projects/a%2Fb"


@pytest.mark.parametrize("is_second", [False, True])
async def test_ids_are_the_backends_in_every_account(stack: Stack, is_second: bool) -> None:
    if is_second:
        await stack.add_account("home")
    backend, view = await opened(stack)
    first, second = ids(view)
    one, two = (int(held.ident, 16) for held in backend.messages(INBOX))
    row = await row_of(stack, view)

    async def read(tx: Transaction) -> None:
        found = await labelling.gmail_ids(tx, [first, second, 999])
        assert found == {first: GmailIds(one, one), second: GmailIds(two, one)}
        assert await labelling.with_message_id(tx, row, two) == [view.uids[1]]
        assert sorted(await labelling.with_thread_id(tx, row, one)) == list(view.uids)
        assert await labelling.with_thread_id(tx, row, two) == []
        assert await labelling.with_label(tx, row, SystemLabel.SENT) == {first}
        assert await labelling.with_label(tx, row, SystemLabel.INBOX) == {first, second}
        assert await labelling.with_label(tx, row, "Nowhere") == set()

    await stack.store.read_bulk(read)


def test_ids_that_are_none_are_not_told() -> None:
    assert labelling._number("retired\n7") is None
    assert labelling._number("0018c0") is None
    assert labelling._number("18C0") is None
    assert labelling._number("-1") is None
    assert labelling._number("1" * 17) is None
    assert labelling._number("18c0") == 0x18C0


def test_a_wish_for_labels_is_turned_into_changes() -> None:
    held: dict[int, list[Label]] = {1: ["a", SystemLabel.SENT], 2: ["a", "b"]}
    lacking, surplus = changes(["b", SystemLabel.INBOX], held, [1, 2, 3])
    assert lacking == {"b": [1, 3], SystemLabel.INBOX: [1, 2, 3]}
    assert surplus == {"a": [1, 2]}
    assert changes([], held, [1]) == ({}, {"a": [1]})
