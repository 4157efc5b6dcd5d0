"""What a connector must do that lists whole accounts, or whose changes tell of mailboxes."""

from __future__ import annotations

import pytest

from connectors.api.capabilities import Scope
from connectors.api.connector import Connector
from connectors.api.errors import CursorExpired
from connectors.api.types import FLAGGED, SEEN, ChangePage, Cursor, MessageState
from tests.conformance.base import (
    Suite,
    make_mailbox,
    require,
    require_account_listing,
    require_admin,
    require_subscriptions,
)
from tests.conformance.rig import INBOX, Ability, Path, Probe, Rig, chosen, mail, message_id, paths


async def whole_account(connector: Connector) -> list[MessageState]:
    return [state async for page in require_account_listing(connector).list_account() for state in page]


class AccountSuite(Suite):
    """Listing all messages at once, and the tree among the changes."""

    async def test_the_account_is_listed_oldest_first(self, rig: Rig, inbox: Probe) -> None:
        assert await whole_account(inbox.connector) == []
        for number in range(30):
            await rig.deliver(INBOX, mail(number))
        states = await whole_account(inbox.connector)
        await inbox.assert_are([state.ref for state in states], [mail(number) for number in range(30)])

    async def test_a_message_is_listed_once_with_all_its_mailboxes(self, inbox: Probe, other: Probe) -> None:
        require_account_listing(inbox.connector)
        if not inbox.connector.capabilities.many_mailboxes:
            pytest.skip("lacks the capability: many_mailboxes")
        both, there = await inbox.append(mail(1), frozenset({SEEN})), await other.append(mail(2))
        await inbox.connector.copy(inbox.ref, [both.ref], other.ref)
        states = await whole_account(inbox.connector)
        held = {state.ref: (await chosen(inbox.connector, state.mailboxes), state.flags) for state in states}
        assert held == {
            both.ref: (frozenset({inbox.ref, other.ref}), frozenset({SEEN})),
            there.ref: (frozenset({other.ref}), frozenset()),
        }

    async def test_an_account_listing_has_an_account_wide_cursor(self, connector: Connector) -> None:
        require_account_listing(connector)
        assert connector.capabilities.cursor_scope is Scope.ACCOUNT
        assert connector.capabilities.ref_scope is Scope.ACCOUNT

    async def test_what_stays_is_listed_whatever_goes_meanwhile(self, rig: Rig, inbox: Probe) -> None:
        account = require_account_listing(inbox.connector)
        for number in range(40):
            await rig.deliver(INBOX, mail(number))
        replica = inbox.replica()
        replica.cursor = await inbox.position()
        is_disturbed = False
        async for page in account.list_account():
            for state in page:
                replica.apply(state)
            if not is_disturbed:
                # Whoever pages by position would now skip five.
                is_disturbed = True
                for number in range(5):
                    await rig.remove(INBOX, message_id(number))
                await rig.set_flags(INBOX, message_id(39), frozenset({FLAGGED}))
        await replica.catch_up()
        await replica.check()
        assert len(replica.flags) == 35

    # -- the tree among the changes -----------------------------------------------------------------------------------

    async def test_changes_tell_of_mailboxes_made_renamed_and_deleted(self, connector: Connector) -> None:
        cursor = await self._told_position(connector)
        admin = require_admin(connector)
        made = await admin.create_mailbox(("Made",), None)
        cursor = await self._expect_tree(connector, cursor)
        renamed = await admin.rename_mailbox(made.ref, ("Renamed",))
        cursor = await self._expect_tree(connector, cursor)
        await admin.delete_mailbox(renamed.ref)
        await self._expect_tree(connector, cursor)

    async def test_changes_tell_of_mailboxes_made_and_deleted_outside(self, rig: Rig, connector: Connector) -> None:
        cursor = await self._told_position(connector)
        require(rig, Ability.OUTSIDE_MAILBOXES)
        path: Path = ("Outside",)
        await rig.create_mailbox(path)
        cursor = await self._expect_tree(connector, cursor)
        assert path in paths(await connector.list_mailboxes())
        await rig.delete_mailbox(path)
        await self._expect_tree(connector, cursor)
        assert path not in paths(await connector.list_mailboxes())

    async def test_changes_tell_of_subscriptions(self, rig: Rig, connector: Connector) -> None:
        await self._told_position(connector)
        require(rig, Ability.TOLD_SUBSCRIPTIONS)
        subscriptions = require_subscriptions(connector)
        made = await make_mailbox(rig, connector, ("Made",))
        await subscriptions.subscribe(made.ref, True)
        cursor = await connector.position(None)
        await subscriptions.subscribe(made.ref, False)
        await self._expect_tree(connector, cursor)

    async def test_a_message_in_a_new_mailbox_is_among_the_changes_that_tell_of_it(
        self, rig: Rig, inbox: Probe
    ) -> None:
        cursor = await self._told_position(inbox.connector)
        state = await inbox.append(mail(1))
        made = await make_mailbox(rig, inbox.connector, ("Made",))
        await inbox.connector.move(inbox.ref, [state.ref], made.ref)
        pages = await self._pages(inbox.connector, cursor)
        assert any(page.mailboxes_changed for page in pages)
        connector = inbox.connector
        latest = {found.ref: await chosen(connector, found.mailboxes) for page in pages for found in page.changed}
        assert latest == {state.ref: frozenset({made.ref})}

    @staticmethod
    async def _told_position(connector: Connector) -> Cursor:
        if not connector.capabilities.reports_tree:
            pytest.skip("lacks the capability: reports_tree")
        assert connector.capabilities.cursor_scope is Scope.ACCOUNT
        return await connector.position(None)

    @staticmethod
    async def _pages(connector: Connector, cursor: Cursor) -> list[ChangePage]:
        return [page async for page in connector.changes(None, cursor)]

    async def _expect_tree(self, connector: Connector, cursor: Cursor) -> Cursor:
        """Assert that the changes tell of the tree, once; return the cursor after them."""
        try:
            pages = await self._pages(connector, cursor)
        except CursorExpired:
            # Everything is listed anew then, the tree included.
            return await connector.position(None)
        assert any(page.mailboxes_changed for page in pages)
        after = pages[-1].cursor
        assert after is not None
        assert not any(page.mailboxes_changed for page in await self._pages(connector, after))
        return after
