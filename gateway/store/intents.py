"""Writes in flight: recorded before the backend is asked, settled when its answer is in the store.

What is found here at a start was cut off by a crash, or its outcome is unknown; it is settled by looking at the
backend, never by asking it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, insert, select, update

from gateway.store.statements import is_in
from gateway.store.tables import intents
from gateway.store.transaction import Transaction

STARTED = "started"
"""The state of an intent when it is recorded; later ones are the caller's words."""


@dataclass(frozen=True, slots=True)
class IntentRow:
    """One write. `payload` says what was asked, `content_hash` of which octets; `created` in unix seconds."""

    id: int
    account_id: int
    kind: str
    payload: dict[str, object]
    content_hash: bytes | None
    state: str
    created: int


_COLUMNS = tuple(intents.c[name] for name in IntentRow.__dataclass_fields__)
_RECORD = (
    insert(intents)
    .values({name: bindparam(name) for name in ("account_id", "kind", "payload", "content_hash", "state", "created")})
    .returning(intents.c.id)
)
_PENDING = select(*_COLUMNS).where(intents.c.account_id == bindparam("account_id")).order_by(intents.c.id)
_SETTLE = delete(intents).where(intents.c.id == bindparam("intent_id"))
_SETTLE_ALL = delete(intents).where(is_in(intents.c.id, "ids"))
_SET_STATE = update(intents).where(intents.c.id == bindparam("intent_id")).values(state=bindparam("new_state"))


async def record(
    tx: Transaction, account_id: int, kind: str, payload: Mapping[str, object], content_hash: bytes | None = None
) -> int:
    """Record that a write is about to be asked of the backend; return the intent's id."""
    intent_id = await tx.scalar(
        _RECORD,
        account_id=account_id,
        kind=kind,
        payload=json.dumps(dict(payload)),
        content_hash=content_hash,
        state=STARTED,
        created=tx.now(),
    )
    return int(intent_id)


async def settle(tx: Transaction, *ids: int) -> None:
    """Forget intents: their outcome is in the store. Settling twice is no error."""
    if len(ids) == 1:
        await tx.execute(_SETTLE, intent_id=ids[0])
    else:
        await tx.execute(_SETTLE_ALL, ids=list(ids))


async def set_state(tx: Transaction, intent_id: int, state: str) -> None:
    """Record how far the write has come."""
    await tx.execute(_SET_STATE, intent_id=intent_id, new_state=state)


async def pending(tx: Transaction, account_id: int) -> list[IntentRow]:
    """Return the account's unsettled intents, oldest first."""
    rows = await tx.rows(_PENDING, account_id=account_id)
    return [IntentRow(row[0], row[1], row[2], json.loads(row[3]), *row[4:]) for row in rows]
