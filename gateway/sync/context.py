"""What everything that works on one account has in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

from connectors.api import errors
from connectors.api.capabilities import Scope
from connectors.api.types import MailboxRef, MessageRef
from gateway.accounts.account import Account
from gateway.clock import Clock
from gateway.store import mailboxes
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store
from gateway.store.mailboxes import MailboxRow
from gateway.store.search_index import AccountIndex
from gateway.sync.bus import ChangeBus, FlagsChanged, MailboxChanged
from gateway.sync.guard import WriteGuard
from gateway.sync.lull import Lull
from gateway.sync.reconcile import FlagPolicy
from gateway.sync.renaming import Rename
from gateway.sync.start_gate import StartGate


@dataclass(slots=True)
class AccountContext:
    """One account with the parts of the process that its synchronisation needs.

    `tree_lock` is held from listing the mailboxes, or changing them, until the store says the same: of two listings the
    older must not be applied last. `renames` are those that no listing has taken into account yet, None
    before they are read (`gateway.sync.renaming`). `listed_uidnext` is what the last listing said of mailboxes whose
    UIDs pass through.
    `listed_at` is when messages were last listed in full, by the monotonic clock. `spared` are messages in no mailbox
    that the last sweep left for the next. `search` is its part of the search index, if there is one; `on_learned`
    is told which messages have been read. `lull` says when sessions have stopped writing for a moment.
    """

    account: Account
    store: Store
    bus: ChangeBus
    cache: BodyCache
    clock: Clock
    guard: WriteGuard = field(default_factory=WriteGuard)
    write_locks: dict[int, asyncio.Lock] = field(default_factory=dict)
    tree_lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    renames: list[Rename] | None = None
    listed_uidnext: dict[int, int] = field(default_factory=dict)
    listed_at: float | None = None
    spared: set[int] = field(default_factory=set)
    current: set[int] = field(default_factory=set)
    start_gate: StartGate = field(default_factory=StartGate)
    read_mailbox: Callable[[int], Awaitable[bool]] | None = None
    search: AccountIndex | None = None
    on_learned: Callable[[Collection[int]], None] | None = None
    lull: Lull = field(init=False)

    def __post_init__(self) -> None:
        self.lull = Lull(self.clock)

    @property
    def account_id(self) -> int:
        return self.account.id

    def scope_of(self, row: MailboxRow) -> int:
        """Return what message refs of this mailbox are unique in: 0 for the account, else the mailbox's id."""
        return 0 if self.account.capabilities.ref_scope is Scope.ACCOUNT else row.id

    def key_of(self, row: MailboxRow) -> Callable[[MessageRef], tuple[int, MessageRef]]:
        """Return the function that gives a message's key in the write guard."""
        scope = self.scope_of(row)
        return lambda ref: (scope, ref)

    def write_lock(self, mailbox_id: int) -> asyncio.Lock:
        """Return the lock that keeps writes to one mailbox in one order, at the backend and in the store alike."""
        return self.write_locks.setdefault(mailbox_id, asyncio.Lock())

    async def rows(self) -> list[MailboxRow]:
        """Return the account's mailboxes as they are stored."""
        return await self.store.read(lambda tx: mailboxes.mailboxes_of(tx, self.account_id))

    async def row(self, mailbox_id: int) -> MailboxRow | None:
        """Return a mailbox as it is stored, None if it is gone."""
        return await self.store.read(lambda tx: mailboxes.mailbox_by_id(tx, mailbox_id))

    async def fresh(self, row: MailboxRow) -> MailboxRow:
        """Return the row as it is now: a rename may have given the mailbox another ref.

        Raises:
            NotFound: the mailbox is gone, or its UIDs are void.
        """
        found = await self.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
        if found is None or found.uidvalidity != row.uidvalidity:
            raise errors.NotFound(f"mailbox {row.ref!r} is gone")
        return found

    def is_current(self, row: MailboxRow) -> bool:
        """Whether a ref that the store has of the mailbox can only mean the message that it meant when it was stored.

        So it is for good where refs are the account's and no UIDs; see `ensure_current` for the others.
        """
        capabilities = self.account.capabilities
        is_permanent = capabilities.ref_scope is Scope.ACCOUNT and not capabilities.has_uids
        return is_permanent or row.id in self.current

    async def ensure_current(self, row: MailboxRow) -> None:
        """Have the mailbox read once in this process before any message of it is named to the backend.

        While the gateway was not looking, the UID that is a backend's ref may have come to name another message, and
        only reading the mailbox tells (RFC 9051 section 2.3.1.1, UIDVALIDITY).

        Raises:
            Unavailable: the mailbox cannot be read now.
            NotFound: the messages of `row` are gone, UIDs and all.
        """
        if self.read_mailbox is None or self.is_current(row):
            return
        is_read = await self.read_mailbox(row.id)
        await self.fresh(row)
        if not is_read:
            raise errors.Unavailable(f"mailbox {row.ref!r} could not be read yet")

    def learned(self, message_ids: Collection[int]) -> None:
        """Tell that headers or octets of messages are at hand that were not before."""
        if self.on_learned is not None and message_ids:
            self.on_learned(message_ids)

    async def failed(self, row: MailboxRow, error: errors.ConnectorError) -> None:
        """Take note of an error of the backend about a mailbox."""
        await self.account.failed(error)
        if isinstance(error, errors.CursorExpired) and self.read_mailbox is not None:
            # The backend has voided the UIDs; the mailbox has to be read before anything else is done in it.
            self.current.discard(row.id)

    def changed(self, *mailbox_ids: int, flags: FlagsChanged | None = None) -> None:
        """Tell the process that mailboxes have changed, and how if that is known; call it after the commit."""
        for mailbox_id in mailbox_ids:
            self.bus.publish(MailboxChanged(mailbox_id, flags=flags))


def policy_of(row: MailboxRow) -> FlagPolicy:
    """Return which flags the backend holds in the mailbox."""
    return FlagPolicy(row.storable_flags, row.any_keyword)


def ref_of(row: MailboxRow) -> MailboxRef:
    return MailboxRef(row.ref)
