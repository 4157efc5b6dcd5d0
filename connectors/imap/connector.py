"""The IMAP connector: the contract's methods, each in a module of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from functools import lru_cache

from connectors.api.abilities import (
    BatchAppend,
    BatchFetch,
    MailboxAdmin,
    NewMessage,
    PreparedAppend,
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
from connectors.api.spec import SettingValue
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
from connectors.imap import append, copying, listing, mailboxes, reading, searching, sync, writing
from connectors.imap.session import Session
from connectors.imap.settings import ImapSettings, parse_settings
from connectors.imap.watch import Watcher

_BATCH_LIMIT = 500
_OUTLINE_LIMIT = 200


def make_connector(settings: Mapping[str, SettingValue], credentials: CredentialSource) -> ImapConnector:
    """Build the connector from checked settings.

    Raises:
        SettingError: `ca_file` cannot be read.
    """
    return ImapConnector(parse_settings(settings), credentials)


@lru_cache(maxsize=64)
def _capabilities(server: frozenset[str], poll_interval_s: float) -> Capabilities:
    """Return what the connector can do at a server with these capabilities; the gateway asks all the time."""
    return Capabilities(
        ref_scope=Scope.MAILBOX,
        cursor_scope=Scope.MAILBOX,
        has_uids=True,
        batch_limit=_BATCH_LIMIT,
        outline_limit=_OUTLINE_LIMIT,
        append_limit=append.append_limit(server),
        poll_interval_s=poll_interval_s,
    )


class ImapConnector(
    Connector, MailboxAdmin, Subscriptions, Push, BatchFetch, BatchAppend, PreparedAppend, TextSearch, Quota
):
    """An account at an IMAP server. Message refs are UIDs in decimal; UIDs and UIDVALIDITY are the server's own."""

    def __init__(self, settings: ImapSettings, credentials: CredentialSource) -> None:
        self._settings = settings
        self._session = Session(settings, credentials)
        self._watcher = Watcher(self._session)

    @property
    def capabilities(self) -> Capabilities:
        return _capabilities(self._session.capabilities, self._settings.poll_interval_s)

    async def open(self) -> None:
        self._session.capabilities = await self._session.pool.open()

    async def close(self) -> None:
        await self._session.pool.close()
        self._watcher.stop()

    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        return await mailboxes.list_mailboxes(self._session)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        ref = _given(mailbox)
        believed = self._session.believed.get(ref)
        found = await sync.position(self._session, ref)
        if believed not in (None, found.uidvalidity):
            self._watcher.renew(ref)
        return found.encode()

    def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        return listing.listing(self._session, mailbox)

    def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        return sync.changes(self._session, _given(mailbox), cursor)

    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        return await sync.states(self._session, mailbox, refs)

    def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        return reading.outlines(self._session, mailbox, refs)

    async def fetch(self, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
        return await reading.fetch(self._session, mailbox, ref)

    # -- writing ------------------------------------------------------------------------------------------------------

    async def store_flags(
        self,
        mailbox: MailboxRef,
        refs: Sequence[MessageRef],
        add: frozenset[str],
        remove: frozenset[str],
    ) -> BatchResult:
        return await writing.store_flags(self._session, mailbox, refs, add, remove)

    async def append(
        self,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        return await append.append(self._session, mailbox, content, flags, internal_date)

    async def append_many(self, mailbox: MailboxRef, messages: Sequence[NewMessage]) -> Sequence[MessageState]:
        return await append.append_many(self._session, mailbox, messages)

    async def append_by_leave(
        self, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None]
    ) -> Sequence[MessageState]:
        if len(messages) > 1:
            return await append.append_many(self._session, mailbox, messages, leave)
        (one,) = messages
        return [await append.append(self._session, mailbox, one.content, one.flags, one.internal_date, leave)]

    async def copy(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        return await copying.copy(self._session, source, refs, destination)

    async def move(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        return await copying.move(self._session, source, refs, destination)

    async def expunge(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
        return await writing.expunge(self._session, mailbox, refs)

    # -- abilities ----------------------------------------------------------------------------------------------------

    async def create_mailbox(self, path: tuple[str, ...], role: Role | None) -> MailboxInfo:
        return await mailboxes.create_mailbox(self._session, path, role)

    async def rename_mailbox(self, mailbox: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
        return await mailboxes.rename_mailbox(self._session, mailbox, path)

    async def delete_mailbox(self, mailbox: MailboxRef) -> None:
        await mailboxes.delete_mailbox(self._session, mailbox)

    async def subscribe(self, mailbox: MailboxRef, is_subscribed: bool) -> None:
        await mailboxes.subscribe(self._session, mailbox, is_subscribed)

    async def names_without_mailbox(self) -> Mapping[tuple[str, ...], MailboxRef] | None:
        return await mailboxes.names_without_mailbox(self._session)

    def watch(self) -> AsyncIterator[PushEvent]:
        return self._watcher.events()

    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        self._watcher.set_interest(mailboxes)

    def is_watching(self, mailbox: MailboxRef) -> bool:
        return self._watcher.is_watching(mailbox)

    def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        return reading.fetch_many(self._session, mailbox, refs)

    async def search_text(self, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
        return await searching.search_text(self._session, mailbox, query)

    async def quota(self) -> Sequence[QuotaInfo]:
        return await searching.quota(self._session)


def _given(mailbox: MailboxRef | None) -> MailboxRef:
    assert mailbox is not None, "cursors of this connector are per mailbox"
    return mailbox
