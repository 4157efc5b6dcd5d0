"""What everything that works on one account has in common."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from connectors.api.capabilities import Scope
from connectors.api.types import MailboxRef, MessageRef
from gateway.accounts.account import Account
from gateway.clock import Clock
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store
from gateway.store.mailboxes import MailboxRow
from gateway.sync.bus import ChangeBus, MailboxChanged
from gateway.sync.guard import WriteGuard
from gateway.sync.reconcile import FlagPolicy


@dataclass(slots=True)
class AccountContext:
    """One account with the parts of the process that its synchronisation needs."""

    account: Account
    store: Store
    bus: ChangeBus
    cache: BodyCache
    clock: Clock
    guard: WriteGuard = field(default_factory=WriteGuard)
    write_locks: dict[int, asyncio.Lock] = field(default_factory=dict)

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

    def changed(self, *mailbox_ids: int) -> None:
        """Tell the process that mailboxes have changed; call it after the commit."""
        for mailbox_id in mailbox_ids:
            self.bus.publish(MailboxChanged(mailbox_id))


def policy_of(row: MailboxRow) -> FlagPolicy:
    """Return which flags the backend holds in the mailbox."""
    return FlagPolicy(row.storable_flags, row.any_keyword)


def ref_of(row: MailboxRow) -> MailboxRef:
    return MailboxRef(row.ref)
