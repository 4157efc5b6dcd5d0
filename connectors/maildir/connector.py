"""The contract over a Maildir: each call is one piece of blocking work in a thread."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import datetime
from typing import ParamSpec, TypeVar

from connectors.api.abilities import (
    BatchAppend,
    BatchFetch,
    MailboxAdmin,
    NewMessage,
    PreparedAppend,
    Push,
    Subscriptions,
)
from connectors.api.capabilities import Capabilities, Scope
from connectors.api.connector import Connector
from connectors.api.credentials import CredentialSource
from connectors.api.errors import NotFound, Rejected, Unavailable, Unsupported
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
from connectors.maildir import filename
from connectors.maildir.content import count_bare_lf
from connectors.maildir.disk import Disk, Temporary, translate
from connectors.maildir.folder import Folder
from connectors.maildir.inotify import Inotify
from connectors.maildir.names import Layout
from connectors.maildir.tree import Tree
from connectors.maildir.watch import by_inotify, by_polling

P = ParamSpec("P")
T = TypeVar("T")

PAGE_SIZE = 1000
BATCH_LIMIT = 5000
"""More than others have: each call ends with waiting for the disk."""

OPEN_AT_ONCE = 64
WRITE_OCTETS = 1 << 20
TOGETHER_OCTETS = 8 << 20
"""Messages with so many octets in sum are held in memory to be stored together."""

WRITTEN_AT_ONCE = 64
"""So many files are open at a time while messages are stored together."""

POLL_INTERVAL_S = 5.0


def build(settings: Mapping[str, SettingValue], credentials: CredentialSource) -> MaildirConnector:
    """Build a connector from checked settings. A Maildir needs no credentials."""
    root = os.path.abspath(os.path.expanduser(str(settings["path"])))
    tree = Tree(root, Layout(settings["layout"]), Disk(is_synced=bool(settings["fsync"])))
    return MaildirConnector(tree, is_created=bool(settings["create"]))


class MaildirConnector(Connector, MailboxAdmin, Subscriptions, Push, BatchFetch, BatchAppend, PreparedAppend):
    """A Maildir, shared with whatever other programs use it."""

    def __init__(self, tree: Tree, *, is_created: bool = True, poll_interval_s: float = POLL_INTERVAL_S) -> None:
        self._tree = tree
        self._is_created = is_created
        self._is_open = False
        self._watches: set[Inotify] = set()
        self._capabilities = Capabilities(
            ref_scope=Scope.MAILBOX,
            cursor_scope=Scope.MAILBOX,
            local_bodies=True,
            batch_limit=BATCH_LIMIT,
            poll_interval_s=poll_interval_s,
        )

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def open(self) -> None:
        await _in_thread(self._tree.open, is_created=self._is_created)
        # A Maildir that disappears later is not mounted; an empty one in its place would look like all mail deleted.
        self._is_created = False
        self._is_open = True

    async def close(self) -> None:
        self._is_open = False
        for inotify in self._watches:
            inotify.close()

    async def list_mailboxes(self) -> Sequence[MailboxInfo]:
        return await self._run(self._tree.mailboxes)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def position(self, mailbox: MailboxRef | None) -> Cursor:
        return await self._run(lambda: self._folder(mailbox).cursor())

    async def listing(self, mailbox: MailboxRef) -> AsyncIterator[Sequence[MessageState]]:
        refs = await self._run(lambda: self._folder(mailbox).refs())
        for start in range(0, len(refs), PAGE_SIZE):
            page = refs[start : start + PAGE_SIZE]
            yield await self._run(lambda page=page: self._folder(mailbox).states(page, is_fresh=False))  # type: ignore[misc]

    async def changes(self, mailbox: MailboxRef | None, cursor: Cursor) -> AsyncIterator[ChangePage]:
        found = await self._run(lambda: self._folder(mailbox).changes(cursor))
        for start in range(0, len(found.changed), PAGE_SIZE):
            yield ChangePage(changed=tuple(found.changed[start : start + PAGE_SIZE]))
        if found.changed or found.removed or found.present is not None or found.cursor != cursor:
            yield ChangePage(
                removed=tuple(found.removed), present=found.present, cursor=found.cursor, echoes=found.echoes
            )

    async def states(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> Sequence[MessageState]:
        return await self._run(lambda: self._folder(mailbox).states(refs))

    async def outlines(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
        self._check_batch(refs, self._capabilities.outline_limit)
        for outline in await self._run(lambda: self._folder(mailbox).outlines(refs)):
            yield outline

    async def fetch(self, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
        return await self._run(lambda: self._folder(mailbox).open(ref))

    async def fetch_many(
        self, mailbox: MailboxRef, refs: Sequence[MessageRef]
    ) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
        self._check_batch(refs, self._capabilities.outline_limit)
        for start in range(0, len(refs), OPEN_AT_ONCE):
            some = refs[start : start + OPEN_AT_ONCE]
            for ref, content in await self._run(lambda some=some: self._folder(mailbox).open_many(some)):  # type: ignore[misc]
                yield ref, content

    # -- writing ------------------------------------------------------------------------------------------------------

    async def store_flags(
        self,
        mailbox: MailboxRef,
        refs: Sequence[MessageRef],
        add: frozenset[str],
        remove: frozenset[str],
    ) -> BatchResult:
        self._check_batch(refs, self._capabilities.batch_limit)
        return await self._run(lambda: self._folder(mailbox).store_flags(refs, add, remove))

    async def append(
        self,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        if content.size <= WRITE_OCTETS:
            data = b"".join([chunk async for chunk in content.chunks()])
            # All in one go: each change of threads costs more than a small write.
            message = NewMessage(content, flags, internal_date)
            return (await self._run(self._append_small, mailbox, [message], [data]))[0]
        folder = await self._run(self._folder, mailbox)
        temporary = await self._run(folder.create_temporary)
        try:
            stored, served = await self._write(temporary, content)
            await self._run(temporary.finish, internal_date)
            base = filename.base_with_sizes(temporary.unique, stored, served)
            return await self._run(folder.adopt, temporary, base, flags)
        except BaseException:
            # Shielded, for a thread may still be writing when this call is cancelled.
            await asyncio.shield(asyncio.to_thread(temporary.discard))
            raise

    async def append_many(self, mailbox: MailboxRef, messages: Sequence[NewMessage]) -> Sequence[MessageState]:
        return await self._append_together(mailbox, messages, None)

    async def append_by_leave(
        self, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None]
    ) -> Sequence[MessageState]:
        if len(messages) == 1 and messages[0].content.size > WRITE_OCTETS:
            await asyncio.wrap_future(leave)
            (large,) = messages
            return [await self.append(mailbox, large.content, large.flags, large.internal_date)]
        return await self._append_together(mailbox, messages, leave)

    async def _append_together(
        self, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None] | None
    ) -> list[MessageState]:
        self._check_batch(messages, self._capabilities.batch_limit)
        if sum(message.content.size for message in messages) > TOGETHER_OCTETS:
            raise Unsupported("so many octets are written one message after the other")
        texts = [b"".join([chunk async for chunk in message.content.chunks()]) for message in messages]
        return await self._run(self._append_small, mailbox, messages, texts, leave)

    def _append_small(
        self,
        mailbox: MailboxRef,
        messages: Sequence[NewMessage],
        texts: Sequence[bytes],
        leave: Future[None] | None = None,
    ) -> list[MessageState]:
        """Store messages whose octets are at hand, once there is leave to: all of them or none.

        What is written before that lies in tmp, where nobody looks for messages.
        """
        folder = self._folder(mailbox)
        files: list[tuple[Temporary, str, frozenset[str]]] = []
        made: list[Temporary] = []
        try:
            for start in range(0, len(messages), WRITTEN_AT_ONCE):
                some = messages[start : start + WRITTEN_AT_ONCE]
                for message, data in zip(some, texts[start : start + WRITTEN_AT_ONCE], strict=True):
                    if len(data) != message.content.size:
                        raise _falls_short(len(data), message.content.size)
                    temporary = folder.create_temporary()
                    made.append(temporary)
                    temporary.write(data)
                    if len(some) > 1:
                        temporary.begin_sync()
                    served = len(data) + count_bare_lf(data, b"")
                    base = filename.base_with_sizes(temporary.unique, len(data), served)
                    files.append((temporary, base, message.flags))
                for message, temporary in zip(some, made[start:], strict=True):
                    temporary.finish(message.internal_date)
            if leave is not None:
                leave.result()
            return folder.adopt_all(files)
        except BaseException:
            for temporary in made:
                temporary.discard()
            raise

    async def _write(self, temporary: Temporary, content: MessageContent) -> tuple[int, int]:
        """Write the octets to a file; return how many they are, and how many with CRLF line ends."""
        stored, bare, previous = 0, 0, b""
        buffer = bytearray()
        async for chunk in content.chunks():
            bare += count_bare_lf(chunk, previous)
            stored += len(chunk)
            previous = chunk or previous
            buffer += chunk
            if len(buffer) >= WRITE_OCTETS:
                await self._run(temporary.write, bytes(buffer))
                buffer.clear()
        await self._run(temporary.write, bytes(buffer))
        if stored != content.size:
            raise _falls_short(stored, content.size)
        return stored, stored + bare

    async def copy(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        self._check_batch(refs, self._capabilities.batch_limit)
        return await self._run(lambda: self._folder(source).copy_to(refs, self._folder(destination)))

    async def move(self, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
        self._check_batch(refs, self._capabilities.batch_limit)
        return await self._run(lambda: self._folder(source).move_to(refs, self._folder(destination)))

    async def expunge(self, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
        self._check_batch(refs, self._capabilities.batch_limit)
        return await self._run(lambda: self._folder(mailbox).expunge(refs))

    # -- abilities ----------------------------------------------------------------------------------------------------

    async def create_mailbox(self, path: tuple[str, ...], role: Role | None) -> MailboxInfo:
        return await self._run(self._tree.create, path, role)

    async def rename_mailbox(self, mailbox: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
        return await self._run(self._tree.rename, mailbox, path)

    async def delete_mailbox(self, mailbox: MailboxRef) -> None:
        await self._run(self._tree.delete, mailbox)

    async def subscribe(self, mailbox: MailboxRef, is_subscribed: bool) -> None:
        await self._run(self._tree.subscribe, mailbox, is_subscribed)

    async def names_without_mailbox(self) -> Mapping[tuple[str, ...], MailboxRef] | None:
        return await self._run(self._tree.subscribed_without_mailbox)

    async def watch(self) -> AsyncIterator[PushEvent]:
        self._check_open()
        try:
            inotify = Inotify()
        except OSError:
            async for event in self._poll():
                yield event
            return
        self._watches.add(inotify)
        try:
            async for event in by_inotify(self._tree.places, inotify):
                yield event
        except OSError as exc:
            if not self._is_open:
                raise Unavailable("the Maildir connector was closed") from exc
            # Out of watches (fs.inotify.max_user_watches): look now and then instead.
            async for event in self._poll():
                yield event
        finally:
            self._watches.discard(inotify)
            inotify.close()

    async def _poll(self) -> AsyncIterator[PushEvent]:
        async for event in by_polling(self._tree.places, self._capabilities.poll_interval_s):
            self._check_open()
            yield event

    async def set_interest(self, mailboxes: frozenset[MailboxRef]) -> None:
        """Nothing to do: all mailboxes are watched alike."""

    def is_watching(self, mailbox: MailboxRef) -> bool:
        return bool(self._watches) and all(inotify.is_quiet for inotify in self._watches)

    # -- inside -------------------------------------------------------------------------------------------------------

    def _folder(self, mailbox: MailboxRef | None) -> Folder:
        if mailbox is None:
            raise Rejected("a cursor of a Maildir is for one mailbox")
        return self._tree.folder(mailbox)

    def _check_open(self) -> None:
        if not self._is_open:
            raise Unavailable("the Maildir connector is not open")

    @staticmethod
    def _check_batch(batch: Sequence[object], limit: int) -> None:
        if len(batch) > limit:
            raise Rejected(f"{len(batch)} messages are more than the {limit} of one call")

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        self._check_open()
        try:
            return await _in_thread(work, *args, **kwargs)
        except NotFound as exc:
            if await asyncio.to_thread(self._tree.is_there):
                raise
            raise Unavailable(f"the Maildir {self._tree.root} is not there") from exc


def _falls_short(stored: int, announced: int) -> Rejected:
    return Rejected(f"{stored} octets came where {announced} were announced")


async def _in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do blocking work in a thread. Cancelled, it returns at once and the thread ends its piece."""
    try:
        return await asyncio.to_thread(work, *args, **kwargs)
    except OSError as exc:
        raise translate(exc) from exc
