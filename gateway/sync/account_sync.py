"""Following an account that has one cursor for all its mailboxes.

    position -> tree -> listing: of the whole account, or of one mailbox after the other
                           |
                           v
                       changes after the position, for all mailboxes, from then on; when they are too old: again

The position comes before the tree, and the tree before the listing, so that whatever happens to mailboxes or messages
meanwhile is among the changes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from connectors.api import errors
from connectors.api.abilities import AccountListing
from connectors.api.types import ChangePage, Cursor, MailboxRef, Role
from gateway.store import accounts, mailboxes
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.account_listing import apply_page, list_account
from gateway.sync.context import AccountContext
from gateway.sync.guard import ReadMark
from gateway.sync.mailbox_sync import PAGE, SyncOutcome, closing_pages, list_mailbox
from gateway.sync.membership import Applied

log = logging.getLogger(__name__)

MAX_EXPIRIES = 2
"""How often in a row everything is listed anew for a cursor that was too old, before there is a pause."""

EXPIRY_PAUSE_S = 60.0
"""How long that pause is."""

_ABOUT_ONE = (errors.NotFound, errors.Denied, errors.Rejected, errors.Unsupported, errors.TooLarge)
"""Errors that may be about one mailbox only."""

TreeReader = Callable[[], Awaitable[list[MailboxRow]]]
"""Lists the backend's mailboxes, brings the store in line and returns the rows as they are then."""


