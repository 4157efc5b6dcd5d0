"""Subscribed names that have no mailbox: a subscription outlives the mailbox (RFC 3501 section 6.3.6).

That of a mailbox is kept with the mailbox. Here are the names whose mailbox was deleted or has another name now, and
those of mailboxes that came back at a backend which does not say itself that they are subscribed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from sqlalchemy import bindparam, delete, select

from gateway.store.statements import is_in, upsert
from gateway.store.tables import subscribed_names
from gateway.store.transaction import Transaction

Names = Mapping[tuple[str, ...], str | None]
"""Refs by path. A ref is what the backend knows the name by; None if it does not keep it and only we do."""

_OF_ACCOUNT = (
    select(subscribed_names.c.path, subscribed_names.c.ref)
    .where(subscribed_names.c.account_id == bindparam("account_id"))
    .order_by(subscribed_names.c.path)
)
_SET = upsert(subscribed_names, ["account_id", "path"], "ref")
_REMOVE = delete(subscribed_names).where(
    subscribed_names.c.account_id == bindparam("account_id"), is_in(subscribed_names.c.path, "paths")
)


async def names_of(tx: Transaction, account_id: int) -> dict[tuple[str, ...], str | None]:
    """Return the names of an account, in no order that means anything."""
    return {tuple(json.loads(path)): ref for path, ref in await tx.rows(_OF_ACCOUNT, account_id=account_id)}


async def set_names(tx: Transaction, account_id: int, names: Names) -> None:
    """Make these the names of an account, and no others."""
    known = await names_of(tx, account_id)
    await remove_names(tx, account_id, known.keys() - names.keys())
    changed = [
        {"account_id": account_id, "path": _stored(path), "ref": ref}
        for path, ref in names.items()
        if path not in known or known[path] != ref
    ]
    if changed:
        await tx.execute_many(_SET, changed)
        tx.note_tree(account_id)


async def remove_names(tx: Transaction, account_id: int, paths: Iterable[tuple[str, ...]]) -> int:
    """Remove names; return how many there were."""
    stored = [_stored(path) for path in paths]
    removed = await tx.execute(_REMOVE, account_id=account_id, paths=stored) if stored else 0
    if removed:
        tx.note_tree(account_id)
    return removed


def _stored(path: tuple[str, ...]) -> str:
    return json.dumps(list(path))
