"""Subscriptions outlive mailboxes: what becomes of them when names come, go and change (RFC 3501 section 6.3.6).

A name that was subscribed stays so when its mailbox is deleted or renamed, whoever did it, until a client unsubscribes
from it. A backend that keeps such names itself is believed; for all others the store keeps them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.api.abilities import Subscriptions
from connectors.api.connector import Connector
from connectors.api.types import MailboxRef
from gateway.store import mailboxes, subscribed_names
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.store.subscribed_names import Names

Told = Mapping[tuple[str, ...], MailboxRef] | None
"""What a backend says of names without a mailbox; None if it says nothing."""


@dataclass(frozen=True, slots=True)
class NamePlan:
    """The names that are subscribed beyond what mailboxes say, and mailboxes that such a name makes subscribed."""

    names: Names
    subscribes: tuple[MailboxRow, ...] = ()


def plan_names(
    before: Sequence[MailboxRow], after: Sequence[MailboxRow], known: Names, told: Told, *, keeps_subscriptions: bool
) -> NamePlan:
    """Return what the names are when mailboxes `before` have become those `after`. Pure.

    The new name of a renamed mailbox is subscribed if the mailbox is: where subscriptions are of names, as at Dovecot,
    it is not, and clients subscribe to it themselves; where they are of mailboxes, as at JMAP or here, it is, which
    RFC 9051 section 6.3.6 leaves to the server, and without which clients that show only what is subscribed would lose
    the mailbox.
    """
    present = {row.path: row for row in after}
    paths = {row.id: row.path for row in after}
    if told is None:
        gone = [row.path for row in before if row.is_subscribed and paths.get(row.id) != row.path]
        names = dict.fromkeys(gone) | dict(known)
    else:
        # Of a name that others have taken from a mailbox the backend knows whether they have also unsubscribed from it.
        names = {path: ref for path, ref in known.items() if ref is None} | dict(told)
    unaware = {path for path in names if path in present and names[path] is None and not present[path].is_subscribed}
    if not keeps_subscriptions:
        subscribes = tuple(present[path] for path in unaware)
        return NamePlan({path: ref for path, ref in names.items() if path not in present}, subscribes)
    # A mailbox that came back at a backend which thinks nothing of its name is subscribed all the same.
    return NamePlan({path: ref for path, ref in names.items() if path not in present or path in unaware})


async def ask_names(connector: Connector, before: Sequence[MailboxRow], known: Names, *, has_lost: bool) -> Told:
    """Return what the backend says of names without a mailbox.

    It is asked only if there are any or may be, since that can be one more request: at the first listing, when a
    subscribed name has lost its mailbox, and as long as there are such names.

    Raises:
        ConnectorError: it could not be asked.
    """
    if isinstance(connector, Subscriptions) and (known or has_lost or not before):
        return await connector.names_without_mailbox()
    return None


async def follow(
    tx: Transaction, account_id: int, before: Sequence[MailboxRow], told: Told, *, keeps_subscriptions: bool
) -> bool:
    """Bring subscribed names in line with the mailboxes as they are now in the store; return whether any changed."""
    after = await mailboxes.mailboxes_of(tx, account_id)
    known = await subscribed_names.names_of(tx, account_id)
    plan = plan_names(before, after, known, told, keeps_subscriptions=keeps_subscriptions)
    for row in plan.subscribes:
        await mailboxes.update_mailbox(tx, row.id, is_subscribed=True)
    if plan.names != known:
        await subscribed_names.set_names(tx, account_id, plan.names)
    return bool(plan.subscribes) or plan.names != known


async def keep_name(tx: Transaction, account_id: int, path: tuple[str, ...]) -> None:
    """Have a name stay subscribed whatever the backend says."""
    known = await subscribed_names.names_of(tx, account_id)
    await subscribed_names.set_names(tx, account_id, {path: None, **known})
