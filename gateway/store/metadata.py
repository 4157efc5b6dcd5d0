"""Annotations of mailboxes, and of the server as one user sees it (RFC 5464). Names of entries come folded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Table, bindparam, delete, select

from gateway.store.statements import is_in, upsert
from gateway.store.tables import mailbox_annotations, user_annotations
from gateway.store.transaction import Transaction

Values = dict[str, bytes]


class _Statements:
    """What is asked of one of the two tables; `owner` is the column that says whose annotations they are."""

    def __init__(self, table: Table, owner: str) -> None:
        column = table.c[owner]
        self.owner = owner
        self.read = select(column, table.c.entry, table.c.value).where(is_in(column, "owners"))
        self.set = upsert(table, (owner, "entry"), "value")
        self.remove = delete(table).where(column == bindparam("owner_id"), is_in(table.c.entry, "entries"))


_OF_MAILBOXES = _Statements(mailbox_annotations, "mailbox_id")
_OF_USERS = _Statements(user_annotations, "user_id")


async def of_mailboxes(tx: Transaction, mailbox_ids: Sequence[int]) -> dict[int, Values]:
    """Return all annotations of the mailboxes, by mailbox id; those without any are left out."""
    found: dict[int, Values] = {}
    for mailbox_id, entry, value in await tx.rows(_OF_MAILBOXES.read, owners=list(mailbox_ids)):
        found.setdefault(mailbox_id, {})[entry] = bytes(value)
    return found


async def of_user(tx: Transaction, user_id: int) -> Values:
    """Return all annotations of the server that a user has."""
    rows = await tx.rows(_OF_USERS.read, owners=[user_id])
    return {entry: bytes(value) for _, entry, value in rows}


async def set_of_mailbox(tx: Transaction, mailbox_id: int, values: Mapping[str, bytes | None]) -> None:
    """Set those with a value, remove those without one."""
    await _set(tx, _OF_MAILBOXES, mailbox_id, values)


async def set_of_user(tx: Transaction, user_id: int, values: Mapping[str, bytes | None]) -> None:
    """Set those with a value, remove those without one."""
    await _set(tx, _OF_USERS, user_id, values)


async def _set(tx: Transaction, statements: _Statements, owner_id: int, values: Mapping[str, bytes | None]) -> None:
    removed = [entry for entry, value in values.items() if value is None]
    if removed:
        await tx.execute(statements.remove, owner_id=owner_id, entries=removed)
    kept = [
        {statements.owner: owner_id, "entry": entry, "value": value}
        for entry, value in values.items()
        if value is not None
    ]
    if kept:
        await tx.execute_many(statements.set, kept)
