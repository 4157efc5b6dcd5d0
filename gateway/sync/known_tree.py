"""The tree of an account's mailboxes: listing it, and waiting until it is known."""

from __future__ import annotations

import asyncio
import contextlib

from connectors.api import errors
from gateway.store.mailboxes import MailboxRow
from gateway.sync.context import AccountContext
from gateway.sync.progress import MailboxProgress
from gateway.sync.tree import sync_tree


class KnownTree:
    """What one process knows of the tree.

    `progress` is how far its listing has got. `error` is why the backend was out of reach when it was tried last; None
    if it was in reach, or is being tried for the first time.
    """

    def __init__(self, context: AccountContext) -> None:
        self.progress = MailboxProgress()
        self.error: errors.ConnectorError | None = None
        self._context = context
        self._known = asyncio.Event()
        self._attempt = asyncio.Event()

    @property
    def is_known(self) -> bool:
        """Whether it has been listed once, now or by an earlier process."""
        return self._known.is_set()

    def set_known(self) -> None:
        """Take note that the store has the tree, and wake whoever waits for it."""
        self._known.set()
        self._tell_attempt()

    async def wait(self, timeout_s: float) -> None:
        """Wait until the tree is known.

        Raises:
            ConnectorError: the backend cannot be reached.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while not self._known.is_set():
            attempt = self._attempt
            left_s = deadline - asyncio.get_running_loop().time()
            if self.error is not None or left_s <= 0:
                raise self.error or errors.Unavailable(
                    f"account {self._context.account.name}: no list of mailboxes within {timeout_s:g} s"
                )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await attempt.wait()

    async def refresh(self) -> list[MailboxRow]:
        """List the tree at the backend, bring the store in line and return the mailboxes as they are then.

        Raises:
            ConnectorError: it could not be listed.
        """
        number = self.progress.begin()
        rows = await sync_tree(self._context)
        self.progress.synced_at = self._context.clock.monotonic()
        self.progress.end(number)
        self.error = None
        self.set_known()
        return rows

    def failed(self, error: errors.ConnectorError) -> None:
        """Take note that the backend is out of reach; whoever waits for the tree learns so."""
        self.error = error
        self._tell_attempt()
        self.progress.fail(error)

    def _tell_attempt(self) -> None:
        self._attempt.set()
        self._attempt = asyncio.Event()
