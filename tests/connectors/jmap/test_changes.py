"""Cursors and changes: robust against whatever order, repetition and silence a server is capable of."""

from __future__ import annotations

import asyncio
import random

import pytest

from connectors.api.errors import CursorExpired
from connectors.api.types import FLAGGED, ChangePage, Cursor, MailboxRef, MessageRef
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import BEGIN, FakeRig, Stage, staged
from tests.fakes.jmap.options import FakeOptions, FakeUser, Quirk
from tests.fakes.jmap.server import running_fake

ORDERS = [
    frozenset[Quirk](),
    frozenset({Quirk.NEWEST_FIRST_CHANGES}),
    frozenset({Quirk.CHANGES_BY_LAST_CHANGE}),
    frozenset({Quirk.CREATED_AND_DESTROYED}),
    frozenset({Quirk.NEWEST_FIRST_CHANGES, Quirk.CREATED_AND_DESTROYED}),
]


async def follow(stage: Stage, cursor: Cursor) -> list[ChangePage]:
    return [page async for page in stage.connector.changes(None, cursor)]


def after(pages: list[ChangePage], cursor: Cursor) -> Cursor:
    return pages[-1].cursor or cursor if pages else cursor


# -- what is told -----------------------------------------------------------------------------------------------------


async def test_new_messages_come_in_the_order_of_their_dates_whatever_the_servers() -> None:
    quirks = frozenset({Quirk.NEWEST_FIRST_CHANGES})
    async with staged(FakeOptions(changes_clamp=3, quirks=quirks)) as stage:
        cursor = await stage.connector.position(None)
        refs = stage.fill(20)
        (page,) = await follow(stage, cursor)
        assert [state.ref for state in page.changed] == refs


async def test_a_message_that_came_and_went_is_only_gone() -> None:
    for quirks in ORDERS:
        async with staged(FakeOptions(changes_clamp=1, quirks=quirks)) as stage:
            cursor = await stage.connector.position(None)
            (ref,) = stage.fill(1)
            stage.fake.set_keywords(ref, ["$seen"])
            stage.fake.remove(ref)
            for page in await follow(stage, cursor):
                assert page.changed == ()
                assert set(page.removed) <= {ref}


@pytest.mark.parametrize("quirk", [Quirk.GET_STOPS_SHORT, Quirk.LIMITS_COUNT_TOGETHER])
async def test_a_server_that_gives_fewer_than_it_says_makes_no_message_gone(quirk: Quirk) -> None:
    async with staged(FakeOptions(max_objects_in_get=20, quirks=frozenset({quirk}))) as stage:
        old = stage.fill(15)
        cursor = await stage.connector.position(None)
        new = stage.fill(15)
        for ref in old:
            stage.fake.set_keywords(ref, ["$seen"])
        pages = await follow(stage, cursor)
        assert {state.ref for page in pages for state in page.changed} == {*old, *new}
        assert [page.removed for page in pages if page.removed] == []


async def test_a_message_destroyed_between_being_told_and_being_read_is_gone() -> None:
    async with staged() as stage:
        kept, gone = stage.fill(2)
        cursor = await stage.connector.position(None)
        stage.fake.set_keywords(kept, ["$flagged"])
        stage.fake.set_keywords(gone, ["$flagged"])
        gate = stage.fake.hold("Email/get")
        changes = stage.connector.changes(None, cursor)

        reading = asyncio.ensure_future(anext(changes))
        await gate.arrived()
        stage.fake.remove(gone)
        gate.release()
        page = await reading
        assert [(state.ref, state.flags) for state in page.changed] == [(kept, frozenset({FLAGGED}))]
        assert page.removed == (gone,)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("quirks", ORDERS)
