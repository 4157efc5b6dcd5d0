"""A connector to a `MemoryBackend`: the contract in its plainest form."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import TypeVar

from connectors.api.abilities import (
    AccountListing,
    BatchAppend,
    BatchFetch,
    MailboxAdmin,
    NativeSearch,
    NewMessage,
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
from connectors.api.errors import ConnectorError, Denied, NotFound, Rejected, Unavailable, Unsupported
from connectors.api.spec import ConnectorSpec, SettingError, SettingValue
from connectors.api.types import (
    BatchResult,
    BytesContent,
    ChangePage,
    Cursor,
    DatedBytes,
    MailboxInfo,
    MailboxRef,
    MessageContent,
    MessageRef,
    MessageState,
    Outline,
    PushEvent,
    Role,
)
from connectors.memory import SPEC, search
from connectors.memory.backend import Layout, MemoryBackend
from connectors.memory.composing import composed, header_block, retold_header
from connectors.memory.faults import Operation
from connectors.memory.journal import Entry, Watcher
from connectors.memory.mail import Mailbox, Message

T = TypeVar("T")


def build(settings: Mapping[str, SettingValue], credentials: CredentialSource) -> MemoryConnector:
    """Build a connector with a backend of its own, empty but for the usual mailboxes."""
    return connect(make_backend(settings))


def connect(backend: MemoryBackend) -> MemoryConnector:
    """Return a connector to the backend, with the abilities that it has."""
    if backend.has_gmail_ids:
        return GmailLikeConnector(backend)
    return AccountListingConnector(backend) if backend.lists_account else MemoryConnector(backend)


def make_backend(settings: Mapping[str, SettingValue]) -> MemoryBackend:
    """Build the backend that checked settings ask for.

    Raises:
        SettingError: something is asked for in a layout that has it not.
    """
    layout = Layout(settings["layout"])
    has_uids = bool(settings["uids"])
    if has_uids and layout is not Layout.FOLDERS:
        raise SettingError("uids", "goes with layout folders only")
    for key in ("lists_account", "reports_tree", "gmail_ids"):
        if settings[key] and layout is not Layout.LABELS:
            raise SettingError(key, "goes with layout labels only")
    if has_uids and settings["bodies_vary"]:
        raise SettingError("bodies_vary", "goes without uids only")
    return MemoryBackend(
        layout,
        has_uids=has_uids,
        is_sparse=settings["listing"] == "sparse",
        lists_account=bool(settings["lists_account"]),
        reports_tree=bool(settings["reports_tree"]),
        has_gmail_ids=bool(settings["gmail_ids"]),
        has_exact_headers=bool(settings["exact_headers"]),
        bodies_vary=bool(settings["bodies_vary"]),
    )


@dataclass(frozen=True, slots=True)
class SharedMemorySpec(ConnectorSpec):
    """A spec that builds connectors on backends which the process holds by name, made when first asked for.

    Several accounts, or an account and a test that acts from outside, share mail by the setting `backend`.
    """

    backends: dict[str, MemoryBackend] = field(default_factory=dict)

    def build(self, settings: Mapping[str, object], credentials: CredentialSource) -> MemoryConnector:
        checked = self.check(settings)
        name = str(checked["backend"])
        if name not in self.backends:
            self.backends[name] = make_backend(checked)
        return connect(self.backends[name])


def shared_spec(backends: dict[str, MemoryBackend]) -> SharedMemorySpec:
    """Return the spec of this connector over the backends given; new names are added to the same dictionary."""
    return SharedMemorySpec(SPEC.name, SPEC.title, SPEC.factory, SPEC.settings, credentials=(), backends=backends)


class MemoryConnector(Connector, MailboxAdmin, Subscriptions, Push, BatchFetch, BatchAppend, TextSearch, Quota):
    """One login at a memory backend."""

    def __init__(self, backend: MemoryBackend) -> None:
        self.backend = backend
        self._is_open = False
        self._watchers: set[Watcher] = set()
        is_label = backend.layout is Layout.LABELS
        self._capabilities = Capabilities(
            ref_scope=Scope.MAILBOX if backend.layout is Layout.FOLDERS else Scope.ACCOUNT,
            cursor_scope=Scope.ACCOUNT if is_label else Scope.MAILBOX,
            has_uids=backend.has_uids,
            many_mailboxes=is_label,
            has_deleted_flag=not is_label,
            batch_limit=backend.batch_limit,
            outline_limit=backend.outline_limit,
            append_limit=backend.append_limit,
            reports_tree=backend.reports_tree,
            gmail_ids=backend.has_gmail_ids,
            bodies_vary=backend.bodies_vary,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        await self.backend.faults.before(Operation.OPEN)
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        for watcher in self._watchers:
            watcher.ring(None)

    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        async with self._call(Operation.LIST_MAILBOXES):
            return [self.backend.info(mailbox) for mailbox in self.backend.tree()]

    # -- reading ------------------------------------------------------------------------------------------------------

    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        async with self._call(Operation.POSITION):
            return self.backend.journal.position(self._scope(mailbox))

    async def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        async with self._call(Operation.LISTING):
            box = self.backend.by_ref(mailbox)
        for page in _pages(list(box.messages), self.backend.page_size):
            self._check_usable(Operation.LISTING)
            yield self._states(box, page, is_sparse=self.backend.is_sparse)

    async def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        async with self._call(Operation.CHANGES):
            box = self._scope(mailbox)
            since = self.backend.journal.serial_of(cursor, box)
            entries = list(self.backend.journal.entries_after(cursor, box))
        for page in _pages(entries, self.backend.page_size):
            self._check_usable(Operation.CHANGES)
            yield self._page(box, page, since)

    def _page(self, mailbox: Mailbox | None, entries: Sequence[Entry], since: int) -> ChangePage:
        """Tell of the entries by the present state of what they name; a message that came and went is just gone."""
        backend = self.backend
        known = backend.every_message() if mailbox is None else mailbox.messages
        refs = dict.fromkeys(entry.ref for entry in entries if entry.ref is not None)
        changed = []
        for ref in refs:
            message = known.get(ref)
            if message is not None:
                state = backend.state(message, mailbox)
                is_altered = message.born <= since < message.altered
                changed.append(_with_changed_content(state) if is_altered else state)
        return ChangePage(
            changed=tuple(changed),
            removed=tuple(ref for ref in refs if ref not in known),
            cursor=backend.journal.cursor_at(entries[-1].serial, mailbox),
            mailboxes_changed=backend.reports_tree and any(entry.mailbox is None for entry in entries),
        )

    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        async with self._call(Operation.STATES):
            return self._states(self.backend.by_ref(mailbox), refs, is_sparse=False)

    async def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        async with self._call(Operation.OUTLINES):
            if not self.backend.has_outlines:
                raise Unsupported("headers come with the whole message only")
            self._check_batch(refs, self.backend.outline_limit)
            box = self.backend.by_ref(mailbox)
        for ref in refs:
            message = box.messages.get(ref)
            if message is not None:
                yield self._outline(ref, message)

    async def fetch(self, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
        async with self._call(Operation.FETCH):
            return self._content(self.backend.message(self.backend.by_ref(mailbox), ref))

    # -- writing ------------------------------------------------------------------------------------------------------

    async def store_flags(
        self,
        mailbox: MailboxRef,
        refs: Sequence[MessageRef],
        add: frozenset[str],
        remove: frozenset[str],
    ) -> BatchResult:
        async with self._call(Operation.STORE_FLAGS):
            box = self._writable(mailbox)

            def store(ref: MessageRef) -> MessageState:
                message = self.backend.message(box, ref)
                self.backend.change_flags(box, ref, (message.flags | add) - remove)
                return self.backend.state(message, box)

            return self._each(refs, store)

    async def append(
        self,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        async with self._call(Operation.APPEND):
            data = await _octets(content)
            box = self._writable(mailbox)
            ref = self.backend.add(box, data, flags, internal_date)
            return self.backend.state(box.messages[ref], box)

    async def append_many(self, mailbox: MailboxRef, messages: Sequence[NewMessage]) -> Sequence[MessageState]:
        async with self._call(Operation.APPEND_MANY):
            if not self.backend.appends_together:
                raise Unsupported("messages are taken one by one")
            texts = [await _octets(message.content) for message in messages]
            box = self._writable(mailbox)
            refs: list[MessageRef] = []
            try:
                for message, data in zip(messages, texts, strict=True):
                    refs.append(self.backend.add(box, data, message.flags, message.internal_date))
            except ConnectorError:
                for ref in refs:
                    self.backend.remove(box.path, ref)
                raise
            return [self.backend.state(box.messages[ref], box) for ref in refs]

    async def copy(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        async with self._call(Operation.COPY):
            return self._transfer(self.backend.by_ref(source), refs, destination, self.backend.copy)

    async def move(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        async with self._call(Operation.MOVE):
            return self._transfer(self._writable(source), refs, destination, self.backend.move)

    def _transfer(
        self,
        source: Mailbox,
        refs: Sequence[MessageRef],
        destination: MailboxRef,
        transfer: Callable[[Mailbox, MessageRef, Mailbox], MessageRef],
    ) -> BatchResult:
        target = self._writable(destination)

        def one(ref: MessageRef) -> MessageState:
            return self.backend.state(target.messages[transfer(source, ref, target)], target)

        return self._each(refs, one)

    async def expunge(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
        async with self._call(Operation.EXPUNGE):
            box = self._writable(mailbox)
            return self._each(refs, lambda ref: self.backend.remove(box.path, ref))

    # -- abilities ----------------------------------------------------------------------------------------------------

    async def create_mailbox(self, path: tuple[str, ...], role: Role | None) -> MailboxInfo:
        async with self._call(Operation.CREATE_MAILBOX):
            return self.backend.info(self.backend.create_mailbox(path, role))

    async def rename_mailbox(self, mailbox: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
        async with self._call(Operation.RENAME_MAILBOX):
            return self.backend.info(self.backend.rename_mailbox(self.backend.by_ref(mailbox).path, path))

    async def delete_mailbox(self, mailbox: MailboxRef) -> None:
        async with self._call(Operation.DELETE_MAILBOX):
            self.backend.delete_mailbox(self.backend.by_ref(mailbox).path)

    async def subscribe(self, mailbox: MailboxRef, is_subscribed: bool) -> None:
        async with self._call(Operation.SUBSCRIBE):
            self.backend.subscribe(self.backend.by_ref(mailbox).path, is_subscribed)

    async def watch(self) -> AsyncIterator[PushEvent]:
        watcher = Watcher()
        self.backend.journal.watchers.add(watcher)
        self._watchers.add(watcher)
        try:
            async with self._call(Operation.WATCH):
                pass
            while True:
                events = await watcher.next_events()
                self._check_usable(Operation.WATCH)
                for event in events:
                    yield event
        finally:
            self.backend.journal.watchers.discard(watcher)
            self._watchers.discard(watcher)

    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Nothing to do: all mailboxes are watched alike."""

    async def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        async with self._call(Operation.FETCH_MANY):
            self._check_batch(refs, self.backend.outline_limit)
            box = self.backend.by_ref(mailbox)
        for ref in dict.fromkeys(refs):
            self._check_usable(Operation.FETCH_MANY)
            message = box.messages.get(ref)
            if message is not None:
                yield ref, self._content(message)

    async def search_text(self, mailbox: MailboxRef, query: TextQuery) -> frozenset[MessageRef]:
        async with self._call(Operation.SEARCH_TEXT):
            box = self.backend.by_ref(mailbox)
            return frozenset(ref for ref, message in box.messages.items() if search.matches(message.data, query))

    async def quota(self) -> Sequence[QuotaInfo]:
        async with self._call(Operation.QUOTA):
            used = len(self.backend.every_message())
            return [QuotaInfo("memory", self.backend.used_octets(), self.backend.storage_limit, used)]

    def _content(self, message: Message) -> MessageContent:
        varies = self.backend.bodies_vary
        data = composed(message.data, next(self.backend.readings)) if varies else message.data
        return BytesContent(data) if self.backend.has_outlines else DatedBytes(data, message.internal_date)

    def _outline(self, ref: MessageRef, message: Message) -> Outline:
        is_exact = self.backend.has_exact_headers
        header = header_block(message.data) if is_exact else retold_header(message.data)
        return Outline(ref, header, len(message.data), message.internal_date, header_is_exact=is_exact)

    # -- inside -------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _call(self, operation: Operation) -> AsyncIterator[None]:
        """Enclose the work of one call in the trouble that was asked for."""
        await self.backend.faults.before(operation)
        self._check_usable(operation)
        yield
        await self.backend.faults.after(operation)

    def _check_usable(self, operation: Operation) -> None:
        self.backend.faults.check_online(operation)
        if not self._is_open:
            raise Unavailable(f"the memory connector is not open; {operation.value} was asked for")

    def _scope(self, mailbox: MailboxRef | None) -> Mailbox | None:
        if (mailbox is None) != (self._capabilities.cursor_scope is Scope.ACCOUNT):
            raise Rejected(f"a cursor here is for one {self._capabilities.cursor_scope.value}")
        return None if mailbox is None else self.backend.by_ref(mailbox)

    def _writable(self, ref: MailboxRef) -> Mailbox:
        mailbox = self.backend.by_ref(ref)
        if mailbox.is_read_only:
            raise Denied(f"mailbox {mailbox.path!r} is read-only")
        return mailbox

    def _states(self, mailbox: Mailbox, refs: Iterable[MessageRef], *, is_sparse: bool) -> list[MessageState]:
        found = (mailbox.messages.get(ref) for ref in refs)
        return [self.backend.state(message, mailbox, is_sparse=is_sparse) for message in found if message is not None]

    def _each(self, refs: Sequence[MessageRef], work: Callable[[MessageRef], MessageState | None]) -> BatchResult:
        """Do the work for each message and sort the outcomes."""
        self._check_batch(refs, self.backend.batch_limit)
        done: dict[MessageRef, MessageState | None] = {}
        missing: set[MessageRef] = set()
        failed: dict[MessageRef, ConnectorError] = {}
        for ref in refs:
            try:
                refusal = self.backend.faults.refused.get(ref)
                if refusal is not None:
                    raise refusal
                done[ref] = work(ref)
            except NotFound:
                missing.add(ref)
            except ConnectorError as exc:
                failed[ref] = exc
        return BatchResult(done, frozenset(missing), failed)

    def _check_batch(self, refs: Sequence[MessageRef], limit: int) -> None:
        if len(refs) > limit:
            raise Rejected(f"{len(refs)} messages are more than the {limit} of one call")