class AccountSync:
    """Reads the account for its engine. `lock` is to be held meanwhile."""

    def __init__(self, context: AccountContext, read_tree: TreeReader) -> None:
        self.lock = asyncio.Lock()
        self._context = context
        self._read_tree = read_tree
        self._expiries = 0
        self._expired_at = 0.0
        self._never_listed: set[MailboxRef] = set()

    async def read(self, row: MailboxRow) -> SyncOutcome:
        """List the mailbox, or the account, if that was never done; then read the changes for all mailboxes.

        Raises:
            ConnectorError: see `Connector.changes` and `Connector.listing`; what was read before is kept.
        """
        rows, cursor = await self._stored()
        is_first = not any(other.is_listed for other in rows)
        if cursor is None and not is_first:
            # Nothing tells what has happened since these were listed.
            await self._relist(row)
            return SyncOutcome(is_settled=False)
        if is_first and self._whole is not None and not self._lists_by_mailbox:
            cursor = await self._list_whole(self._whole)
            if cursor is None:
                return SyncOutcome(is_settled=False)
            rows, _ = await self._stored()
        elif cursor is None:
            cursor = await self._begin()
        fresh = next((other for other in rows if other.id == row.id), None)
        if fresh is not None and fresh.is_selectable and not fresh.is_listed:
            outcome = await list_mailbox(self._context, fresh)
            if not outcome.is_settled:
                return outcome
        return await self._read_changes_or_relist(row, cursor)

    async def _read_changes_or_relist(self, row: MailboxRow, cursor: Cursor) -> SyncOutcome:
        try:
            outcome = await self._read_changes(cursor)
        except errors.CursorExpired as error:
            now = self._context.clock.monotonic()
            if self._expiries >= MAX_EXPIRIES:
                if now - self._expired_at < EXPIRY_PAUSE_S:
                    raise errors.Unavailable(f"cursors just given are too old: {error.operator_text}") from error
                self._expiries = 0
            if await self._relist(row):
                # Only then there is a new position, which must not be too old again.
                self._expiries += 1
                self._expired_at = now
            return SyncOutcome(is_settled=False)
        else:
            self._expiries = 0
            return outcome

    # -- listing ------------------------------------------------------------------------------------------------------

    @property
    def _whole(self) -> AccountListing | None:
        connector = self._context.account.connector
        return connector if isinstance(connector, AccountListing) else None

    @property
    def _lists_by_mailbox(self) -> bool:
        return self._context.account.capabilities.lists_by_mailbox

    async def _stored(self) -> tuple[list[MailboxRow], Cursor | None]:
        account_id = self._context.account_id

        async def body(tx: Transaction) -> tuple[list[MailboxRow], Cursor | None]:
            account = await accounts.account_by_id(tx, account_id)
            stored = account.cursor if account is not None else None
            return await mailboxes.mailboxes_of(tx, account_id), Cursor(stored) if stored is not None else None

        return await self._context.store.read(body)

    async def _begin(self) -> Cursor:
        """Take the position and store it before anything is listed, mailbox by mailbox."""
        cursor = await self._context.account.connector.position(None)
        if self._context.account.capabilities.reports_tree:
            # The tree known so far is from before: what happened to it since would never be told.
            await self._read_tree()
        account_id = self._context.account_id
        await self._context.store.write(lambda tx: accounts.set_account_cursor(tx, account_id, cursor))
        return cursor

    async def _list_whole(self, connector: AccountListing) -> Cursor | None:
        """List the account and return the position from before; None if it has to be listed again."""
        cursor = await self._context.account.connector.position(None)
        rows = await self._read_tree()
        return cursor if await list_account(self._context, connector, rows, cursor) else None

    async def _relist(self, row: MailboxRow) -> bool:
        """List all anew; return whether a new cursor could be stored.

        What happened meanwhile is read by the changes after that cursor, in the next turn.
        """
        rows, _ = await self._stored()
        has_all = all(other.is_listed for other in rows if other.is_selectable)
        if self._whole is not None and (has_all or not self._lists_by_mailbox):
            return await self._list_whole(self._whole) is not None
        account_id = self._context.account_id
        cursor = await self._context.account.connector.position(None)
        if self._context.account.capabilities.reports_tree:
            rows = await self._read_tree()
        is_settled = True
        own: errors.ConnectorError | None = None
        for other in sorted(rows, key=lambda other: other.id != row.id):
            if other.is_selectable and (other.is_listed or other.id == row.id):
                try:
                    outcome = await list_mailbox(self._context, other)
                except _ABOUT_ONE as error:
                    # It must not keep all the others from being read.
                    await self._set_aside(other, error)
                    own = error if other.id == row.id else own
                else:
                    is_settled = is_settled and outcome.is_settled
        if is_settled:
            await self._context.store.write(lambda tx: accounts.set_account_cursor(tx, account_id, cursor))
        if own is not None:
            raise own
        return is_settled

    async def _set_aside(self, row: MailboxRow, error: errors.ConnectorError) -> None:
        """Take a mailbox for one that was never listed, as nobody knows what has happened in it."""
        account = self._context.account.name
        log.warning("account %s: mailbox %s is not listed: %s", account, row.ref, error.operator_text)
        await self._context.store.write(lambda tx: mailboxes.set_mailbox_cursor(tx, row.id, None, is_listed=False))

    # -- changes ------------------------------------------------------------------------------------------------------

    async def _read_changes(self, cursor: Cursor) -> SyncOutcome:
        """Apply what happened anywhere in the account.

        Raises:
            CursorExpired: list everything.
        """
        tree_changed = has_read_tree = False
        pages = self._context.account.connector.changes(None, cursor)
        async with closing_pages(pages):
            with self._context.guard.reading() as mark:
                async for page in pages:
                    if (page.mailboxes_changed and not has_read_tree) or await self._names_unknown(page):
                        # First, since a message may have gone to a mailbox that is new: it would be in none until then.
                        await self._read_tree()
                        has_read_tree = True
                        self._never_listed |= await self._unknown(page)
                    else:
                        tree_changed = tree_changed or page.mailboxes_changed
                    if not await self._apply(page, mark):
                        # The cursor stays before this page, so what follows would be read twice.
                        return SyncOutcome(is_settled=False, tree_changed=tree_changed)
        return SyncOutcome(tree_changed=tree_changed)

    async def _names_unknown(self, page: ChangePage) -> bool:
        """Whether the page names a mailbox that the tree does not have, other than those it never has."""
        return bool(await self._unknown(page) - self._never_listed)

    async def _unknown(self, page: ChangePage) -> set[MailboxRef]:
        named = {mailbox for state in page.changed for mailbox in state.mailboxes or ()}
        if not named:
            return set()
        rows = await self._context.store.read(lambda tx: mailboxes.mailboxes_of(tx, self._context.account_id))
        return named - {MailboxRef(row.ref) for row in rows}

    async def _apply(self, page: ChangePage, mark: ReadMark) -> bool:
        """Apply a page and store its cursor; False if something was left out for being stale."""
        context = self._context
        is_settled = True
        for part in _parts(page):

            async def body(tx: Transaction, part: ChangePage = part, may_move: bool = is_settled) -> Applied:
                # What is listed only when it is needed gets its messages in their order then.
                applied = await apply_page(tx, context, part, mark, adds_to_unlisted=not self._lists_by_mailbox)
                if part.cursor is not None and may_move and not applied.stale:
                    await accounts.set_account_cursor(tx, context.account_id, part.cursor)
                return applied

            applied = await context.store.write(body)
            context.changed(*applied.touched)
            is_settled = is_settled and not applied.stale
        return is_settled


def _parts(page: ChangePage) -> Iterator[ChangePage]:
    """Split a page so that no transaction is long; the last part has the cursor."""
    if len(page.changed) + len(page.removed) <= PAGE:
        yield page
        return
    named = {state.ref for state in page.changed}
    changed, removed = page.changed, tuple(ref for ref in page.removed if ref not in named)
    while len(changed) + len(removed) > PAGE:
        yield ChangePage(changed=changed[:PAGE], removed=removed[: max(0, PAGE - len(changed))])
        changed, removed = changed[PAGE:], removed[max(0, PAGE - len(changed)) :]
    yield replace(page, changed=changed, removed=removed)


def first_of(rows: Sequence[MailboxRow]) -> MailboxRow | None:
    """Return the mailbox in whose turn the account's changes are read: one that was listed, or else INBOX."""
    selectable = (row for row in rows if row.is_selectable)
    return min(selectable, key=lambda row: (not row.is_listed, not is_inbox(row)), default=None)


def is_inbox(row: MailboxRow) -> bool:
    """Whether the mailbox is the account's INBOX."""
    return row.role is Role.INBOX or row.path == ("INBOX",)
