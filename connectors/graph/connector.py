"""The Microsoft Graph connector: the contract's methods, each in a module of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime

import httpx

from connectors.api.abilities import BatchFetch, MailboxAdmin, Push, TextQuery, TextSearch
from connectors.api.capabilities import Capabilities, Scope
from connectors.api.connector import Connector
from connectors.api.credentials import CredentialSource
from connectors.api.errors import Unavailable
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
from connectors.graph import appending, changes, expunging, listing, mailboxes, reading, searching, writing
from connectors.graph.client import GraphClient
from connectors.graph.imap_append import Letterbox
from connectors.graph.mail import Mail
from connectors.graph.push import PushWatcher
from connectors.graph.settings import GraphSettings, parse_settings
from connectors.transport.clock import Clock

BATCH_LIMIT = 1000
"""Messages in one write: fifty batches of Graph's."""

OUTLINE_LIMIT = 100
"""Headers in one call: five batches."""


def make_connector(settings: Mapping[str, SettingValue], credentials: CredentialSource) -> GraphConnector:
    """Build the connector from checked settings.

    Raises:
        SettingError: see `parse_settings`.
    """
    return GraphConnector(parse_settings(settings), credentials)


class GraphConnector(Connector, MailboxAdmin, Push, BatchFetch, TextSearch):
    """A mailbox of Microsoft's.

    Refs of mailboxes are ids of folders, those of messages immutable ids: a message keeps its own as long as it is in
    the mailbox, in whichever folder.
    """

    def __init__(
        self,
        settings: GraphSettings,
        credentials: CredentialSource,
        *,
        clock: Clock | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._client = GraphClient(settings, credentials, clock=clock, transport=transport)
        self._mail = Mail(self._client, settings)
        self._letterbox = Letterbox.of(settings, credentials)
        self._push = PushWatcher(self._mail) if settings.notification_url is not None else None
        self._is_open = False

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            ref_scope=Scope.ACCOUNT,
            cursor_scope=Scope.MAILBOX,
            has_deleted_flag=False,
            batch_limit=BATCH_LIMIT,
            outline_limit=OUTLINE_LIMIT,
            append_limit=appending.MAX_OCTETS,
            poll_interval_s=self._settings.poll_interval_s,
            bodies_vary=True,
        )

    async def open(self) -> None:
        await self._client.open()
        await self._mail.read_places()
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        if self._push is not None:
            await self._push.close()
        if self._letterbox is not None:
            await self._letterbox.close()
        await self._client.close()

    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        return (await self._opened().read_tree()).infos

    # -- reading ------------------------------------------------------------------------------------------------------

    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        return await listing.position(self._opened(), _given(mailbox))

    def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        return listing.listing(self._opened(), mailbox)

    def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        return changes.changes(self._opened(), _given(mailbox), cursor)

    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        return await reading.states(self._opened(), mailbox, refs)

    def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        return reading.outlines(self._opened(), mailbox, refs)

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
        return await appending.append(self._opened(), mailbox, content, flags, internal_date, self._letterbox)

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
        """Yield an event for each change that Graph tells of; nothing if it has no address on the Internet for that."""
        self._opened()
        if self._push is None:
            await self._client.closed.wait()
            return
        async with contextlib.aclosing(self._push.events()) as events:
            async for event in events:
                yield event

    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Look at these mailboxes at each poll, however many others there are, and have Graph tell of them."""
        self._mail.looks.interest = mailboxes
        if self._push is not None:
            self._push.set_interest(mailboxes)

    def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        return reading.fetch_many(self._opened(), mailbox, refs)

    async def search_text(self, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
        return await searching.search_text(self._opened(), mailbox, query)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _opened(self) -> Mail:
        if not self._is_open:
            raise Unavailable("the Graph connector is not open")
        return self._mail


def _given(mailbox: MailboxRef | None) -> MailboxRef:
    assert mailbox is not None, "cursors of this connector are for one mailbox each"
    return mailbox
