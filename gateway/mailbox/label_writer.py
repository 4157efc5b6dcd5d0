"""STORE of X-GM-LABELS: to add a label is to copy into its mailbox, to remove it is to move from there to All Mail.

So a message that loses its last label is archived, and one that loses that of Trash or Spam comes back, as with Gmail;
what the account does with a message that is expunged has no part in it. Only where there is no All Mail it is expunged.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from connectors.api import errors
from connectors.api.types import Role
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox import labelling, names
from gateway.mailbox.label_listing import have_listed
from gateway.store import mailboxes, placements
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.engine import AccountEngine
from gateway.wire.commands import StoreAction
from gateway.wire.gmail import Label, SystemLabel

_HOPELESS = (errors.Unavailable, errors.AuthExpired, errors.RateLimited, errors.OutcomeUnknown)
"""Errors that the next label would meet as well."""

_LEAVING = frozenset({SystemLabel.TRASH, SystemLabel.SPAM})

log = logging.getLogger(__name__)

Change = Mapping[Label, Sequence[int]]
"""Message ids by the label that they get or lose."""

Failure = tuple[Sequence[int], errors.ConnectorError | None]
"""The UIDs that a write left out, and why."""


class LabelWriter:
    """Changes the labels of messages of one mailbox, `row`.

    Afterwards `touched` are the mailboxes that were written to, `failed` the UIDs of which something was refused, and
    `error` says why.
    """

    def __init__(self, engine: AccountEngine, row: MailboxRow) -> None:
        self.touched: set[int] = set()
        self.failed: set[int] = set()
        self.error: MailError | None = None
        self._engine = engine
        self._row = row
        self._own: Label | None = None
        self._rows: dict[Label, MailboxRow] = {}
        self._all_mail: MailboxRow | None = None

    async def store(self, uids: Mapping[int, int], action: StoreAction, labels: Sequence[Label]) -> None:
        """Change the labels of messages, given as UIDs by message id. A label that is unknown is made, as Gmail does.

        The label of the mailbox itself, which is not shown, is removed only if it is named.

        Raises:
            MailError: nothing was changed.
        """
        if not self._engine.context.account.capabilities.gmail_ids:
            raise MailError(ErrorKind.UNSUPPORTED, "The messages of this account have no labels.")
        wanted = dict.fromkeys(labels)
        await have_listed(self._engine, None if action is StoreAction.REPLACE else wanted)
        account_id = self._row.account_id

        async def read(tx: Transaction) -> dict[int, list[Label]]:
            rows = await mailboxes.mailboxes_of(tx, account_id)
            self._rows = labelling.rows_by_label(rows)
            self._all_mail = next((row for row in rows if row.role is Role.ALL), None)
            # As it is named now: it may have been renamed since it was opened, and another be called as it was.
            self._own = next((label for label, row in self._rows.items() if row.id == self._row.id), None)
            return await labelling.labels_of(tx, self._row, uids)

        held = await self._engine.context.store.read_bulk(read)
        added, removed = self._changes(action, list(wanted), held, list(uids))
        await self._make(added)
        for label, ids in added.items():
            here = [uids[key] for key in ids]
            if not await self._try(self._add(self._rows[label], here), here):
                return
        # Only now: where there is no All Mail, a message that loses its last label may be gone.
        for label, ids in removed.items():
            if not await self._try(self._remove(label, ids, uids), [uids[key] for key in ids]):
                return

    def _changes(
        self, action: StoreAction, labels: Sequence[Label], held: Mapping[int, Sequence[Label]], ids: Sequence[int]
    ) -> tuple[Change, Change]:
        # Trash and Spam last: what goes there leaves the mailboxes that it is in.
        others = sorted((label for label in labels if label != self._own), key=_LEAVING.__contains__)
        match action:
            case StoreAction.REPLACE:
                return labelling.changes(others, held, ids)
            case StoreAction.ADD:
                return {label: lacking for label in others if (lacking := _without(label, held, ids))}, {}
            case StoreAction.REMOVE:
                removed = {label: having for label in others if (having := _with(label, held, ids))}
                if self._own is not None and self._own in labels:
                    # Last: what has gone from here cannot be named any more.
                    removed[self._own] = list(ids)
                return {}, removed

    async def _make(self, added: Iterable[Label]) -> None:
        """Make mailboxes for the labels that have none: for all of them or for none.

        Raises:
            MailError: one cannot be had.
        """
        new: list[str] = []
        for label in added:
            if label in self._rows:
                continue
            if isinstance(label, SystemLabel):
                raise MailError(ErrorKind.UNSUPPORTED, f"The label {label.value} cannot be given here.")
            if not names.is_valid(label):
                raise MailError(ErrorKind.INVALID_NAME, "This cannot be the name of a label.")
            new.append(label)
        made: list[MailboxRow] = []
        for label in new:
            try:
                self._rows[label] = await self._engine.create_mailbox(names.split(label), None)
            except errors.ConnectorError as error:
                await self._unmake(made)
                raise from_connector(error) from error
            made.append(self._rows[label])

    async def _unmake(self, made: Iterable[MailboxRow]) -> None:
        """Delete mailboxes that were made just now; one that cannot be deleted stays, with nothing in it."""
        for row in made:
            try:
                await self._engine.delete_mailbox(row, keeps_name=False)
            except errors.ConnectorError as error:
                log.warning("the new label %r is not removed again: %s", row.path, error.operator_text)

    async def _try(self, write: Coroutine[Any, Any, Failure], uids: Sequence[int]) -> bool:
        """Carry out one write; return whether to go on."""
        try:
            failed, error = await write
        except errors.ConnectorError as raised:
            failed, error = uids, raised
        self.failed.update(failed)
        if error is None:
            return True
        self.error = from_connector(error)
        return not isinstance(error, _HOPELESS)

    async def _add(self, holder: MailboxRow, uids: Sequence[int]) -> Failure:
        self.touched.update((holder.id, self._row.id))
        outcome = await self._engine.copy(self._row, sorted(uids), holder, is_move=False)
        self.touched |= outcome.touched
        return outcome.failed, outcome.error

    async def _remove(self, label: Label, ids: Sequence[int], uids: Mapping[int, int]) -> Failure:
        holder = self._rows[label]
        self.touched.update((holder.id, self._row.id))
        rows = await self._engine.context.store.read_bulk(lambda tx: placements.by_message_ids(tx, ids))
        there = {uid: uids[message_id] for mailbox_id, uid, message_id, *_ in rows if mailbox_id == holder.id}
        if self._all_mail is None:
            expunged = await self._engine.expunge(holder, sorted(there))
            self.touched |= expunged.touched
            return [there[uid] for uid in expunged.failed], expunged.error
        if isinstance(label, SystemLabel) and label in labelling.LASTING:
            text = f"The label {label.value} says what a message is and cannot be removed."
            raise errors.Unsupported(f"messages do not leave {holder.path!r}", client_text=text)
        self.touched.add(self._all_mail.id)
        moved = await self._engine.copy(holder, sorted(there), self._all_mail, is_move=True)
        self.touched |= moved.touched
        return [there[uid] for uid in moved.failed], moved.error


def _with(label: Label, held: Mapping[int, Sequence[Label]], ids: Iterable[int]) -> list[int]:
    return [key for key in ids if label in held.get(key, ())]


def _without(label: Label, held: Mapping[int, Sequence[Label]], ids: Iterable[int]) -> list[int]:
    return [key for key in ids if label not in held.get(key, ())]
