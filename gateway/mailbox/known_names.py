"""Which mailbox a name meant when the whole tree was last looked at, so that it need not be for every SELECT."""

from __future__ import annotations

from cachetools import LRUCache

from gateway.store.database import Store
from gateway.store.mailboxes import MailboxRow, mailbox_by_id

_KEPT = 10_000

Owner = tuple[tuple[int, str, bool], ...]
"""The accounts that make up a tree: (id, name, whether it stands at the root)."""


class KnownNames:
    """Names of all users. What is remembered is only where to look: a row that has moved since is not taken."""

    def __init__(self) -> None:
        self._ids: LRUCache[tuple[Owner, str], tuple[int, tuple[str, ...]]] = LRUCache(_KEPT)

    async def row(self, store: Store, owner: Owner, name: str) -> MailboxRow | None:
        """Return what the store says now of the mailbox of that name; None if the tree has to be looked at."""
        mailbox_id = self.find(owner, name)
        if mailbox_id is None:
            return None
        fresh = await store.read(lambda tx: mailbox_by_id(tx, mailbox_id))
        return fresh if self.is_still(owner, name, fresh) else None

    def find(self, owner: Owner, name: str) -> int | None:
        """Return the id of the mailbox that had the name."""
        found = self._ids.get((owner, name))
        return None if found is None else found[0]

    def note(self, owner: Owner, name: str, row: MailboxRow) -> None:
        """Take note of what the tree says."""
        self._ids[owner, name] = (row.id, row.path)

    def is_still(self, owner: Owner, name: str, row: MailboxRow | None) -> bool:
        """Whether the row, read again, is what the name meant; if it is not, that is forgotten."""
        found = self._ids.get((owner, name))
        if found is not None and row is not None and found == (row.id, row.path) and row.is_selectable:
            return True
        self._ids.pop((owner, name), None)
        return False
