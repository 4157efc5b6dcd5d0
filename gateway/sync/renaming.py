"""What becomes of the stored mailboxes when one is renamed at the backend: their UIDs stay, whatever they are called.

Where a mailbox is known by its name, a listing alone would take a renamed one for one that has gone and another that
has come. So what was asked for is noted before the mailboxes are listed, and taken into account by the first listing
that succeeds.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from connectors.api.types import MailboxInfo, MailboxRef
from gateway.store import mailboxes
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxChanges, MailboxRow
from gateway.sync.subscribed_names import follow


@dataclass(frozen=True, slots=True)
class Rename:
    """The mailbox `ref` was to be renamed, and what is below it too. `is_done`: it was, and has another ref now."""

    ref: MailboxRef
    old: tuple[str, ...]
    new: tuple[str, ...]
    is_done: bool

    def has_happened(self, infos: Collection[MailboxInfo]) -> bool:
        """Whether that shows by the names that the backend has listed since, and not by the refs themselves."""
        # What keeps its ref is known by it, even if others have given the name to another mailbox meanwhile.
        is_kept = not self.is_done and any(info.ref == self.ref for info in infos)
        return not is_kept and any(info.path == self.new for info in infos)


async def apply_rename(
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
