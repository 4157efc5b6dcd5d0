"""The JMAP connector: the contract's methods, each in a module of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime

import httpx

from connectors.api.abilities import (
    AccountListing,
    BatchFetch,
    MailboxAdmin,
    Push,
    Quota,
    QuotaInfo,
    Subscriptions,
    TextQuery,
    TextSearch,
)
from connectors.api.capabilities import Capabilities, Scope
from connectors.api.connector import Connector
from connectors.api.credentials import CredentialSource
from connectors.api.errors import Unavailable, Unsupported
from connectors.api.settings import SettingValue
from connectors.api.types import (
    BatchResult,
    ChangePage,
    Cursor,
    MailboxInfo,
    MailboxRef,
    MessageContent,
    MessageRef,
    MessageState,
    Outline,
    PushEvent,
    Role,
)
from connectors.jmap import appending, changes, expunging, listing, mailboxes, reading, searching, writing
from connectors.jmap.client import JmapClient
from connectors.jmap.mail import Mail
from connectors.jmap.settings import JmapSettings, parse_settings
from connectors.jmap.watch import Watcher
from connectors.transport.clock import Clock, LoopClock

_LEAST_CALLS = 6
"""Calls in one request that the connector makes do with; servers should allow 16 (RFC 8620 section 2)."""


def make_connector(settings: Mapping[str, SettingValue], credentials: CredentialSource) -> JmapConnector:
    """Build the connector from checked settings.

    Raises:
        SettingError: see `parse_settings`.
    """
    return JmapConnector(parse_settings(settings), credentials)


class JmapConnector(Connector, AccountListing, MailboxAdmin, Subscriptions, Push, BatchFetch, TextSearch, Quota):
    """A mail account at a JMAP server. Refs are ids of JMAP: those of mailboxes and messages never change."""

    def __init__(
        self,
        settings: JmapSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._client = JmapClient(settings, credentials, clock=clock, transport=transport)
        self._mail = Mail(self._client, settings, clock or LoopClock())
        self._capabilities = Capabilities(poll_interval_s=settings.poll_interval_s)
        self._is_open = False

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        await self._client.open()
        calls = self._client.limits.max_calls_in_request
        if calls < _LEAST_CALLS:
            raise Unsupported(f"the server takes {calls} calls in a request; {_LEAST_CALLS} are needed")
        self._capabilities = Capabilities(
            ref_scope=Scope.ACCOUNT,
            cursor_scope=Scope.ACCOUNT,
            many_mailboxes=self._mail.has_many_mailboxes,
            has_deleted_flag=False,
            batch_limit=self._mail.batch_limit,
            outline_limit=self._mail.outline_limit,
            append_limit=self._client.limits.max_size_upload,
            poll_interval_s=self._settings.poll_interval_s,
            reports_tree=True,
            jmap_url=self._client.view.url,
        )
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        await self._client.close()

    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        return await mailboxes.list_mailboxes(self._opened())

    # -- reading ------------------------------------------------------------------------------------------------------

    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        _check_account_wide(mailbox)
        return await changes.position(self._opened())

    def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        return listing.listing(self._opened(), mailbox)

    def list_account(self) -> AsyncIterator[Sequence[MessageState]]:
        return listing.list_account(self._opened())

    def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        _check_account_wide(mailbox)
        return changes.changes(self._opened(), cursor)

    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        return await reading.states(self._opened(), mailbox, refs)

    def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        return reading.outlines(self._opened(), refs)

    async def fetch(self, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
        return await reading.fetch(self._opened(), mailbox, ref)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def store_flags(
        self,
        mailbox: MailboxRef,
        refs: Sequence[MessageRef],
        add: frozenset[str],
        remove: frozenset[str],
    ) -> BatchResult:
        return await writing.store_flags(self._opened(), mailbox, refs, add, remove)

    async def append(
        self,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        return await appending.append(self._opened(), mailbox, content, flags, internal_date)

    async def copy(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        mail = self._opened()
        copy = writing.copy if mail.has_many_mailboxes else appending.copy_by_import
        return await copy(mail, source, refs, destination)

    async def move(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        return await writing.move(self._opened(), source, refs, destination)

    async def expunge(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
        return await expunging.expunge(self._opened(), mailbox, refs)

    # -- abilities ----------------------------------------------------------------------------------------------------

    async def create_mailbox(self, path: tuple[str, ...], role: Role | None) -> MailboxInfo:
        return await mailboxes.create_mailbox(self._opened(), path, role)

    async def rename_mailbox(self, mailbox: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
        return await mailboxes.rename_mailbox(self._opened(), mailbox, path)

    async def delete_mailbox(self, mailbox: MailboxRef) -> None:
        await mailboxes.delete_mailbox(self._opened(), mailbox)

    async def subscribe(self, mailbox: MailboxRef, is_subscribed: bool) -> None:
        await mailboxes.subscribe(self._opened(), mailbox, is_subscribed)

    async def watch(self) -> AsyncIterator[PushEvent]:
        """Yield an event for each change the server tells of, whatever and wherever it is."""
        self._opened()
        async with contextlib.aclosing(Watcher(self._client).events()) as events:
            async for _ in events:
                yield PushEvent()

    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Nothing to do: the server tells of the whole account."""

    def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        return reading.fetch_many(self._opened(), mailbox, refs, self._settings.max_concurrent)

    async def search_text(self, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
        return await searching.search_text(self._opened(), mailbox, query)

    async def quota(self) -> Sequence[QuotaInfo]:
        return await searching.quota(self._opened())

    # -- inside -------------------------------------------------------------------------------------------------------

    def _opened(self) -> Mail:
        if not self._is_open:
            raise Unavailable("the JMAP connector is not open")
        return self._mail


def _check_account_wide(mailbox: MailboxRef | None) -> None:
    assert mailbox is None, "cursors of this connector are for the whole account"
