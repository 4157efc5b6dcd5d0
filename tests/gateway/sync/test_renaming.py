"""Mailboxes that are known by their names keep their UIDs through a RENAME, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent, MailboxInfo, MailboxRef
from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.user_mail import UserMail
from gateway.store import intents
from gateway.sync.renaming import Rename
from tests.stack import PATIENT_S, Stack, message, running_stack

REF, OLD, NEW = MailboxRef("Old"), ("Old",), ("New",)


def named(*names: str) -> list[MailboxInfo]:
    return [MailboxInfo(MailboxRef(name), (name,)) for name in names]


@pytest.mark.parametrize(
    ("is_done", "listed", "has_happened"),
    [
        (True, ["New"], True),
        # Somebody has made another of the old name.
        (True, ["New", "Old"], True),
        (True, ["Other"], False),
        (False, ["New"], True),
        (False, ["New", "Old"], False),
        (False, ["Other"], False),
    ],
)
def test_a_rename_shows_by_the_names_that_are_listed(is_done: bool, listed: list[str], has_happened: bool) -> None:
    assert Rename(1, REF, OLD, NEW, is_done).has_happened(named(*listed)) is has_happened


async def boxes(stack: Stack) -> tuple[MemoryBackend, UserMail]:
    """Return a backend whose mailboxes are known by their names, and a user of it who has a mailbox with one below."""
    backend = await stack.add_account("work", layout="folders", uids=True)
    user = await stack.user()
    await user.create("Box")
    await user.create("Box/Sub")
    for name in ("Box", "Box/Sub"):
        await user.append(name, BytesContent(message(1)), (), None)
    return backend, user


async def has_been_renamed(stack: Stack, user: UserMail, before: list[int]) -> None:
    """See that the mailboxes have their new names, and nothing else."""
    assert await stack.engine().wait_until_read(before[0], PATIENT_S)
    after = [await user.row(name) for name in ("New", "New/Sub")]
    assert [row.id for row in after] == before
    assert [row.messages for row in after] == [1, 1]


@pytest.mark.parametrize("is_lost", [False, True])
async def test_uids_are_kept_when_the_mailboxes_cannot_be_listed_after_a_rename(stack: Stack, is_lost: bool) -> None:
    backend, user = await boxes(stack)
    view = await user.open("Box", is_read_only=False)
    before = [(await user.row(name)).id for name in ("Box", "Box/Sub")]
    if is_lost:
        backend.faults.fail_after_doing(Operation.RENAME_MAILBOX)
    backend.faults.fail_next(Operation.LIST_MAILBOXES, errors.RateLimited("later", retry_after_s=0.0))
    with pytest.raises(MailError) as unknown:
        await user.rename("Box", "New")
    assert unknown.value.kind is ErrorKind.OUTCOME_UNKNOWN
    # The next listing, which nobody has to ask for, takes it into account.
    await stack.engine().reader.read_tree()
    await has_been_renamed(stack, user, before)
    assert not view.is_defunct


async def test_a_rename_whose_answer_is_lost_is_done_if_it_shows(stack: Stack) -> None:
    backend, user = await boxes(stack)
    before = [(await user.row(name)).id for name in ("Box", "Box/Sub")]
    backend.faults.fail_after_doing(Operation.RENAME_MAILBOX)
    await user.rename("Box", "New")
    await has_been_renamed(stack, user, before)


async def test_a_rename_that_did_not_happen_is_no_excuse_for_a_later_name(stack: Stack) -> None:
    backend, user = await boxes(stack)
    before = (await user.row("Box")).id
    backend.faults.fail_next(Operation.RENAME_MAILBOX, errors.OutcomeUnknown("lost"))
    with pytest.raises(MailError):
        await user.rename("Box", "New")
    await user.create("New")
    assert (await user.row("Box")).id == before
    assert (await user.row("New")).id != before


def copy_store(directory: Path, left: Path) -> None:
    """Copy the store as a process that ends now would leave it."""
    left.mkdir()
    for file in directory.glob("gateway.db*"):
        shutil.copy(file, left)


async def test_a_rename_is_known_after_a_crash_before_the_mailboxes_were_listed(tmp_path: Path) -> None:
    backends: dict[str, MemoryBackend] = {}
    left = tmp_path / "left"
    async with running_stack(tmp_path, backends) as stack:
        backend, user = await boxes(stack)
        rows = [await user.row(name) for name in ("Box", "Box/Sub")]
        backend.faults.hold(Operation.LIST_MAILBOXES)
        done = backend.faults.hold(Operation.RENAME_MAILBOX, is_after=True)
        renaming = asyncio.create_task(user.rename("Box", "New"))
        await done.reached()
        copy_store(tmp_path, left)
        backend.faults.release(Operation.LIST_MAILBOXES)
        backend.faults.release(Operation.RENAME_MAILBOX, is_after=True)
        await renaming
    async with running_stack(left, backends) as stack:
        await stack.open("New")
        user = await stack.user()
        after = [await user.row(name) for name in ("New", "New/Sub")]
        assert [(row.id, row.uidvalidity) for row in after] == [(row.id, row.uidvalidity) for row in rows]
        account_id = stack.engine().context.account_id
        assert await stack.store.read(lambda tx: intents.pending(tx, account_id)) == []


async def test_a_rename_that_is_refused_leaves_nothing_on_record(stack: Stack) -> None:
    backend, user = await boxes(stack)
    backend.faults.fail_next(Operation.RENAME_MAILBOX, errors.Denied("no"))
    with pytest.raises(MailError) as denied:
        await user.rename("Box", "New")
    assert denied.value.kind is ErrorKind.DENIED
    account_id = stack.engine().context.account_id
    assert await stack.store.read(lambda tx: intents.pending(tx, account_id)) == []
