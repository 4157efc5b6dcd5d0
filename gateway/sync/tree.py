"""Bringing the mailbox tree in line with the backend's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from connectors.api.abilities import Subscriptions
from connectors.api.types import MailboxInfo
from gateway.store import mailboxes, subscribed_names
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxChanges, MailboxRow
from gateway.store.subscribed_names import Names
from gateway.sync.bus import MailboxChanged
from gateway.sync.context import AccountContext, ref_of
from gateway.sync.renaming import follow_renames
from gateway.sync.subscribed_names import NamePlan, ask_names, follow, plan_names


@dataclass(slots=True)
class TreePlan:
    """What to do to the mailboxes of an account. `resets` have had their UIDs voided by the backend."""

    inserts: list[MailboxInfo] = field(default_factory=list)
    updates: list[tuple[MailboxRow, MailboxChanges]] = field(default_factory=list)
    resets: list[tuple[MailboxRow, MailboxInfo]] = field(default_factory=list)
    deletes: list[MailboxRow] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.inserts or self.updates or self.resets or self.deletes)

    @property
    def changes_names(self) -> bool:
        return bool(self.inserts or self.updates or self.deletes)

    @property
    def loses_subscribed(self) -> bool:
        """Whether a subscribed mailbox goes, or gets another name."""
        renamed = [row for row, changed in self.updates if "path" in changed]
        return any(row.is_subscribed for row in (*self.deletes, *renamed))


def plan_tree(rows: Sequence[MailboxRow], infos: Sequence[MailboxInfo], *, keeps_subscriptions: bool) -> TreePlan:
    """Compare the stored mailboxes with the backend's. Pure.

    `keeps_subscriptions`: the backend holds them; otherwise the stored ones are the truth.
    """
    plan = TreePlan()
    known = {row.ref: row for row in rows}
    for info in infos:
        row = known.pop(info.ref, None)
        if row is None:
            plan.inserts.append(info)
            continue
        if info.uidvalidity is not None and info.uidvalidity != row.uidvalidity:
            plan.resets.append((row, info))
        changed = _changed(row, info, keeps_subscriptions=keeps_subscriptions)
        if changed:
            plan.updates.append((row, changed))
    plan.deletes.extend(known.values())
    return plan


def _changed(row: MailboxRow, info: MailboxInfo, *, keeps_subscriptions: bool) -> MailboxChanges:
    changed = MailboxChanges()
    if row.path != info.path:
        changed["path"] = info.path
    if row.role != info.role:
        changed["role"] = info.role
    if row.is_selectable != info.is_selectable:
        changed["is_selectable"] = info.is_selectable
    if row.allows_children != info.allows_children:
        changed["allows_children"] = info.allows_children
    if row.is_read_only != info.is_read_only:
        changed["is_read_only"] = info.is_read_only
    if keeps_subscriptions and row.is_subscribed != info.is_subscribed:
        changed["is_subscribed"] = info.is_subscribed
    if row.storable_flags != info.storable_flags:
        changed["storable_flags"] = info.storable_flags
    if row.any_keyword != info.any_keyword:
        changed["any_keyword"] = info.any_keyword
    return changed


async def apply_tree(tx: Transaction, account_id: int, plan: TreePlan) -> None:
    """Carry the plan out inside the caller's transaction."""
    for row in plan.deletes:
        await mailboxes.delete_mailbox(tx, row.id)
    for row, info in plan.resets:
        await mailboxes.reset_mailbox(tx, row.id, info.uidvalidity, info.uidnext, info.mailbox_id)
    for row, changed in plan.updates:
        await mailboxes.update_mailbox(tx, row.id, **changed)
    for info in plan.inserts:
        await insert_info(tx, account_id, info)


async def insert_info(tx: Transaction, account_id: int, info: MailboxInfo) -> MailboxRow:
    """Add the mailbox that the backend describes."""
    return await mailboxes.insert_mailbox(
        tx,
        account_id,
        info.ref,
        info.path,
        info.role,
        is_selectable=info.is_selectable,
        allows_children=info.allows_children,
        is_read_only=info.is_read_only,
        is_subscribed=info.is_subscribed,
        storable_flags=info.storable_flags,
        any_keyword=info.any_keyword,
        uidvalidity=info.uidvalidity,
        uidnext=info.uidnext,
        backend_id=info.mailbox_id,
    )


async def sync_tree(context: AccountContext) -> list[MailboxRow]:
    """List the backend's mailboxes, apply the differences, tell who listens; return the rows as they are now."""
    async with context.tree_lock:
        return await sync_tree_locked(context)


async def sync_tree_locked(context: AccountContext) -> list[MailboxRow]:
    """Do what `sync_tree` does, for a caller that holds the lock."""
    connector = context.account.connector
    infos = await connector.list_mailboxes()
    keeps = isinstance(connector, Subscriptions)
    account_id = context.account_id
    await follow_renames(context, infos, keeps_subscriptions=keeps)

    # Mostly nothing has changed, and the writer need not be waited for; the lock keeps the rows as they are.
    rows, names = await context.store.read_bulk(lambda tx: _read(tx, account_id))
    plan = plan_tree(rows, infos, keeps_subscriptions=keeps)
    told = await ask_names(connector, rows, names, has_lost=plan.loses_subscribed)
    is_same = plan_names(rows, rows, names, told, keeps_subscriptions=keeps) == NamePlan(names)
    has_new_names = False

    async def body(tx: Transaction) -> tuple[TreePlan, list[MailboxRow], bool]:
        before = await mailboxes.mailboxes_of(tx, account_id)
        plan = plan_tree(before, infos, keeps_subscriptions=keeps)
        await apply_tree(tx, account_id, plan)
        has_new_names = await follow(tx, account_id, before, told, keeps_subscriptions=keeps)
        return plan, await mailboxes.mailboxes_of(tx, account_id), has_new_names

    if not plan.is_empty or not is_same:
        plan, rows, has_new_names = await context.store.write(body)
    uidnexts = {info.ref: info.uidnext for info in infos if info.uidnext is not None}
    # Not stored before the messages below it are: a client must not be told of them after their UIDNEXT.
    context.listed_uidnext = {row.id: uidnexts[ref] for row in rows if (ref := ref_of(row)) in uidnexts}
    for row in [row for row, _ in plan.resets] + plan.deletes:
        context.bus.publish(MailboxChanged(row.id, is_reset=True))
    # Whoever has one open learns its new ref and rights.
    context.changed(*(row.id for row, _ in plan.updates))
    if plan.changes_names or has_new_names:
        context.bus.publish_tree(account_id)
    return rows


async def _read(tx: Transaction, account_id: int) -> tuple[list[MailboxRow], Names]:
    return await mailboxes.mailboxes_of(tx, account_id), await subscribed_names.names_of(tx, account_id)
