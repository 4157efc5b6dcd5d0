"""Having mailboxes listed whose messages somebody asks for as labels (X-GM-EXT-1), without opening them.

A mailbox that nobody has opened may never have been listed; what the store says of it then is not that it is empty.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from gateway.errors import ErrorKind, MailError
from gateway.mailbox import labelling
from gateway.store import mailboxes
from gateway.sync.engine import AccountEngine
from gateway.wire.gmail import Label

LISTING_WAIT_S = 120.0
"""How long a command waits for that: as long as it would for opening such a mailbox."""


async def have_listed(engine: AccountEngine, labels: Collection[Label] | None = None) -> None:
    """Have the mailboxes of the labels listed, of all if None, that never were, and wait for it.

    Raises:
        MailError: one of them cannot be listed now, so nobody knows which messages have the label.
    """
    unlisted = await _unlisted(engine, labels)
    if not unlisted:
        return
    await asyncio.gather(*(engine.wait_until_read(mailbox_id, LISTING_WAIT_S) for mailbox_id in unlisted))
    if await _unlisted(engine, labels):
        raise MailError(ErrorKind.UNAVAILABLE, "The labels are still being read for the first time; try again later.")


async def _unlisted(engine: AccountEngine, labels: Collection[Label] | None) -> list[int]:
    account_id = engine.context.account_id
    rows = labelling.rows_by_label(await engine.context.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id)))
    return [row.id for label, row in rows.items() if not row.is_listed and (labels is None or label in labels)]
