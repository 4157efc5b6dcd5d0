"""Which mailboxes the filters of NOTIFY and ESEARCH mean (RFC 5465 section 6, RFC 7377 section 2.2)."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.mailbox import names
from gateway.mailbox.namespace import Tree
from gateway.mailbox.user_mail import UserMail
from gateway.store.mailboxes import MailboxRow
from gateway.wire.mailbox_filter import FilterKind, MailboxFilter


def chosen(tree: Tree, filters: Iterable[MailboxFilter]) -> dict[int, tuple[str, MailboxRow]]:
    """Return the mailboxes that can be selected and that a filter means, by id, each with its name.

    What the session has selected is not the tree's to know: those filters mean nothing here. Names that do not exist
    are passed over. One mailbox meant twice is there once.
    """
    found: dict[int, tuple[str, MailboxRow]] = {}
    for one in filters:
        for name, row in _meant(tree, one):
            if row.is_selectable:
                found.setdefault(row.id, (name, row))
    return found


def covers(one: MailboxFilter, name: str, *, is_subscribed: bool) -> bool:
    """Tell whether a filter means a mailbox of that name, as it would be told to a client."""
    match one.kind:
        case FilterKind.PERSONAL | FilterKind.INBOXES:
            return True
        case FilterKind.SUBSCRIBED:
            return is_subscribed
        case FilterKind.MAILBOXES:
            return name in one.names
        case FilterKind.SUBTREE:
            return any(name == upper or name.startswith(upper + names.SEPARATOR) for upper in one.names)
        case FilterKind.SUBTREE_ONE:
            return name in one.names or name.rpartition(names.SEPARATOR)[0] in one.names
        case FilterKind.SELECTED | FilterKind.SELECTED_DELAYED:
            return False


async def tree_with(user: UserMail, filters: Iterable[MailboxFilter]) -> Tree:
    """Return the tree, listed anew if a name is missing that was given: it may have been made elsewhere.

    Raises:
        MailError: no account could be listed yet.
    """
    tree = await user.tree()
    named = {name for one in filters for name in one.names}
    if any(tree.find(name) is None and not tree.has_children(name) for name in named):
        await user.mailboxes()
        tree = await user.tree()
    return tree


def _meant(tree: Tree, one: MailboxFilter) -> Iterable[tuple[str, MailboxRow]]:
    if one.kind is FilterKind.MAILBOXES:
        # Under the name it was asked for: INBOX may stand elsewhere in the tree.
        return [(name, row) for name in one.names if (row := tree.find(name)) is not None]
    # Filters of backends deliver to any mailbox, so that inboxes are personal ones (RFC 5465 section 6.3).
    rows = tree.rows()
    return [(name, row) for name, row in rows if covers(one, name, is_subscribed=row.is_subscribed)]
