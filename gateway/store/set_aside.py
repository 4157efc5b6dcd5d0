"""What could not be handled: set aside with its reason, so that one bad message never stops the rest."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select

from gateway.store import tables
from gateway.store.statements import upsert
from gateway.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class SetAsideRow:
    """A message or mailbox that could not be handled, after `attempts` tries; `last_attempt` in unix seconds.

    `mailbox_id` is 0 for what concerns the account, `ref` "" for a mailbox as a whole.
    """

    account_id: int
    mailbox_id: int
    ref: str
    reason: str
    attempts: int
    last_attempt: int


_ADD = upsert(
    tables.set_aside,
    ["account_id", "mailbox_id", "ref"],
    "reason",
    "last_attempt",
    attempts=lambda _: tables.set_aside.c.attempts + 1,
)
_OF_ACCOUNT = (
    select(*(tables.set_aside.c[name] for name in SetAsideRow.__dataclass_fields__))
    .where(tables.set_aside.c.account_id == bindparam("account_id"))
    .order_by(tables.set_aside.c.mailbox_id, tables.set_aside.c.ref)
)
_CLEAR = delete(tables.set_aside).where(
    tables.set_aside.c.account_id == bindparam("account_id"),
    tables.set_aside.c.mailbox_id == bindparam("mailbox_id"),
    tables.set_aside.c.ref == bindparam("ref"),
)


async def add(tx: Transaction, account_id: int, mailbox_id: int, ref: str, reason: str) -> None:
    """Set something aside, or count one more attempt at it and take the new reason."""
    await tx.execute(
        _ADD,
        account_id=account_id,
        mailbox_id=mailbox_id,
        ref=ref,
        reason=reason,
        attempts=1,
        last_attempt=tx.now(),
    )


async def of_account(tx: Transaction, account_id: int) -> list[SetAsideRow]:
    """Return what is set aside in the account, by mailbox and ref."""
    return [SetAsideRow(*row) for row in await tx.rows(_OF_ACCOUNT, account_id=account_id)]


async def clear(tx: Transaction, account_id: int, mailbox_id: int, ref: str) -> bool:
    """Take something back: it was handled or is gone. False if it was not set aside."""
    return await tx.execute(_CLEAR, account_id=account_id, mailbox_id=mailbox_id, ref=ref) > 0
