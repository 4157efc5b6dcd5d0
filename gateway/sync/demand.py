"""What of an account is to be read: the mailboxes that wait for it, most urgent first, and the tree of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_sync import is_inbox
from gateway.sync.context import AccountContext
from gateway.sync.retries import Retries
from gateway.sync.schedule import Queue, Urgency
from gateway.sync.turns import Turns


class Demand:
    """What was asked for and is not being read yet.

    `interest` are the mailboxes that sessions have open; `retries` ask for mailboxes after a pause.
    """

    def __init__(self, context: AccountContext, turns: Turns) -> None:
        self.interest: frozenset[int] = frozenset()
        self.retries = Retries(self.request)
        self._context = context
        self._turns = turns
        self._queue = Queue()
        self._work = asyncio.Event()
        self._wants_tree = asyncio.Event()
        self._is_tree_awaited = False

    # -- asking -------------------------------------------------------------------------------------------------------

    def request(self, mailbox_id: int, urgency: Urgency = Urgency.OPEN) -> None:
        """Ask for a mailbox to be read soon."""
        self._queue.add(mailbox_id, urgency)
        self._work.set()
        if urgency is Urgency.WAITED_FOR:
            self._turns.hurry()

    def request_tree(self, *, is_awaited: bool = False) -> None:
        """Ask for the mailbox tree to be listed soon, for a session that waits for it or for nobody yet."""
        self._wants_tree.set()
        if is_awaited:
            self._is_tree_awaited = True
            self._turns.hurry()

    def request_due(self, rows: Iterable[MailboxRow]) -> None:
        """Ask for mailboxes that nobody has asked for, each as urgently as befits it."""
        for row in rows:
            self.request(row.id, self._urgency(row))

    def _urgency(self, row: MailboxRow) -> Urgency:
        if row.id in self.interest:
            return Urgency.OPEN
        return Urgency.INBOX if is_inbox(row) else Urgency.POLLED

    def is_to_be_listed(self, row: MailboxRow) -> bool:
        """Whether the mailbox, never listed yet, is listed though nobody waits for it."""
        is_due = not self._context.account.capabilities.lists_by_mailbox or row.id in self.interest or is_inbox(row)
        return row.is_selectable and not row.is_listed and is_due

    # -- what was asked for -------------------------------------------------------------------------------------------

    async def next(self) -> tuple[int, Urgency]:
        """Wait for a mailbox that is to be read; return it and why."""
        while (asked := self._queue.pop()) is None:
            self._work.clear()
            await self._work.wait()
        return asked

    async def next_tree(self) -> bool:
        """Wait until the tree is to be listed; return whether a session waits for it."""
        await self._wants_tree.wait()
        is_awaited, self._is_tree_awaited = self._is_tree_awaited, False
        return is_awaited

    def tree_begun(self) -> None:
        """Take note that the tree is being listed: whoever asks from now on asks for another listing."""
        self._wants_tree.clear()

    def take_all(self) -> Mapping[int, Urgency]:
        """Return the mailboxes that wait, with their urgency, and let none wait any more."""
        return self._queue.take()

    def forget(self, mailbox_id: int) -> None:
        """Ask no more for a mailbox that is gone."""
        self._queue.discard(mailbox_id)
        self.retries.drop(mailbox_id)

    def is_for(self, mailbox_id: int) -> bool:
        """Whether the mailbox is to be read, now or after a pause, or the tree is."""
        return mailbox_id in self._queue or mailbox_id in self.retries or self._wants_tree.is_set()

    def is_awaited(self, row: MailboxRow, urgency: Urgency) -> bool:
        """Whether a session waits for the mailbox that is to be read."""
        if urgency is Urgency.PUSHED:
            return row.is_listed and bool(self.interest)
        return urgency is Urgency.WAITED_FOR

    @property
    def has_mailboxes(self) -> bool:
        """Whether a mailbox is to be read now."""
        return len(self._queue) > 0
