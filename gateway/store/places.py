"""What accounts and mailboxes are called, for those who look after the store; also where a row cannot be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from gateway.store.invariants import is_readable_path
from gateway.store.tables import accounts, intents, mailboxes, users
from gateway.store.transaction import Transaction

_ACCOUNTS = select(accounts.c.id, accounts.c.name, users.c.login).outerjoin(users, users.c.id == accounts.c.user_id)
_MAILBOXES = select(mailboxes.c.id, mailboxes.c.account_id, mailboxes.c.path)
_OPEN = (
    select(intents.c.account_id, intents.c.kind, intents.c.created)
    .where(intents.c.created < bindparam("before"), intents.c.state == "started")
    .order_by(intents.c.id)
)


@dataclass(frozen=True, slots=True)
class Places:
    """Names by row id."""

    accounts: Mapping[int, str]
    mailboxes: Mapping[int, str]

    def of_account(self, account_id: int) -> str:
        return self.accounts.get(account_id, f"account {account_id}")

    def of_mailbox(self, mailbox_id: int) -> str:
        return self.mailboxes.get(mailbox_id, f"mailbox {mailbox_id}")


@dataclass(frozen=True, slots=True)
class OpenWrite:
    """A write of which the outcome is not known yet; `created` in unix seconds."""

    account_id: int
    kind: str
    created: int


async def places(tx: Transaction) -> Places:
    """Return the names of everything."""
    names = {account_id: f"account {name} of {login}" for account_id, name, login in await tx.rows(_ACCOUNTS)}
    boxes = {}
    for mailbox_id, account_id, path in await tx.rows(_MAILBOXES):
        name = "/".join(json.loads(path)) if is_readable_path(path) else str(mailbox_id)
        boxes[mailbox_id] = f"{names.get(account_id, f'account {account_id}')}, mailbox {name}"
    return Places(names, boxes)


async def open_writes(tx: Transaction, older_than_s: int) -> list[OpenWrite]:
    """Return the writes that were begun longer ago than this and are not settled, oldest first."""
    return [OpenWrite(*row) for row in await tx.rows(_OPEN, before=tx.now() - older_than_s)]