async def test_any_history_is_followed(seed: int, quirks: frozenset[Quirk]) -> None:
    chance = random.Random(seed)
    async with staged(FakeOptions(changes_clamp=chance.choice([None, 1, 2, 5]), quirks=quirks)) as stage:
        known: dict[MessageRef, tuple[frozenset[MailboxRef] | None, frozenset[str] | None]] = {}
        cursor = await stage.connector.position(None)
        numbers = iter(range(10_000))
        for _ in range(8):
            for _ in range(chance.randrange(12)):
                happen(stage, chance, next(numbers))
            pages = await follow(stage, cursor)
            # Applying the same twice must not matter.
            for page in [*pages, *pages]:
                known |= {state.ref: (state.mailboxes, state.flags) for state in page.changed}
                for ref in page.removed:
                    known.pop(ref, None)
            cursor = after(pages, cursor)
            assert known == {
                ref: (frozenset(email.mailbox_ids), frozenset(email.keywords))
                for ref, email in stage.fake.account().emails.items()
            }


def happen(stage: Stage, chance: random.Random, number: int) -> None:
    fake = stage.fake
    refs = list(fake.account().emails)
    choice = chance.random()
    if choice < 0.4 or not refs:
        fake.deliver(chance.choice(["INBOX", "Sent"]), mail(number))
    elif choice < 0.6:
        fake.set_keywords(chance.choice(refs), add=["work"], remove=["other"])
    elif choice < 0.8:
        fake.move(chance.choice(refs), *chance.sample(["INBOX", "Archive", "Sent"], chance.randint(1, 3)))
    else:
        fake.remove(chance.choice(refs))


async def test_many_changes_come_in_pages_and_the_cursor_with_the_last() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        refs = stage.fill(2300)
        stage.fake.remove(refs.pop(5))
        pages = await follow(stage, cursor)
        assert [len(page.changed) for page in pages] == [1000, 1000, 299]
        assert [page.cursor is None for page in pages] == [True, True, False]
        assert await follow(stage, after(pages, cursor)) == []


# -- cursors ----------------------------------------------------------------------------------------------------------


async def test_a_cursor_of_an_earlier_process_works() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        (ref,) = stage.fill(1)
        fresh = FakeRig(stage.fake).connector()
        await fresh.open()
        (page,) = [page async for page in fresh.changes(None, cursor)]
        assert [state.ref for state in page.changed] == [ref]
        await fresh.close()


@pytest.mark.parametrize(
    "cursor", ["", "x", "[]", '["1","A001","s"]', '["2","A001","s","s"]', '["1","A999","s","s"]', "7"]
)
async def test_a_cursor_of_unknown_origin_has_expired(cursor: str) -> None:
    async with staged() as stage:
        with pytest.raises(CursorExpired):
            await follow(stage, Cursor(cursor))


async def test_a_cursor_is_of_one_account() -> None:
    user = FakeUser(accounts=("alice", "shared"))
    async with running_fake(FakeOptions(users=(user,))) as fake:
        other = FakeRig(fake).connector(account_id=fake.account("shared").id)
        own = FakeRig(fake).connector()
        await own.open()
        await other.open()
        cursor = await own.position(None)
        with pytest.raises(CursorExpired):
            _ = [page async for page in other.changes(None, cursor)]
        await own.close()
        await other.close()


@pytest.mark.parametrize(
    "quirks",
    [
        frozenset[Quirk](),
        frozenset({Quirk.INVALID_ARGUMENTS_FOR_BAD_STATE}),
        frozenset({Quirk.CANNOT_CALCULATE_CHANGES}),
    ],
)
async def test_a_state_that_is_too_old_has_expired(quirks: frozenset[Quirk]) -> None:
    async with staged(FakeOptions(quirks=quirks)) as stage:
        cursor = await stage.connector.position(None)
        stage.fill(1)
        stage.fake.expire_states()
        with pytest.raises(CursorExpired):
            await follow(stage, cursor)


async def test_changes_that_never_end_have_expired() -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.ENDLESS_CHANGES}))) as stage:
        cursor = await stage.connector.position(None)
        stage.fill(2)
        with pytest.raises(CursorExpired):
            await follow(stage, cursor)
        assert stage.api_requests() < 10


async def test_a_tree_whose_state_is_too_old_is_listed_and_no_message_is() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        (ref,) = stage.fill(1)
        stage.fake.fail_next("Mailbox/changes", "method-error", error="cannotCalculateChanges")
        (page,) = await follow(stage, cursor)
        assert page.mailboxes_changed
        assert [state.ref for state in page.changed] == [ref]
        assert await follow(stage, after([page], cursor)) == []


