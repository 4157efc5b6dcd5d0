from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent, Role
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.user_mail import UserMail
from gateway.store import accounts
from gateway.store.accounts import AccountState
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, Stack, message


async def names(user: UserMail) -> list[str]:
    return [entry.name for entry in await user.mailboxes() if entry.exists or entry.has_children]


def kind_of(refused: pytest.ExceptionInfo[MailError]) -> ErrorKind:
    return refused.value.kind


async def test_status_counts_without_reading_the_mailbox(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.deliver(INBOX, message(1), flags=frozenset({"\\Seen"}))
    backend.deliver(INBOX, message(2), flags=frozenset({"\\Deleted"}))
    user = await stack.user()
    await user.open("INBOX", is_read_only=True)
    status = await user.status("INBOX")
    assert (status.messages, status.unseen, status.deleted, status.uidnext) == (2, 1, 1, 3)
    assert status.size == len(message(1)) + len(message(2))
    assert backend.faults.calls[Operation.FETCH] == 0


async def test_statuses_of_many_mailboxes_leave_out_what_is_gone(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    assert set(await (await stack.user()).statuses(["INBOX", "Nowhere", "Archive"])) == {"INBOX", "Archive"}


async def test_create_rename_delete_with_children(stack: Stack) -> None:
    for settings in ({"layout": "folders"}, {"layout": "labels"}, {"layout": "folders", "uids": True}):
        name = f"box{len(stack.backends)}"
        await _work_the_tree(stack, name, **settings)


async def _work_the_tree(stack: Stack, account: str, **settings: Any) -> None:
    backend = await stack.add_account(account, login=account, **settings)
    user = await stack.user(account)
    await user.create("Projekte/Brücke & Tunnel", ())
    await user.append("Projekte/Brücke & Tunnel", BytesContent(message(1)), (), None)
    before = await user.status("Projekte/Brücke & Tunnel")
    await user.rename("Projekte", "Alt/Projekte")
    assert "Alt/Projekte/Brücke & Tunnel" in await names(user)
    after = await user.status("Alt/Projekte/Brücke & Tunnel")
    assert (after.mailbox_id, after.uidvalidity, after.uidnext) == (before.mailbox_id, before.uidvalidity, 2)
    assert backend.mailbox(("Alt", "Projekte", "Brücke & Tunnel"))
    await user.delete("Alt/Projekte/Brücke & Tunnel")
    assert "Alt/Projekte/Brücke & Tunnel" not in await names(user)


async def test_a_name_made_again_has_a_new_uidvalidity(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    user = await stack.user()
    await user.create("Once")
    first = (await user.status("Once")).uidvalidity
    await user.delete("Once")
    await user.create("Once")
    assert (await user.status("Once")).uidvalidity > first


async def test_a_special_use_is_given_at_creation(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    user = await stack.user()
    await user.create("Wichtig", [Role.IMPORTANT])
    assert {entry.name: entry.role for entry in await user.mailboxes()}["Wichtig"] is Role.IMPORTANT


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("Nowhere", "Somewhere", ErrorKind.NOT_FOUND),
        ("Archive", "Sent", ErrorKind.ALREADY_EXISTS),
        ("Archive", "Archive/Below", ErrorKind.INVALID_NAME),
        ("Archive", "a//b", ErrorKind.INVALID_NAME),
    ],
)
async def test_renames_that_cannot_be(stack: Stack, old: str, new: str, kind: ErrorKind) -> None:
    await stack.add_account("work", layout="folders")
    with pytest.raises(MailError) as refused:
        await (await stack.user()).rename(old, new)
    assert kind_of(refused) is kind


async def test_creations_and_deletions_that_cannot_be(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    user = await stack.user()
    for attempt, kind in (
        (user.create("INBOX"), ErrorKind.ALREADY_EXISTS),
        (user.create("inbox"), ErrorKind.ALREADY_EXISTS),
        (user.create("a\r\nb"), ErrorKind.INVALID_NAME),
        (user.delete("INBOX"), ErrorKind.DENIED),
        (user.delete("Nowhere"), ErrorKind.NOT_FOUND),
        (user.subscribe("Nowhere", True), ErrorKind.NOT_FOUND),
    ):
        with pytest.raises(MailError) as refused:
            await attempt
        assert kind_of(refused) is kind


async def test_subscriptions_are_the_backend_s(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    user = await stack.user()
    await user.subscribe("Archive", False)
    assert not backend.mailbox(("Archive",)).is_subscribed
    assert {entry.name: entry.is_subscribed for entry in await user.mailboxes()}["Archive"] is False


async def subscribed(user: UserMail) -> dict[str, bool]:
    """Return the subscribed names, and whether each is that of a mailbox."""
    return {entry.name: entry.exists for entry in await user.mailboxes() if entry.is_subscribed}


async def test_a_name_stays_subscribed_without_its_mailbox_in_every_session(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    one, other = await stack.user(), await stack.user()
    await one.create("Box")
    await one.delete("Box")
    assert (await subscribed(other))["Box"] is False
    for attempt in (other.status("Box"), other.open("Box", is_read_only=True), other.delete("Box")):
        with pytest.raises(MailError) as refused:
            await attempt
        assert kind_of(refused) is ErrorKind.NOT_FOUND
    await other.subscribe("Box", True)
    await other.subscribe("Box", False)
    assert "Box" not in await subscribed(one)
    with pytest.raises(MailError) as refused:
        await one.subscribe("Box", True)
    assert kind_of(refused) is ErrorKind.NOT_FOUND


async def test_unsubscribing_from_what_is_not_subscribed_is_done_at_once(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    user = await stack.user()
    for name in ("Nowhere", "", "a//b", "Nowhere/Below"):
        await user.subscribe(name, False)
    assert all((await subscribed(user)).values())


async def test_of_several_accounts_each_keeps_its_own_subscribed_names(stack: Stack) -> None:
    await stack.add_account("Work", layout="folders")
    await stack.add_account("Home", layout="labels")
    user, other = await stack.user(), await stack.user()
    for name in ("Work/Box", "Home/Box"):
        await user.create(name)
    await user.delete("Work/Box")
    await user.rename("Home/Box", "Home/Case")
    assert {name: is_there for name, is_there in (await subscribed(other)).items() if not is_there} == {
        "Work/Box": False,
        "Home/Box": False,
    }
    await other.subscribe("Work/Box", False)
    assert "Work/Box" not in await subscribed(user)
    await other.create("Home/Box")
    assert (await subscribed(user))["Home/Box"] is True
    await other.create("Work/Box")
    assert (await subscribed(user))["Work/Box"] is True


async def test_a_name_that_only_we_keep_ends_also_while_the_backend_is_down(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    user = await stack.user()
    await user.create("Box")
    await user.delete("Box")
    backend.set_offline(True)
    # It is kept here, so that the backend need not be asked.
    await user.subscribe("Box", False)
    assert "Box" not in await subscribed(user)


async def test_appending_to_a_missing_mailbox_says_that_it_could_be_created(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    with pytest.raises(MailError) as refused:
        await (await stack.user()).append("Nowhere", BytesContent(message(1)), (), None)
    assert kind_of(refused) is ErrorKind.NO_SUCH_DESTINATION


async def test_the_append_limit_is_the_backend_s_if_that_is_lower(stack: Stack) -> None:
    backend = stack.backends["work"] = MemoryBackend(Layout.FOLDERS)
    backend.append_limit = 100
    await stack.add_account("work", layout="folders")
    user = await stack.user()
    await user.open("INBOX", is_read_only=True)
    assert user.append_limits() == {100}
    with pytest.raises(MailError) as refused:
        await user.append("INBOX", BytesContent(b"x" * 101), (), None)
    assert kind_of(refused) is ErrorKind.TOO_LARGE
    assert backend.faults.calls[Operation.APPEND] == 0


async def test_copies_between_accounts_carry_octets_flags_and_date(stack: Stack) -> None:
    work = await stack.add_account("Work", layout="folders")
    home = await stack.add_account("Home", layout="labels")
    work.deliver(INBOX, message(1), flags=frozenset({"\\Seen"}))
    work.deliver(INBOX, message(2))
    user = await stack.user()
    view = await user.open("Work/INBOX", is_read_only=False)
    outcome = await view.copy([1, 2], "Home/INBOX", is_move=False)
    assert outcome.pairs == [(1, 1), (2, 2)]
    copied = home.messages(INBOX)
    originals = work.messages(INBOX)
    assert [one.data for one in copied] == [one.data for one in originals]
    assert [one.flags for one in copied] == [one.flags for one in originals]
    assert [one.internal_date.timestamp() // 1 for one in copied] == [
        one.internal_date.timestamp() // 1 for one in originals
    ]


async def test_a_move_between_accounts_removes_only_what_was_stored(stack: Stack) -> None:
    work = await stack.add_account("Work", layout="folders")
    home = await stack.add_account("Home", layout="folders")
    for number in range(3):
        work.deliver(INBOX, message(number))
    user = await stack.user()
    view = await user.open("Work/INBOX", is_read_only=False)
    home.faults.fail_next(Operation.APPEND, errors.Rejected("not this one"))
    outcome = await view.copy([1, 2, 3], "Home/INBOX", is_move=True)
    assert outcome.failed == [1]
    assert outcome.pairs == [(2, 1), (3, 2)]
    assert [one.data for one in work.messages(INBOX)] == [message(0)]
    assert view.catch_up(allow_expunge=True).expunged == [(2, 2), (2, 3)]


async def test_views_of_an_account_that_is_set_up_anew_are_defunct_and_reach_its_backend_no_more(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.deliver(INBOX, message(1))
    view = await stack.open()
    (row,) = await stack.store.read(accounts.all_accounts)
    await stack.service.forget_account(row.id)
    assert view.is_defunct
    opened = backend.faults.calls[Operation.OPEN]
    with pytest.raises(MailError) as refused:
        await view.store([1], StoreAction.ADD, ["\\Seen"])
    assert kind_of(refused) is ErrorKind.UNAVAILABLE
    assert backend.faults.calls[Operation.OPEN] == opened
    again = await stack.open()
    await again.store([1], StoreAction.ADD, ["\\Seen"])
    assert not again.is_defunct


async def test_two_logins_at_once_start_one_engine_for_an_account_set_up_anew(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    (row,) = await stack.store.read(accounts.all_accounts)
    changed = replace(row, settings={**row.settings, "listing": "sparse"})
    first, second = await asyncio.gather(stack.service.engine_of(changed), stack.service.engine_of(changed))
    assert first is second
    assert stack.service.engines() == [first]


async def test_a_disabled_account_is_worked_on_no_more(stack: Stack) -> None:
    await stack.add_account("work", layout="folders")
    (row,) = await stack.store.read(accounts.all_accounts)
    assert await stack.service.engine_of(replace(row, state=AccountState.DISABLED)) is None
    assert not stack.service.engines()
