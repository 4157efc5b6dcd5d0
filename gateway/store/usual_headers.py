"""The fields that mail clients ask for to list mail, beside the whole header block, where that spares much.

No row says nothing: the fields are in `headers` then.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete

from gateway.message.usual_fields import usual_block
from gateway.store.statements import is_in, upsert
from gateway.store.tables import usual_headers
from gateway.store.transaction import Transaction

SPARED = 2
"""The block of usual fields is kept if the whole one is at least so many times as long."""

_SAVE = upsert(usual_headers, ["message_id"], "block")
_REMOVE = delete(usual_headers).where(is_in(usual_headers.c.message_id, "ids"))


async def save(tx: Transaction, headers: Sequence[tuple[int, bytes]]) -> None:
    """Keep the usual fields of header blocks, given by message id, which have just been stored."""
    kept, too_long = [], []
    for message_id, header in headers:
        block = usual_block(header)
        if len(block) * SPARED <= len(header):
            kept.append({"message_id": message_id, "block": block})
        else:
            too_long.append(message_id)
    await tx.execute_many(_SAVE, kept)
    if too_long:
        await tx.execute(_REMOVE, ids=too_long)
