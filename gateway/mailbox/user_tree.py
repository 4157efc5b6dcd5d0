"""The accounts of one user, and their mailboxes as one tree of names, read from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from connectors.api import errors
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox.known_names import Owner
from gateway.mailbox.listings import Listing
from gateway.mailbox.namespace import AccountTree, Tree
from gateway.store import accounts, mailboxes, subscribed_names
from gateway.store.accounts import AccountRow, AccountState
from gateway.store.database import Store, Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.engine import AccountEngine

if TYPE_CHECKING:
    from gateway.mailbox.service import MailService


T = TypeVar("T")


class UserTree:
    """A user's accounts, and the names of their mailboxes as one tree."""

    def __init__(self, service: MailService, user_id: int, login: str) -> None:
        self.login = login
        self._service = service
        self._user_id = user_id
        self._accounts: list[AccountRow] = []
        self._owner: Owner = ()

    # -- accounts -----------------------------------------------------------------------------------------------------

    async def refresh_accounts(self) -> None:
        """Learn of accounts that were added or removed; one whose backend was out of reach is tried again at once."""
        rows = await self._service.store.read(lambda tx: accounts.accounts_of(tx, self._user_id))
        for gone in {row.id for row in self._accounts} - {row.id for row in rows}:
            await self._service.forget_account(gone)
        self._accounts = [row for row in rows if row.state is not AccountState.DISABLED]
        self._owner = tuple([(row.id, row.name, row.is_primary) for row in self._accounts])
        for row in self._accounts:
            engine = await self._service.engine_of(row)
            if engine is not None and engine.context.account.health.state is AccountState.UNAVAILABLE:
                engine.retry()

    def status_alert(self) -> str | None:
        """Return a sentence for the user if an account needs a new login; None if all is well."""
        needing = [
            row.name
            for row in self._accounts
            if (engine := self._service.running_engine(row.id)) is not None
            and engine.context.account.health.state is AccountState.NEEDS_LOGIN
        ]
        if not needing:
            return None
        return f"The mail provider asks for a new login to {', '.join(needing)}; what is shown may be old."

    @property
    def account_names(self) -> tuple[str, ...]:
        """The names of the user's accounts."""
        return tuple(row.name for row in self._accounts)

    def _engine(self, account_id: int) -> AccountEngine:
        engine = self._service.running_engine(account_id)
        if engine is None:
            raise MailError(ErrorKind.UNAVAILABLE, "This account cannot be used at present.")
        return engine

    # -- the tree -----------------------------------------------------------------------------------------------------

    @property
    def namespace_prefixes(self) -> tuple[str, ...]:
        """The personal namespaces: one root for everything."""
        return ("",)

    async def mailboxes(self) -> Listing:
        """Return the whole tree, INBOX first, parents before children; after a short wait for news if it is old.

        Raises:
            MailError: no account could be listed yet.
        """
        await self._freshen_tree()
        return await self._listing()

    async def _listing(self) -> Listing:
        """Return the tree as the store has it now, read anew only if something in it has changed."""
        listings = self._service.listings
        problem = await self._wait_for_trees()
        listing = await listings.find(self._owner)
        if listing is None:
            stamp = listings.stamp(self._owner)
            listing = await self._read_tree(Listing)
            listings.keep(self._owner, stamp, listing)
        if problem is not None and not any(entry.exists for entry in listing):
            raise problem
        return listing

    async def _tree(self) -> Tree:
        """Read the tree from the store, with all that is stored of each mailbox; see `_wait_for_trees`."""
        problem = await self._wait_for_trees()
        tree = await self._read_tree(lambda tree: tree)
        if problem is not None and not tree.rows():
            raise problem
        return tree

    async def _wait_for_trees(self) -> MailError | None:
        """Wait for accounts that were never listed; return why one of them cannot be."""
        problem: MailError | None = None
        for row in self._accounts:
            engine = self._service.running_engine(row.id)
            if engine is None:
                problem = MailError(ErrorKind.UNAVAILABLE, f"The account {row.name} cannot be used at present.")
                continue
            try:
                await engine.wait_for_tree(self._service.settings.tree_wait_s)
            except errors.ConnectorError as error:
                problem = from_connector(error)
        return problem

    async def _read_tree(self, make: Callable[[Tree], T]) -> T:
        """Return what `make` makes of the tree, beside the event loop: 10,000 names take 40 ms."""

        async def read(tx: Transaction) -> T:
            trees = [
                AccountTree(
                    row.id,
                    row.name,
                    row.is_primary,
                    await mailboxes.mailboxes_of(tx, row.id),
                    await subscribed_names.names_of(tx, row.id),
                )
                for row in self._accounts
            ]
            return make(Tree(trees))

        return await self._service.store.read_bulk(read)

    async def tree(self) -> Tree:
        """Return the names as they are stored now, with what is stored of each."""
        return await self._tree()

    async def row(self, name: str) -> MailboxRow:
        """Return what is stored of a mailbox.

        Raises:
            MailError: there is none of that name.
        """
        return await self._find(name)

    def running_engines(self) -> list[AccountEngine]:
        """Return the engines of those of the user's accounts that can be used, in the order of the accounts."""
        found = (self._service.running_engine(row.id) for row in self._accounts)
        return [engine for engine in found if engine is not None]

    @property
    def user_id(self) -> int:
        return self._user_id

    @property
    def store(self) -> Store:
        return self._service.store

    async def _tree_with(self, name: str) -> Tree:
        """Return the tree; freshly listed if it lacks the name, which may have been made elsewhere.

        Raises:
            MailError: it lacks the name because the account was never listed. To say that there is no such mailbox
                would make clients throw away what they have of it.
        """
        tree = await self._tree()
        if tree.find(name) is not None:
            return tree
        await self._freshen_tree()
        tree = await self._tree()
        account_id = tree.account_of(name)
        if account_id is not None and tree.find(name) is None:
            try:
                # Whoever waits for it has waited.
                await self._engine(account_id).wait_for_tree(0.0)
            except errors.ConnectorError as error:
                raise from_connector(error) from error
        return tree

    async def _freshen_tree(self) -> None:
        """Have the mailboxes listed if that was long ago, and wait a moment for it."""
        settings = self._service.settings
        waits = [engine.freshen_tree(settings.fresh_age_s, settings.fresh_wait_s) for engine in self.running_engines()]
        if len(waits) == 1:
            await waits[0]
        else:
            await asyncio.gather(*waits)

    async def _find(self, name: str, kind: ErrorKind = ErrorKind.NOT_FOUND) -> MailboxRow:
        owner = self._owner
        known = await self._service.names.row(self._service.store, owner, name)
        if known is not None:
            return known
        row = (await self._tree_with(name)).find(name)
        if row is None or not row.is_selectable:
            raise MailError(kind, "There is no such mailbox.")
        self._service.names.note(owner, name, row)
        return row