class AccountListingConnector(MemoryConnector, AccountListing):
    """One login at a memory backend that can list all its messages at once."""

    async def list_account(self) -> AsyncIterator[Sequence[MessageState]]:
        async with self._call(Operation.LIST_ACCOUNT):
            messages = sorted(self.backend.every_message().values(), key=lambda message: message.born)
        for page in _pages(messages, self.backend.page_size):
            self._check_usable(Operation.LIST_ACCOUNT)
            # One that was removed meanwhile has no mailboxes left; the changes tell of it.
            present = [message for message in page if message.refs]
            yield [self.backend.state(message, None, is_sparse=self.backend.is_sparse) for message in present]


class GmailLikeConnector(AccountListingConnector, NativeSearch):
    """One login at a memory backend that is like Gmail."""

    async def search_native(self, mailbox: MailboxRef, query: str) -> frozenset[MessageRef]:
        async with self._call(Operation.SEARCH_NATIVE):
            box = self.backend.by_ref(mailbox)
            return frozenset(
                ref
                for ref, message in box.messages.items()
                if search.matches_native(message.data, message.flags, query)
            )


async def _octets(content: MessageContent) -> bytes:
    data = b"".join([chunk async for chunk in content.chunks()])
    if len(data) != content.size:
        raise Rejected(f"{len(data)} octets came where {content.size} were announced")
    return data


def _pages(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    rest = iter(items)
    while page := list(islice(rest, size)):
        yield page


def _with_changed_content(state: MessageState) -> MessageState:
    return MessageState(
        state.ref,
        state.mailboxes,
        state.flags,
        internal_date=state.internal_date,
        size=state.size,
        content_changed=True,
    )
