"""COPY and MOVE from a view to a mailbox by name: within one account, or from one to another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from connectors.api import errors
from connectors.api.types import MessageRef
from gateway.errors import MailError, from_connector
from gateway.store import messages, placements
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.sync.append_intents import Upload
from gateway.sync.engine import AccountEngine
from gateway.sync.open_body import OpenBody
from gateway.sync.targets import Target, read_targets

if TYPE_CHECKING:
    from gateway.mailbox.view import View

CHUNK = 256 << 10

_HOPELESS = (
    errors.NotFound,
    errors.Unavailable,
    errors.AuthExpired,
    errors.OverQuota,
    errors.OutcomeUnknown,
)
"""Errors of one append that the next would meet as well."""


@dataclass(slots=True)
class CopyOutcome:
    """`pairs` are (source UID, destination UID), ascending by source; `uidvalidity` is the destination's.

    `failed` source UIDs were not copied, and `error` says why. Messages that were gone are in neither. `touched` are
    the mailboxes that were altered.
    """

    uidvalidity: int
    pairs: list[tuple[int, int]] = field(default_factory=list)
    failed: list[int] = field(default_factory=list)
    error: MailError | None = None
    touched: set[int] = field(default_factory=set)


class Transfer(ABC):
    """What a view needs of its user's other mailboxes."""

    @abstractmethod
    async def copy(self, source: MailboxRow, uids: Sequence[int], destination: str, *, is_move: bool) -> CopyOutcome:
        """Copy or move; see `View.copy`."""

    @abstractmethod
    async def written(self, mailbox_ids: Iterable[int]) -> None:
        """Let every view of mailboxes that were just written to learn of it, before the client gets its answer."""

    @abstractmethod
    def view_closed(self, view: View) -> None:
        """Take note that a view is no longer used."""


class BodyContent:
    """A stored message as content to be appended elsewhere."""

    def __init__(self, body: OpenBody) -> None:
        self._body = body

    @property
    def size(self) -> int:
        return self._body.size

    async def chunks(self) -> AsyncIterator[bytes]:
        for offset in range(0, self._body.size, CHUNK):
            yield await self._body.read(offset, CHUNK)


async def copy_within(
    engine: AccountEngine, source: MailboxRow, uids: Sequence[int], destination: MailboxRow, *, is_move: bool
) -> CopyOutcome:
    """Copy or move within one account; the backend does it.

    Raises:
        ConnectorError: nothing was done.
    """
    result = await engine.copy(source, uids, destination, is_move=is_move)
    error = from_connector(result.error) if result.error else None
    return CopyOutcome(destination.uidvalidity, result.pairs, result.failed, error, result.touched)


async def copy_across(
    engine: AccountEngine,
    source: MailboxRow,
    uids: Sequence[int],
    target: AccountEngine,
    destination: MailboxRow,
    *,
    is_move: bool,
) -> CopyOutcome:
    """Copy messages to another account by fetch and append; for a move, remove only those whose append is confirmed.

    Raises:
        NotFound: one of the mailboxes is gone, and nothing was done.
    """
    outcome = CopyOutcome(destination.uidvalidity)
    try:
        await _append_copies(engine, source, uids, target, destination, outcome)
    finally:
        # Whatever has ended it, the client's going too: what is there has been moved, and must not stay here as well.
        if is_move and outcome.pairs:
            await _remove_originals(engine, source, outcome)
    return outcome


async def _append_copies(
    engine: AccountEngine,
    source: MailboxRow,
    uids: Sequence[int],
    target: AccountEngine,
    destination: MailboxRow,
    outcome: CopyOutcome,
) -> None:
    """Append the messages one by one, with what becomes of each in `outcome`."""
    for message in await read_targets(engine.context.store, source.id, uids):
        try:
            # As it is called now: under another name all its messages would seem to be gone.
            here = await engine.context.fresh(source)
            uid = await _append_copy(engine, here, message, target, destination)
        except errors.ConnectorError as error:
            if isinstance(error, errors.NotFound) and not outcome.pairs:
                raise
            outcome.failed.append(message.uid)
            outcome.error = from_connector(error)
            if isinstance(error, _HOPELESS):
                # It would be the same with the rest.
                outcome.failed.extend(uid for uid in uids if uid > message.uid)
                break
        else:
            if uid is not None:
                outcome.pairs.append((message.uid, uid))
                await _share_object_ids(target, destination, uid, message.message_id)


async def _remove_originals(engine: AccountEngine, source: MailboxRow, outcome: CopyOutcome) -> None:
    try:
        removed = await engine.expunge(source, [source_uid for source_uid, _ in outcome.pairs])
    except errors.ConnectorError as error:
        # The copies are there all the same, and are named.
        outcome.error = from_connector(error)
    else:
        outcome.error = from_connector(removed.error) if removed.error is not None else outcome.error
        outcome.touched |= removed.touched


async def _append_copy(
    engine: AccountEngine, source: MailboxRow, message: Target, target: AccountEngine, destination: MailboxRow
) -> int | None:
    """Append one message and return its UID; None if there is no such message any more.

    Raises:
        NotFound: there is no such destination any more.
        ConnectorError: it is not stored.
    """
    try:
        body = await engine.bodies.open(source, message.message_id, MessageRef(message.ref))
    except errors.NotFound:
        return None
    try:
        date = await _internal_date(engine, message.message_id)
        flags = [flag for flag in message.flags.names() if flag != "\\Deleted"]
        (uid,) = await target.append(destination, [Upload(BodyContent(body), flags, date)])
        return uid
    finally:
        body.close()


async def _share_object_ids(target: AccountEngine, destination: MailboxRow, uid: int, original: int) -> None:
    """Let the copy have the ids of its original (RFC 8474 section 5.1), unless the backend there gave it its own."""

    async def body(tx: Transaction) -> None:
        copies = await placements.by_uids(tx, destination.id, [uid])
        await messages.share_object_ids(tx, [(original, copy[1]) for copy in copies])

    await target.context.store.write(body)


async def _internal_date(engine: AccountEngine, message_id: int) -> datetime | None:
    rows = await engine.context.store.read(lambda tx: messages.message_rows(tx, [message_id]))
    row = rows.get(message_id)
    return row.received if row is not None else None
