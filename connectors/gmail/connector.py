"""The Gmail connector: the contract's methods, each in a module of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime

import httpx

from connectors.api.abilities import (
    AccountListing,
    BatchFetch,
    MailboxAdmin,
    NativeSearch,
    Push,
    TextQuery,
    TextSearch,
)
from connectors.api.capabilities import Capabilities, Scope
from connectors.api.connector import Connector
from connectors.api.credentials import CredentialSource
from connectors.api.errors import Unavailable, Unsupported
from connectors.api.settings import SettingValue
from connectors.api.types import (
    DELETED,
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
from connectors.gmail import appending, expunging, history, mailboxes, reading, searching, skeleton, writing
from connectors.gmail.client import GmailClient
from connectors.gmail.mail import Mail
from connectors.gmail.methods import MAX_MESSAGE_OCTETS
from connectors.gmail.oauth import pubsub_source
from connectors.gmail.push import PushWatcher
from connectors.gmail.relabel import MAX_IDS
from connectors.gmail.settings import GmailSettings, parse_settings
from connectors.transport.clock import Clock

_FETCH_LIMIT = 100
"""Messages in one call of `fetch_many`: one batch of Google's at most."""


def make_connector(settings: Mapping[str, SettingValue], credentials: CredentialSource) -> GmailConnector:
    """Build the connector from checked settings.

    Raises:
        SettingError: see `parse_settings`.
    """
    return GmailConnector(parse_settings(settings), credentials)


class GmailConnector(Connector, AccountListing, MailboxAdmin, Push, BatchFetch, TextSearch, NativeSearch):
    """A Gmail account. Refs of mailboxes are ids of labels, those of messages Gmail's ids: neither ever changes."""

    def __init__(
        self,
        settings: GmailSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._pubsub = pubsub_source(credentials)
        self._transport = transport
        self._client = GmailClient(settings, credentials, clock=clock, transport=transport)
        self._mail = Mail(self._client, settings)
        self._is_open = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            ref_scope=Scope.ACCOUNT,
            cursor_scope=Scope.ACCOUNT,
            many_mailboxes=True,
            has_deleted_flag=self._settings.auto_expunge,
            batch_limit=MAX_IDS,
            outline_limit=_FETCH_LIMIT,
            append_limit=MAX_MESSAGE_OCTETS,
            poll_interval_s=self._settings.poll_interval_s,
            reports_tree=True,
            lists_by_mailbox=True,
            gmail_ids=True,
        )

    async def open(self) -> None:
        await self._client.open()
        _, newest = await self._mail.profile()
        self._mail.known.begin_at(newest)
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        await self._client.close()

    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        mail = self._opened()
        tree = await mail.read_tree()
        mail.listed = tree.digest
        return tree.infos

    # -- reading ------------------------------------------------------------------------------------------------------

    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        _check_account_wide(mailbox)
        return await history.position(self._opened())

    def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        return skeleton.listing(self._opened(), mailbox)

    def list_account(self) -> AsyncIterator[Sequence[MessageState]]:
        return skeleton.list_account(self._opened())

    def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        _check_account_wide(mailbox)
        return history.changes(self._opened(), cursor)

    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        return await reading.states(self._opened(), mailbox, refs)

    def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        """Refuse: all formats of messages.get cost the same, and only the whole message tells its size."""
        raise Unsupported("Gmail gives headers for the price of whole messages")

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
        store = expunging.store_deleted if DELETED in add else writing.store_flags
        return await store(self._opened(), mailbox, refs, add, remove)

    async def append(
        self,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        return await appending.append(self._opened(), mailbox, content, flags, internal_date)

    async def copy(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        return await writing.copy(self._opened(), source, refs, destination)

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

    async def watch(self) -> AsyncIterator[PushEvent]:
        """Yield an event for each change that Gmail publishes, wherever it is; without a subscription none comes."""
        self._opened()
        if self._settings.subscription is None or self._pubsub is None:
            await self._client.closed.wait()
            return
        watcher = PushWatcher(self._client, self._pubsub, transport=self._transport)
        async with contextlib.aclosing(watcher.events()) as events:
            async for _ in events:
                yield PushEvent()

    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Nothing to do: Gmail tells of the whole account."""

    def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        return reading.fetch_many(self._opened(), mailbox, refs)

    async def search_text(self, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
        return await searching.search_text(self._opened(), mailbox, query)

    async def search_native(self, mailbox: MailboxRef, query: str) -> frozenset[MessageRef]:
        return await searching.search_native(self._opened(), mailbox, query)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _opened(self) -> Mail:
        if not self._is_open:
            raise Unavailable("the Gmail connector is not open")
        return self._mail


def _check_account_wide(mailbox: MailboxRef | None) -> None:
    assert mailbox is None, "cursors of this connector are for the whole account"
