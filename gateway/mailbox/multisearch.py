"""Searching mailboxes that nobody has to have selected, one after the other (RFC 7377)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from connectors.api import errors
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox.search import Searcher
from gateway.mailbox.search_ground import Scope
from gateway.mailbox.service import MailService
from gateway.store.mailboxes import MailboxRow
from gateway.wire.search import SearchKey


@dataclass(frozen=True, slots=True)
class FoundIn:
    """What a search found in one mailbox: UIDs ascending, at least one.

    `max_modseq` returns the highest mod-sequence among messages of the mailbox, 0 for none.
    """

    name: str
    uidvalidity: int
    uids: Sequence[int]
    max_modseq: Callable[[Iterable[int]], int]


@dataclass(frozen=True, slots=True)
class NotSearched:
    """A mailbox that could not be searched now."""

    name: str
    error: MailError


async def search_all(
    service: MailService, wanted: Mapping[int, tuple[str, MailboxRow]], key: SearchKey
) -> AsyncIterator[FoundIn | NotSearched]:
    """Search mailboxes, given by id with their names, in their order; those without a match are not told of.

    They are searched as the store has them. Those that were never listed are listed first, all at a time, as far as
    that can be waited for. Of the columns no more stay in memory than of any mailboxes that were open.
    """
    unread = await _unread(service, [row for _, row in wanted.values() if not row.is_listed])
    for name, row in wanted.values():
        if row.id in unread:
            yield NotSearched(name, unread[row.id])
            continue
        try:
            found = await _search(service, name, row, key)
        except MailError as error:
            yield NotSearched(name, error)
        else:
            if found is not None:
                yield found
        await asyncio.sleep(0)


async def _search(service: MailService, name: str, row: MailboxRow, key: SearchKey) -> FoundIn | None:
    engine = service.running_engine(row.account_id)
    if engine is None:
        raise MailError(ErrorKind.UNAVAILABLE, "This account cannot be used at present.")
    try:
        mailbox = await service.open_mailbox(row.id)
    except LookupError:
        # It is gone, and its messages with it.
        return None
    uids = mailbox.columns.shared_uids()
    recent = [uid for uid in uids if uid >= mailbox.recent_uid]
    scope = Scope(uids, recent, (), engine.context.clock.now())
    found = (await Searcher(mailbox, engine, scope).run(key)).uids()
    if not found:
        return None

    def max_modseq(uids: Iterable[int]) -> int:
        return max((entry.modseq for uid in uids if (entry := mailbox.find(uid)) is not None), default=0)

    return FoundIn(name, mailbox.row.uidvalidity, found, max_modseq)


async def _unread(service: MailService, rows: Sequence[MailboxRow]) -> dict[int, MailError]:
    """Have mailboxes listed for the first time; return those of which that cannot be waited for, with the reason."""
    waits = await asyncio.gather(*(_wait(service, row) for row in rows))
    return {row.id: error for row, error in zip(rows, waits, strict=True) if error is not None}


async def _wait(service: MailService, row: MailboxRow) -> MailError | None:
    engine = service.running_engine(row.account_id)
    if engine is None:
        return MailError(ErrorKind.UNAVAILABLE, "This account cannot be used at present.")
    try:
        is_read = await engine.wait_until_read(row.id, service.settings.growing_wait_s)
    except errors.ConnectorError as error:
        return from_connector(error)
    if is_read:
        return None
    return MailError(ErrorKind.UNAVAILABLE, "The mailbox is still being read for the first time; try again later.")
