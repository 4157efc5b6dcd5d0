"""Fixtures that all parts of the suite share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from typing import NoReturn

import pytest

from connectors.api.abilities import (
    AccountListing,
    BatchAppend,
    BatchFetch,
    MailboxAdmin,
    NewMessage,
    PreparedAppend,
    Push,
    Quota,
    Subscriptions,
    TextSearch,
)
from connectors.api.connector import Connector
from connectors.api.errors import Unsupported
from connectors.api.types import MailboxRef, MessageState
from tests.conformance.rig import INBOX, Ability, Path, Probe, Rig, find_mailbox


class Suite:
    """A subclass overrides `rig`; the rest follows from it."""

    @pytest.fixture
    def rig(self) -> Rig:
        raise AssertionError("a suite needs a rig")

    @pytest.fixture
    async def connector(self, rig: Rig) -> AsyncIterator[Connector]:
        connector = rig.connector()
        await connector.open()
        yield connector
        await connector.close()

    @pytest.fixture
    async def inbox(self, connector: Connector) -> Probe:
        return Probe(connector, (await find_mailbox(connector, INBOX)).ref)

    @pytest.fixture
    async def other(self, rig: Rig, connector: Connector) -> Probe:
        """A second mailbox, empty."""
        return await make_mailbox(rig, connector, ("Other",))


def require(rig: Rig, ability: Ability) -> None:
    """Skip the test if the rig lacks the ability."""
    if ability not in rig.abilities:
        pytest.skip(f"lacks the ability: {ability.value}")


def require_stored_octets(connector: Connector) -> None:
    """Skip the test if the backend composes messages anew, from what it knows."""
    if connector.capabilities.bodies_vary:
        pytest.skip("lacks the capability: octets that do not vary")


def require_admin(connector: Connector) -> MailboxAdmin:
    return connector if isinstance(connector, MailboxAdmin) else _skip(MailboxAdmin)


def require_subscriptions(connector: Connector) -> Subscriptions:
    return connector if isinstance(connector, Subscriptions) else _skip(Subscriptions)


def require_push(connector: Connector) -> Push:
    return connector if isinstance(connector, Push) else _skip(Push)


def require_account_listing(connector: Connector) -> AccountListing:
    return connector if isinstance(connector, AccountListing) else _skip(AccountListing)


def require_batch_fetch(connector: Connector) -> BatchFetch:
    return connector if isinstance(connector, BatchFetch) else _skip(BatchFetch)


async def stored_together(
    connector: Connector, mailbox: MailboxRef, messages: Sequence[NewMessage]
) -> Sequence[MessageState]:
    """Store messages in one request; skip the test if the connector cannot, or the server behind it."""
    if not isinstance(connector, BatchAppend):
        _skip(BatchAppend)
    try:
        return await connector.append_many(mailbox, messages)
    except Unsupported:
        _skip(BatchAppend)


async def stored_by_leave(
    connector: Connector, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None]
) -> Sequence[MessageState]:
    """Store messages once there is leave; skip the test if the connector cannot, or the server behind it."""
    if not isinstance(connector, PreparedAppend):
        _skip(PreparedAppend)
    try:
        return await connector.append_by_leave(mailbox, messages, leave)
    except Unsupported:
        _skip(BatchAppend)


def require_search(connector: Connector) -> TextSearch:
    return connector if isinstance(connector, TextSearch) else _skip(TextSearch)


def require_quota(connector: Connector) -> Quota:
    return connector if isinstance(connector, Quota) else _skip(Quota)


def _skip(ability: type) -> NoReturn:
    pytest.skip(f"the connector lacks the ability: {ability.__name__}")


async def make_mailbox(rig: Rig, connector: Connector, path: Path) -> Probe:
    """Create a mailbox by whatever way there is."""
    if isinstance(connector, MailboxAdmin):
        await connector.create_mailbox(path, None)
    else:
        require(rig, Ability.OUTSIDE_MAILBOXES)
        await rig.create_mailbox(path)
    return Probe(connector, (await find_mailbox(connector, path)).ref)
