"""What becomes of the stored mailboxes when one is renamed at the backend: their UIDs stay, whatever they are called.

Where a mailbox is known by its name, a listing alone would take a renamed one for one that has gone and another that
has come. So what is to be asked for is put on record before, and taken into account by the first listing that succeeds,
in this process or the next.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.api.types import MailboxInfo, MailboxRef
from gateway.store import intents, mailboxes
from gateway.store.database import Transaction
from gateway.store.intents import IntentRow
from gateway.store.mailboxes import MailboxChanges, MailboxRow
from gateway.sync.subscribed_names import follow

if TYPE_CHECKING:
    from gateway.sync.context import AccountContext

_KIND = "rename"


@dataclass(slots=True)
class Rename:
    """The mailbox `ref` was to be renamed, and what is below it too. `is_done`: it was, and has another ref now.

    `intent_id` is what it is on record by.
    """

    intent_id: int
    ref: MailboxRef
    old: tuple[str, ...]
    new: tuple[str, ...]
    is_done: bool = False

    def has_happened(self, infos: Collection[MailboxInfo]) -> bool:
        """Whether that shows by the names that the backend has listed since, and not by the refs themselves."""
        # What keeps its ref is known by it, even if others have given the name to another mailbox meanwhile.
        is_kept = not self.is_done and any(info.ref == self.ref for info in infos)
        return not is_kept and any(info.path == self.new for info in infos)


async def begin_rename(context: AccountContext, row: MailboxRow, path: tuple[str, ...]) -> Rename:
    """Put on record that a mailbox is to be renamed."""
    renames = await renames_of(context)
    payload = {"ref": row.ref, "old": row.path, "new": path}
    intent_id = await context.store.write(lambda tx: intents.record(tx, context.account_id, _KIND, payload))
    rename = Rename(intent_id, MailboxRef(row.ref), row.path, path)
    renames.append(rename)
    return rename


async def forget_rename(context: AccountContext, rename: Rename) -> None:
    """Take back what was put on record: the backend has not renamed the mailbox."""
    (await renames_of(context)).remove(rename)
    await context.store.write(lambda tx: intents.settle(tx, rename.intent_id))


async def renames_of(context: AccountContext) -> list[Rename]:
    """Return the renames that no listing has taken into account, oldest first; `context` keeps the list."""
    if context.renames is None:
        pending = await context.store.read(lambda tx: intents.pending(tx, context.account_id))
        context.renames = [_rename(intent) for intent in pending if intent.kind == _KIND]
    return context.renames


async def follow_renames(context: AccountContext, infos: Sequence[MailboxInfo], *, keeps_subscriptions: bool) -> None:
    """Have renamed mailboxes keep their rows, where the listing does not tell that they are the same ones."""
    renames = await renames_of(context)
    while renames:
        rename = renames[0]

        async def body(tx: Transaction, rename: Rename = rename) -> list[int]:
            moved: list[int] = []
            if rename.has_happened(infos):
                moved = await _apply(tx, context.account_id, rename, infos, keeps_subscriptions=keeps_subscriptions)
            await intents.settle(tx, rename.intent_id)
            return moved

        if moved := await context.store.write(body):
            context.changed(*moved)
            context.bus.publish_tree(context.account_id)
        del renames[0]


def _rename(intent: IntentRow) -> Rename:
    ref, old, new = (intent.payload[name] for name in ("ref", "old", "new"))
    assert isinstance(ref, str)
    assert isinstance(old, list)
    assert isinstance(new, list)
    return Rename(intent.id, MailboxRef(ref), tuple(old), tuple(new))


async def _apply(
    tx: Transaction, account_id: int, rename: Rename, infos: Sequence[MailboxInfo], *, keeps_subscriptions: bool
) -> list[int]:
    """Let the stored mailboxes follow their names, so that the listing finds them again; return the ids of those."""
    rows = await mailboxes.mailboxes_of(tx, account_id)
    moved = renamed(rows, infos, rename.old, rename.new)
    for mailbox_id, changes in moved:
        await mailboxes.update_mailbox(tx, mailbox_id, **changes)
    # The listing itself does not see any more that these names were subscribed.
    await follow(tx, account_id, rows, None, keeps_subscriptions=keeps_subscriptions)
    return [mailbox_id for mailbox_id, _ in moved]


def renamed(
    rows: Sequence[MailboxRow], infos: Sequence[MailboxInfo], old: tuple[str, ...], new: tuple[str, ...]
) -> list[tuple[int, MailboxChanges]]:
    """Return what changes in the rows of a renamed mailbox and of those below it, by the backend's present names."""
    by_path = {info.path: info for info in infos}
    held = {row.ref for row in rows}
    changes: list[tuple[int, MailboxChanges]] = []
    for row in rows:
        if row.path[: len(old)] != old:
            continue
        info = by_path.get(new + row.path[len(old) :])
        if info is not None:
            change = MailboxChanges(path=info.path)
            if info.ref != row.ref and info.ref not in held:
                change["ref"] = info.ref
            changes.append((row.id, change))
    return changes