# -- the tree ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quirks", [frozenset[Quirk](), frozenset({Quirk.NO_UPDATED_PROPERTIES})])
async def test_counts_are_no_change_of_the_tree(quirks: frozenset[Quirk]) -> None:
    async with staged(FakeOptions(quirks=quirks)) as stage:
        cursor = await stage.connector.position(None)
        stage.fill(3)
        (page,) = await follow(stage, cursor)
        assert not page.mailboxes_changed


@pytest.mark.parametrize("quirks", [frozenset[Quirk](), frozenset({Quirk.NO_UPDATED_PROPERTIES})])
async def test_the_tree_is_told_when_it_changes(quirks: frozenset[Quirk]) -> None:
    async with staged(FakeOptions(quirks=quirks)) as stage:
        fake, cursor = stage.fake, await stage.connector.position(None)
        for change in (
            lambda: fake.create_mailbox("New"),
            lambda: fake.rename_mailbox("New", "Newer"),
            lambda: fake.subscribe("Newer", not fake.mailbox("Newer").is_subscribed),
            lambda: fake.deny("Newer", "maySetSeen"),
            lambda: fake.delete_mailbox("Newer"),
        ):
            change()
            pages = await follow(stage, cursor)
            assert any(page.mailboxes_changed for page in pages)
            cursor = after(pages, cursor)
            await stage.connector.list_mailboxes()
            assert await follow(stage, cursor) == []


async def test_what_is_changed_by_the_connector_itself_is_told_as_well() -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.NO_UPDATED_PROPERTIES}))) as stage:
        cursor = await stage.connector.position(None)
        await stage.connector.subscribe(stage.ref("Sent"), False)
        await stage.connector.subscribe(stage.ref("Sent"), True)
        pages = await follow(stage, cursor)
        assert any(page.mailboxes_changed for page in pages)


async def test_a_silent_server_is_found_out_in_time() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        sent = stage.fake.mailbox("Sent")
        sent.is_subscribed = not sent.is_subscribed
        assert not any(page.mailboxes_changed for page in await follow(stage, cursor))
        stage.clock.advance(1000)
        stage.fake.stats.reset()
        assert any(page.mailboxes_changed for page in await follow(stage, cursor))
        assert stage.api_requests() == 1
        await stage.connector.list_mailboxes()
        assert not any(page.mailboxes_changed for page in await follow(stage, cursor))


async def test_a_mailbox_made_while_changes_are_read_is_told_by_the_next() -> None:
    async with staged() as stage:
        cursor = await stage.connector.position(None)
        gate = stage.fake.hold("Email/changes")

        reading = asyncio.ensure_future(anext(stage.connector.changes(None, cursor)))
        await gate.arrived()
        stage.fake.create_mailbox("New")
        stage.fake.deliver("New", mail(1), received_at=BEGIN)
        gate.release()
        page = await reading
        assert [state.mailboxes for state in page.changed] == [frozenset({stage.ref("New")})]
        assert page.cursor is not None
        assert page.mailboxes_changed or (await follow(stage, page.cursor))[0].mailboxes_changed


async def test_a_new_mailbox_of_which_only_the_counts_are_told_is_a_change_of_the_tree() -> None:
    """A server that tells each object where it changed last may have told all before that it was made, but for it."""
    async with staged(FakeOptions(changes_clamp=1, quirks=frozenset({Quirk.CHANGES_BY_LAST_CHANGE}))) as stage:
        cursor = await stage.connector.position(None)
        stage.fake.create_mailbox("New")
        (ref,) = stage.fill(1)
        stage.fake.move(ref, "New")
        stage.fake.remove(ref)
        assert any(page.mailboxes_changed for page in await follow(stage, cursor))


async def test_a_rename_of_which_only_the_counts_are_told_is_a_change_of_the_tree() -> None:
    async with staged(FakeOptions(changes_clamp=1, quirks=frozenset({Quirk.CHANGES_BY_LAST_CHANGE}))) as stage:
        (ref,) = stage.fill(1)
        cursor = await stage.connector.position(None)
        stage.fake.rename_mailbox("Archive", "Renamed")
        stage.fake.move(ref, "Renamed")
        assert any(page.mailboxes_changed for page in await follow(stage, cursor))
