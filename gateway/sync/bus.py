"""Telling whoever listens that something in the store has changed.

The bus carries no data: a listener reads from the store what changed after the mod-sequence it knows. A lost or doubled
message therefore does no harm, and the same listeners work with one process or many. Only what many messages cost is
spared to a listener that knows all that was before: `FlagsChanged` is then what it would read.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gateway.store.flags import FlagSet


@dataclass(frozen=True, slots=True)
class FlagsChanged:
    """All that a commit has changed when it brought a mailbox from mod-sequence `before` to `after`.

    The message `uids[n]`, ascending, has now the flags `flag_sets[kinds[n]]`.
    """

    before: int
    after: int
    uids: array[int]
    kinds: array[int]
    flag_sets: Sequence[FlagSet]


@dataclass(frozen=True, slots=True)
class MailboxChanged:
    """Placements in the mailbox were added, altered or removed; or, if `is_reset`, its UIDs are void.

    `flags` may say what it is; there may be more than that.
    """

    mailbox_id: int
    is_reset: bool = False
    flags: FlagsChanged | None = None


@dataclass(frozen=True, slots=True)
class AnnotationsChanged:
    """A user has changed these annotations of a mailbox, or of the server if `mailbox` is empty (RFC 5464).

    `origin` is who did it, for whom it is no news.
    """

    user_id: int
    mailbox: str
    entries: tuple[str, ...]
    origin: object = None


Listener = Callable[[MailboxChanged], None]
TreeListener = Callable[[int], None]
AnnotationListener = Callable[[AnnotationsChanged], None]


class ChangeBus:
    """Delivers at once, in the order of publishing, on the loop's thread. Listeners must not block or raise."""

    def __init__(self) -> None:
        self._by_mailbox: defaultdict[int, list[Listener]] = defaultdict(list)
        self._tree: defaultdict[int, list[TreeListener]] = defaultdict(list)
        self._tree_versions: defaultdict[int, int] = defaultdict(int)
        self._annotations: defaultdict[int, list[AnnotationListener]] = defaultdict(list)

    def publish(self, change: MailboxChanged) -> None:
        """Tell the listeners of one mailbox; call it after the commit, never before."""
        for listener in tuple(self._by_mailbox.get(change.mailbox_id, ())):
            listener(change)

    def publish_tree(self, account_id: int) -> None:
        """Tell that mailboxes of the account came, went or changed their names or subscriptions; after the commit.

        Whoever writes anything else that a tree shows calls this too: what is kept of trees is then read anew
        (`gateway.mailbox.listings`). For the rows of mailboxes that is certain without it (`Store.tree_version`).
        """
        self._tree_versions[account_id] += 1
        for listener in tuple(self._tree.get(account_id, ())):
            listener(account_id)

    def tree_version(self, account_id: int) -> int:
        """Return how often a change of the account's tree was told of."""
        return self._tree_versions.get(account_id, 0)

    def publish_annotations(self, change: AnnotationsChanged) -> None:
        """Tell the listeners of one user; call it after the commit."""
        for listener in tuple(self._annotations.get(change.user_id, ())):
            listener(change)

    def subscribe(self, mailbox_id: int, listener: Listener) -> Callable[[], None]:
        """Listen to one mailbox; call what is returned to stop."""
        return _subscribe(self._by_mailbox, mailbox_id, listener)

    def subscribe_tree(self, account_id: int, listener: TreeListener) -> Callable[[], None]:
        """Listen to the mailbox tree of an account; call what is returned to stop."""
        return _subscribe(self._tree, account_id, listener)

    def subscribe_annotations(self, user_id: int, listener: AnnotationListener) -> Callable[[], None]:
        """Listen to the annotations of a user; call what is returned to stop."""
        return _subscribe(self._annotations, user_id, listener)

    def interest(self) -> frozenset[int]:
        """Return the mailboxes somebody listens to."""
        return frozenset(self._by_mailbox)


def _subscribe(
    table: defaultdict[int, list[Callable[..., None]]], key: int, listener: Callable[..., None]
) -> Callable[[], None]:
    table[key].append(listener)

    def unsubscribe() -> None:
        listeners = table.get(key)
        if listeners is not None and listener in listeners:
            listeners.remove(listener)
            if not listeners:
                del table[key]

    return unsubscribe
