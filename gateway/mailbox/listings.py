"""The trees that were listed lately, kept as long as they are what the store has.

A tree is read from the store, named and sorted for 1,000 mailboxes in some 20 ms; what is kept is looked at in
microseconds. Nothing is kept on trust: whoever takes a tree out compares the numbers that every change of it alters, so
that a session lists what it, or any other, has made just before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from cachetools import LRUCache, TTLCache

from gateway.clock import Clock
from gateway.mailbox import names
from gateway.mailbox.known_names import Owner
from gateway.mailbox.namespace import MailboxEntry, Tree
from gateway.store import accounts
from gateway.store.database import Store
from gateway.sync.bus import ChangeBus

T = TypeVar("T")

NAMES_KEPT = 100_000
"""Of all trees together; one takes 0.3 KB, and 0.1 KB more for each answer that is kept."""
KEPT_S = 600.0
"""A tree that nobody has listed for so long is let go when the next is listed."""
_ANSWERS_KEPT = 4
_MADE_AT_ONCE = 500
"""Lines for so many names take 4 ms to make."""

Stamp = tuple[tuple[int, int], ...]
"""The versions of the trees of the accounts: as the store counts, and as was told of."""


class Listing(Sequence[MailboxEntry]):
    """A tree as it is listed, INBOX first, parents before children; it never changes.

    `ids` are the ids of the mailboxes that can be selected, by name.
    """

    __slots__ = ("_entries", "_made", "ids")

    def __init__(self, tree: Tree) -> None:
        self._entries = tuple(tree.entries())
        ids = {name: row.id for name, row in tree.rows() if row.is_selectable}
        inbox = tree.find(names.INBOX)
        if inbox is not None and inbox.is_selectable:
            # Without an account at the root it leads to one that has another name.
            ids.setdefault(names.INBOX, inbox.id)
        self.ids: Mapping[str, int] = ids
        self._made: LRUCache[Hashable, Any] = LRUCache(_ANSWERS_KEPT)

    @overload
    def __getitem__(self, index: int) -> MailboxEntry: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[MailboxEntry]: ...
    def __getitem__(self, index: int | slice) -> MailboxEntry | Sequence[MailboxEntry]:
        return self._entries[index]

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[MailboxEntry]:
        return iter(self._entries)

    async def made(self, key: Hashable, make: Callable[[Listing], T]) -> T:
        """Return what `make` makes of this; made once for a key, as long as that is asked for now and then.

        Of many names it is made beside the event loop.
        """
        found: T | None = self._made.get(key)
        if found is None:
            is_large = len(self) > _MADE_AT_ONCE
            found = self._made[key] = await asyncio.to_thread(make, self) if is_large else make(self)
        return found


class Listings:
    """The listings of all users, shared by the sessions of each."""

    def __init__(self, store: Store, bus: ChangeBus, clock: Clock) -> None:
        self._store = store
        self._bus = bus
        self._kept: TTLCache[Owner, tuple[Stamp, Listing]] = TTLCache(
            NAMES_KEPT, KEPT_S, timer=clock.monotonic, getsizeof=_names_of
        )

    async def find(self, owner: Owner) -> Listing | None:
        """Return what lists the owner's tree as it is now; None if it has to be read."""
        kept = self._kept.get(owner)
        if kept is None:
            return None
        account_ids = [account_id for account_id, _, _ in owner]
        # An account is removed by the command line too, in a process of its own, and its mailboxes go with it.
        if kept[0] != self.stamp(owner) or not await self._store.read(lambda tx: accounts.are_there(tx, account_ids)):
            self._kept.pop(owner, None)
            return None
        self._kept[owner] = kept
        return kept[1]

    def stamp(self, owner: Owner) -> Stamp:
        """Return what `keep` wants to know of the moment before the tree was read."""
        return tuple(
            [(self._store.tree_version(account_id), self._bus.tree_version(account_id)) for account_id, _, _ in owner]
        )

    def keep(self, owner: Owner, stamp: Stamp, listing: Listing) -> None:
        """Keep what was made of a tree, read after `stamp` was taken."""
        if len(listing) < NAMES_KEPT:
            self._kept[owner] = (stamp, listing)


def _names_of(kept: tuple[Stamp, Listing]) -> int:
    return 1 + len(kept[1])
