"""The mail of one user, as one session sees it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from connectors.api import errors
from connectors.api.types import MessageContent, Role
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox import names
from gateway.mailbox.completer import Completer, Needs
from gateway.mailbox.fetch import BLOCK_ROWS
from gateway.mailbox.namespace import MailboxStatus
from gateway.mailbox.statuses import read_counters, read_statuses
from gateway.mailbox.transfer import CopyOutcome, Transfer, copy_across, copy_within
from gateway.mailbox.user_tree import UserTree
from gateway.mailbox.view import View
from gateway.store import mailboxes, placements
from gateway.store.counters import Counters
from gateway.store.mailboxes import MailboxRow
from gateway.sync import tree_writer
from gateway.sync.append_intents import Upload
from gateway.sync.engine import AccountEngine


@dataclass(frozen=True, slots=True)
class AppendUid:
    """Where an appended message is."""

    uidvalidity: int
    uid: int


@dataclass(frozen=True, slots=True)
class AppendUids:
    """Where appended messages are, in the order in which they were given.

    A backend that has each message once may have had them there before.
    """

    mailbox_id: int
    uidvalidity: int
    uids: tuple[int, ...]


class UserMail(UserTree, Transfer):
    """A user's accounts as one tree, and what can be done to its mailboxes. Close it when the session ends."""

    # -- looking ------------------------------------------------------------------------------------------------------

    async def status(self, name: str, *, needs_size: bool = False, needs_recent: bool = True) -> MailboxStatus:
        """Return the counters of a mailbox, after a short wait for news if what is known is old.

        One that was never listed is listed first, as when it is opened, and may be refused as then.

        With `needs_size` the sizes of messages are found out where that costs no more than reading files. Elsewhere
        those count that are known. Without `needs_recent` those that are \\Recent are not counted.

        Raises:
            MailError: no such mailbox, or its files cannot be read.
        """
        row = await self.counted(name)
        if needs_size:
            await self._find_out_sizes(row)
        found = await self._statuses([row.id], needs_size=needs_size, needs_recent=needs_recent)
        if row.id not in found:
            raise MailError(ErrorKind.NOT_FOUND, "There is no such mailbox.")
        return found[row.id]

    async def counted(self, name: str) -> MailboxRow:
        """Return what is stored of a mailbox as `status` tells it: a row alone holds most of that.

        Raises:
            MailError: no such mailbox, or it was never listed, and what is known of it must not be shown.
        """
        row = await self._find(name)
        has_waited = await self._freshen(row)
        if not row.is_listed:
            unlisted = await self._have_listed([row], self._service.settings.first_listing_wait_s)
            if unlisted and not _may_show_part(self._engine(row.account_id)):
                raise _still_being_read()
        elif not has_waited:
            return row
        fresh = await self._service.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
        if fresh is None:
            raise MailError(ErrorKind.NOT_FOUND, "There is no such mailbox.")
        return fresh

    async def statuses(
        self, wanted: Sequence[str], *, needs_size: bool = False, needs_recent: bool = True
    ) -> dict[str, MailboxStatus]:
        """Return the counters of many mailboxes as known now, in one read; mailboxes that are gone are left out.

        So are those of which nothing is known yet: they are listed, which a later call may see.
        """
        ids = (await self._listing()).ids
        rows = await read_counters(self._service.store, [ids[name] for name in wanted if name in ids])
        unlisted = await self._have_listed(rows.values(), self._service.settings.fresh_wait_s)
        known = {
            name: row for name in wanted if name in ids and (row := rows.get(ids[name])) and row.id not in unlisted
        }
        if needs_size:
            for row in known.values():
                with contextlib.suppress(MailError):
                    await self._find_out_sizes(row)
        counted = [row.id for row in known.values()]
        found = await self._statuses(counted, needs_size=needs_size, needs_recent=needs_recent)
        return {name: found[row.id] for name, row in known.items() if row.id in found}

    async def counters(self, mailbox_ids: Sequence[int]) -> dict[int, Counters] | None:
        """Return the counters of mailboxes as known now, by id; None if one is gone, or was never listed.

        `statuses` tells of those that there are, in any case.
        """
        found = await read_counters(self._service.store, mailbox_ids)
        is_whole = len(found) == len(mailbox_ids) and all(row.is_listed for row in found.values())
        return found if is_whole else None

    async def _statuses(self, ids: Sequence[int], *, needs_size: bool, needs_recent: bool) -> dict[int, MailboxStatus]:
        claimed = {mailbox_id: self._service.claimed_uid(mailbox_id) for mailbox_id in ids}
        return await read_statuses(
            self._service.store, claimed, self._limit_of, needs_size=needs_size, needs_recent=needs_recent
        )

    async def _find_out_sizes(self, row: MailboxRow | Counters) -> None:
        """Make the sum of sizes right: it must not be below that of RFC822.SIZE (RFC 8438 section 2)."""
        engine = self._service.running_engine(row.account_id)
        if engine is None or not engine.context.account.is_open:
            return
        if not engine.context.account.capabilities.local_bodies:
            return
        try:
            mailbox = await self._service.open_mailbox(row.id)
            completer = Completer(mailbox, engine)
            unknown = mailbox.columns.without_size()
            for start in range(0, len(unknown), BLOCK_ROWS):
                entries = [entry for uid in unknown[start : start + BLOCK_ROWS] if (entry := mailbox.find(uid))]
                await completer.complete(entries, Needs(size=True))
        except LookupError:
            return
        except errors.ConnectorError as error:
            raise from_connector(error) from error

    async def open(self, name: str, *, is_read_only: bool) -> View:
        """Open a mailbox in a view of its own.

        A mailbox is never shown before its first listing is complete where the backend's own UIDs pass through: a
        client that knows them from before would take what is not listed yet for deleted.

        Raises:
            MailError: no such mailbox, or it was never listed and the backend cannot be reached.
        """
        row = await self._find(name)
        engine = self._engine(row.account_id)
        has_waited = await self._freshen(row) or not row.is_listed
        await self._wait_for_first_listing(engine, row)
        try:
            mailbox = await self._service.open_mailbox(row.id, None if has_waited else row)
        except LookupError:
            raise MailError(ErrorKind.NOT_FOUND, "There is no such mailbox.") from None
        # Not the one from above: the account may have been started anew while it was waited for.
        view = View(name, mailbox, self._engine(row.account_id), self, is_read_only=is_read_only or row.is_read_only)
        try:
            await self._service.view_opened(row.account_id, row.id)
        except BaseException:
            view.close()
            raise
        return view

    async def _freshen(self, row: MailboxRow) -> bool:
        """Have a mailbox read if that was long ago, and wait a moment for it; return whether it was waited for."""
        settings, engine = self._service.settings, self._engine(row.account_id)
        age_s = engine.reader.age_s(row.id)
        is_due = row.is_listed and (age_s is None or age_s > settings.fresh_age_s) and not engine.reader.is_told_of(row)
        if is_due:
            await engine.wait_until_read(row.id, settings.fresh_wait_s)
        return is_due

    async def _have_listed(self, rows: Iterable[MailboxRow | Counters], wait_s: float) -> set[int]:
        """Have those of the mailboxes listed that never were, and wait so long for it; return which still are not.

        A backend out of reach is not waited for.
        """
        unlisted = [row for row in rows if not row.is_listed]
        if not unlisted:
            return set()
        engines = [self._engine(row.account_id) for row in unlisted]
        done = await asyncio.gather(
            *(engine.wait_until_read(row.id, wait_s) for engine, row in zip(engines, unlisted, strict=True))
        )
        return {row.id for row, is_done in zip(unlisted, done, strict=True) if not is_done}

    async def _wait_for_first_listing(self, engine: AccountEngine, row: MailboxRow) -> None:
        """Wait until the mailbox may be shown: see "While a mailbox is listed for the first time" in architecture.md.

        Raises:
            MailError: it may not, and nothing comes any more.
        """
        settings = self._service.settings
        patience_s = min(settings.growing_wait_s, settings.first_listing_wait_s)
        messages = -1
        while not row.is_listed and not await engine.wait_until_read(row.id, patience_s):
            if _may_show_part(engine):
                return
            fresh = await self._service.store.read(lambda tx: mailboxes.mailbox_by_id(tx, row.id))
            if fresh is None or not engine.is_working or fresh.messages <= messages:
                raise _still_being_read()
            messages, patience_s = fresh.messages, settings.first_listing_wait_s

    # -- changing the tree --------------------------------------------------------------------------------------------

    async def create(self, name: str, roles: Sequence[Role] = ()) -> str:
        """Create a mailbox, with at most one special use; return its MAILBOXID.

        Raises:
            MailError: it was not created.
        """
        if not names.is_valid(name):
            raise MailError(ErrorKind.INVALID_NAME, "This cannot be the name of a mailbox.")
        if len(roles) > 1:
            raise MailError(ErrorKind.UNSUPPORTED, "A mailbox has at most one special use here.")
        tree = await self._tree()
        there = tree.find(name)
        if there is not None and there.is_selectable:
            raise MailError(ErrorKind.ALREADY_EXISTS, "A mailbox of that name exists already.")
        # A name that only has others below it may become a mailbox, if the backend makes one of it.
        place = tree.place(name)
        if place is None:
            raise MailError(ErrorKind.DENIED, "Mailboxes can be created inside an account only.")
        engine = self._engine(place.account_id)
        try:
            row = await engine.create_mailbox(place.path, roles[0] if roles else None)
        except errors.ConnectorError as error:
            raise from_connector(error) from error
        return row.object_id

    async def delete(self, name: str) -> None:
        """Delete a mailbox with its messages.

        Raises:
            MailError: it was not deleted.
        """
        tree = await self._tree_with(name)
        row = tree.find(name)
        if row is None:
            kind = ErrorKind.HAS_CHILDREN if tree.has_children(name) else ErrorKind.NOT_FOUND
            raise MailError(kind, "There is no such mailbox.")
        if row.path == tree_writer.INBOX:
            raise MailError(ErrorKind.DENIED, "INBOX cannot be deleted.")
        if not row.is_selectable and tree.has_children(name):
            raise MailError(ErrorKind.HAS_CHILDREN, "There are mailboxes below this name.")
        try:
            await self._engine(row.account_id).delete_mailbox(row)
        except errors.ConnectorError as error:
            raise from_connector(error) from error

    async def rename(self, old: str, new: str) -> None:
        """Rename a mailbox, its children with it.

        INBOX stays, and so does what is below it: its messages move to a new mailbox (RFC 3501 section 6.3.5).

        Raises:
            MailError: it was not renamed.
        """
        tree = await self._tree_with(old)
        row, place = tree.find(old), tree.place(new)
        if row is None and not tree.has_children(old):
            raise MailError(ErrorKind.NOT_FOUND, "There is no such mailbox.")
        if tree.find(new) is not None:
            raise MailError(ErrorKind.ALREADY_EXISTS, "A mailbox of that name exists already.")
        is_inbox = row is not None and row.path == tree_writer.INBOX
        is_inside = new.startswith(old + names.SEPARATOR)
        if not names.is_valid(new) or place is None or (is_inside and not is_inbox):
            raise MailError(ErrorKind.INVALID_NAME, "This cannot be the name of the mailbox.")
        if row is not None and is_inbox:
            await self._move_out_of_inbox(row, new)
            return
        # A level that is no mailbox itself is renamed by renaming what is directly below it.
        moves = [(row, new)] if row is not None else [(below, new + tail) for below, tail in tree.topmost_below(old)]
        for mailbox, name in moves:
            target = tree.place(name)
            if target is None or target.account_id != mailbox.account_id:
                raise MailError(ErrorKind.UNSUPPORTED, "A mailbox cannot be renamed into another account.")
            await self._rename_one(mailbox, target.path)

    async def _move_out_of_inbox(self, row: MailboxRow, new: str) -> None:
        await self.create(new)
        rows = await self._service.store.read_bulk(lambda tx: placements.load(tx, row.id))
        outcome = await self.copy(row, [placement[0] for placement in rows], new, is_move=True)
        if outcome.error is not None:
            raise outcome.error

    async def _rename_one(self, row: MailboxRow, path: tuple[str, ...]) -> None:
        engine = self._engine(row.account_id)
        try:
            await engine.rename_mailbox(row, path)
        except errors.ConnectorError as error:
            raise from_connector(error) from error

    async def subscribe(self, name: str, is_subscribed: bool) -> None:
        """Subscribe to a mailbox or unsubscribe, also from a name whose mailbox is gone.

        What is so already is done: a name that is not subscribed is unsubscribed from, whether or not there is a
        mailbox (RFC 9051 sections 6.3.7 and 6.3.8).

        Raises:
            MailError: nothing was changed; there is no such mailbox to subscribe to.
        """
        tree = await self._tree_with(name)
        row, place = tree.find(name), tree.without_mailbox().get(name)
        if row is None and place is None and is_subscribed:
            raise MailError(ErrorKind.NOT_FOUND, "There is no such mailbox.")
        try:
            if row is not None:
                await self._engine(row.account_id).subscribe(row, is_subscribed=is_subscribed)
            elif place is not None and not is_subscribed:
                await self._engine(place.account_id).unsubscribe_name(place.path)
        except errors.ConnectorError as error:
            raise from_connector(error) from error

    # -- messages -----------------------------------------------------------------------------------------------------

    def append_limits(self) -> frozenset[int]:
        """Return the octets of the largest message that each account takes; more than one number if they differ."""
        return frozenset(self._limit_of(row.id) for row in self._accounts)

    def _limit_of(self, account_id: int) -> int:
        limit = self._service.settings.append_limit
        engine = self._service.running_engine(account_id)
        if engine is not None and engine.context.account.is_open:
            limit = min(limit, engine.context.account.capabilities.append_limit or limit)
        return limit

    async def append(
        self, name: str, content: MessageContent, flags: Sequence[str], internal_date: datetime | None
    ) -> AppendUid:
        """Append a message; when this returns, the backend has it.

        Raises:
            MailError: it is not stored; NO_SUCH_DESTINATION if the mailbox does not exist.
        """
        stored = await self.append_all(name, [Upload(content, flags, internal_date)])
        return AppendUid(stored.uidvalidity, stored.uids[0])

    async def append_all(self, name: str, uploads: Sequence[Upload]) -> AppendUids:
        """Append messages, all of them or none; when this returns, the backend has them.

        Raises:
            MailError: nothing is stored; NO_SUCH_DESTINATION if the mailbox does not exist.
        """
        row = await self._find(name, ErrorKind.NO_SUCH_DESTINATION)
        for upload in uploads:
            if not upload.content.size:
                raise MailError(ErrorKind.REJECTED, "An empty message cannot be stored.")
            if upload.content.size > self._limit_of(row.account_id):
                raise MailError(ErrorKind.TOO_LARGE, "The message is larger than this account takes.")
        engine = self._engine(row.account_id)
        try:
            uids = await engine.append(row, uploads)
        except errors.NotFound as error:
            engine.demand.request_tree()
            raise MailError(ErrorKind.NO_SUCH_DESTINATION, error.client_text, error.operator_text) from error
        except errors.ConnectorError as error:
            raise from_connector(error) from error
        await self._service.refresh_mailbox(row.id)
        for upload, uid in zip(uploads, uids, strict=True):
            if upload.internal_date is not None:
                await self._service.reread_date(row.id, uid)
        return AppendUids(row.id, row.uidvalidity, tuple(uids))

    async def copy(self, source: MailboxRow, uids: Sequence[int], destination: str, *, is_move: bool) -> CopyOutcome:
        target = await self._find(destination, ErrorKind.NO_SUCH_DESTINATION)
        engine, other = self._engine(source.account_id), self._engine(target.account_id)
        try:
            if other is engine:
                outcome = await copy_within(engine, source, uids, target, is_move=is_move)
            else:
                outcome = await copy_across(engine, source, uids, other, target, is_move=is_move)
        except errors.NotFound as error:
            engine.demand.request_tree()
            other.demand.request_tree()
            raise MailError(ErrorKind.NO_SUCH_DESTINATION, error.client_text, error.operator_text) from error
        except errors.ConnectorError as error:
            raise from_connector(error) from error
        await self.written({target.id, *outcome.touched})
        return outcome

    async def written(self, mailbox_ids: Iterable[int]) -> None:
        for mailbox_id in mailbox_ids:
            await self._service.refresh_mailbox(mailbox_id)

    def view_closed(self, view: View) -> None:
        self._service.view_closed(view.account_id, view.mailbox_id)

    async def close(self) -> None:
        """End the session; its views should be closed."""
        await asyncio.gather(self._service.tell_interest(), return_exceptions=True)


def _may_show_part(engine: AccountEngine) -> bool:
    """Tell whether a mailbox may be shown while it is listed for the first time: no client knows its UIDs then."""
    account = engine.context.account
    return account.is_open and not account.capabilities.has_uids


def _still_being_read() -> MailError:
    return MailError(ErrorKind.UNAVAILABLE, "The mailbox is still being read for the first time; try again later.")
