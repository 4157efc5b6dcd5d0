from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.api.types import Role
from connectors.memory.backend import Layout, MemoryBackend
from gateway.mailbox.listings import KEPT_S, Listing, Listings
from gateway.mailbox.namespace import AccountTree, Tree
from gateway.mailbox.service import MailSettings
from gateway.mailbox.user_mail import UserMail
from gateway.store import accounts, mailboxes
from gateway.store.database import Transaction
from gateway.sync.bus import ChangeBus
from gateway.wire.commands import StoreAction
from tests.manual_clock import ManualClock
from tests.stack import INBOX, Stack, message, running_stack


@pytest.fixture
async def quiet(tmp_path: Path) -> AsyncIterator[Stack]:
    """A stack that lists no backend anew because a listing is old, so that a tree changes by what is done alone."""
    async with running_stack(tmp_path, mail=MailSettings(fresh_age_s=3600.0)) as stack:
        yield stack


async def names(user: UserMail) -> set[str]:
    return {entry.name for entry in await user.mailboxes() if entry.exists or entry.has_children}


async def read_anew(user: UserMail) -> Listing:
    return Listing(await user.tree())


async def test_a_tree_in_which_nothing_changes_is_made_once_for_all_sessions_of_a_user(quiet: Stack) -> None:
    backend = await quiet.add_account(layout="folders")
    first, second = await quiet.user(), await quiet.user()
    listing = await first.mailboxes()
    backend.deliver(("INBOX",), message(1))
    assert (await first.status("INBOX")).messages == 1
    assert await first.mailboxes() is listing
    assert await second.mailboxes() is listing
    assert list(listing) == list(await read_anew(second))


async def test_every_change_of_a_tree_is_in_the_next_listing_of_all_sessions(quiet: Stack) -> None:
    await quiet.add_account(layout="folders")
    one, other = await quiet.user(), await quiet.user()

    async def check() -> set[str]:
        listing = await other.mailboxes()
        assert listing is await one.mailboxes()
        fresh = await read_anew(one)
        assert (list(listing), listing.ids) == (list(fresh), fresh.ids)
        return {entry.name for entry in listing if entry.exists or entry.has_children}

    before = await check()
    await one.create("New/Below")
    assert await check() >= before | {"New", "New/Below"}
    await one.rename("New/Below", "Old")
    assert "New/Below" not in await check()
    await one.subscribe("Old", False)
    assert await check() >= before | {"Old"}
    assert {entry.name: entry.is_subscribed for entry in await other.mailboxes()}["Old"] is False
    await one.create("Kept", [Role.IMPORTANT])
    await check()
    assert {entry.name: entry.role for entry in await other.mailboxes()}["Kept"] is Role.IMPORTANT
    await one.delete("Old")
    assert "Old" not in await check()


async def test_a_label_that_a_message_brings_with_it_is_in_the_next_listing(quiet: Stack) -> None:
    quiet.backends["work"] = backend = MemoryBackend(Layout.LABELS, has_gmail_ids=True, is_sparse=True)
    backend.deliver(INBOX, message(1))
    await quiet.add_account("work")
    view, other = await quiet.open(), await quiet.user()
    assert "Work" not in await names(other)
    await view.store_labels([1], StoreAction.ADD, ["Work"])
    assert "Work" in await names(other)
    assert (await other.status("Work")).messages == 1


async def test_a_change_that_nobody_has_told_of_is_listed_all_the_same(quiet: Stack) -> None:
    await quiet.add_account(layout="folders")
    user = await quiet.user()
    await names(user)
    inbox = (await user.row("INBOX")).id

    async def change(tx: Transaction) -> None:
        await mailboxes.update_mailbox(tx, inbox, is_subscribed=False)

    await quiet.store.write(change)
    assert not next(entry for entry in await user.mailboxes() if entry.name == "INBOX").is_subscribed


async def test_what_is_told_of_is_read_anew_though_no_mailbox_was_written(quiet: Stack) -> None:
    await quiet.add_account()
    user = await quiet.user()
    listing = await user.mailboxes()
    quiet.service.bus.publish_tree(quiet.engine().context.account_id)
    assert await user.mailboxes() is not listing


async def test_an_account_that_was_removed_from_outside_is_not_listed_from_memory(quiet: Stack) -> None:
    await quiet.add_account("Work", layout="folders")
    await quiet.add_account("Home", layout="folders")
    user = await quiet.user()
    assert {"Work/INBOX", "Home/INBOX"} <= await names(user)
    home = (await user.row("Home/INBOX")).account_id
    await quiet.store.write(lambda tx: accounts.remove_account(tx, home))
    assert not any(name.startswith("Home/") for name in await names(user))
    assert await names(await quiet.user()) > {"INBOX"}


async def test_an_account_that_was_added_is_listed_by_who_logs_in_next(quiet: Stack) -> None:
    await quiet.add_account("Work", layout="folders")
    user = await quiet.user()
    before = await names(user)
    await quiet.add_account("Home", layout="folders")
    assert {"Work/INBOX", "Home/INBOX"} <= await names(await quiet.user())
    assert await names(user) == before


async def test_each_user_has_a_tree_of_his_own(quiet: Stack) -> None:
    await quiet.add_account("work", "alex", layout="folders")
    await quiet.add_account("other", "kim", layout="folders")
    alex, kim = await quiet.user("alex"), await quiet.user("kim")
    await alex.create("Private")
    assert "Private" in await names(alex)
    assert "Private" not in await names(kim)


async def test_a_tree_read_before_a_change_is_not_kept_for_after_it(quiet: Stack) -> None:
    await quiet.add_account(layout="folders")
    user = await quiet.user()
    listings, owner = quiet.service.listings, user._owner
    listings._kept.clear()
    stamp, stale = listings.stamp(owner), await read_anew(user)
    await user.create("Meanwhile")
    listings.keep(owner, stamp, stale)
    assert await listings.find(owner) is None
    assert "Meanwhile" in await names(user)


async def test_a_listing_is_let_go_when_it_was_not_asked_for_long(quiet: Stack) -> None:
    await quiet.add_account()
    user, clock = await quiet.user(), ManualClock()
    owner, listing = user._owner, await user.mailboxes()
    listings = Listings(quiet.store, ChangeBus(), clock)
    listings.keep(owner, listings.stamp(owner), listing)
    for _ in range(3):
        clock.advance(KEPT_S * 0.9)
        assert await listings.find(owner) is listing
    clock.advance(KEPT_S * 1.1)
    assert await listings.find(owner) is None


@pytest.mark.parametrize("names_of_it", [0, 1000])
async def test_what_is_made_of_a_listing_is_made_once_and_only_a_few_are_kept(names_of_it: int) -> None:
    names_below = {(f"Box {number}",): None for number in range(names_of_it)}
    listing = Listing(Tree([AccountTree(1, "work", True, [], names_below)]))
    assert len(listing) == len(list(listing)) == names_of_it
    assert listing[:1] == tuple(listing)[:1]
    made: list[int] = []

    async def make(number: int) -> int:
        def make_it(given: Listing) -> int:
            assert given is listing
            made.append(number)
            return number + 100

        return await listing.made(number, make_it)

    assert [await make(1), await make(1), await make(2)] == [101, 101, 102]
    assert made == [1, 2]
    for number in range(10):
        await make(number)
    await make(9)
    await make(1)
    assert made == [1, 2, 0, *range(3, 10), 1]
