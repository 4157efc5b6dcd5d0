"""What a user may do with a mailbox, in the terms of RFC 4314."""

from __future__ import annotations

from connectors.api.abilities import MailboxAdmin
from gateway.mailbox import names
from gateway.mailbox.user_mail import UserMail
from gateway.store.mailboxes import MailboxRow
from gateway.wire.rights import Right

_READING = frozenset({Right.LOOKUP, Right.READ})
_WRITING = frozenset({Right.KEEP_SEEN, Right.WRITE, Right.INSERT, Right.DELETE_MESSAGES, Right.EXPUNGE})


async def rights_of(user: UserMail) -> dict[str, frozenset[Right]]:
    """Return the rights to every mailbox of the user, by name.

    All mail is the user's own, so they follow from what the backend lets its owner do. POST stands for sending mail to
    the mailbox's own address, of which the gateway knows nothing.
    """
    administered = _administered(user)
    rows = (await user.tree()).rows()
    return {name: _rights(row, can_change_tree=row.account_id in administered) for name, row in rows}


async def rights_to(user: UserMail, name: str) -> frozenset[Right]:
    """Return the rights to one mailbox.

    Raises:
        MailError: there is none of that name.
    """
    row = await user.row(name)
    return _rights(row, can_change_tree=row.account_id in _administered(user))


def _administered(user: UserMail) -> set[int]:
    """Return the ids of the accounts whose mailboxes can be created, renamed and deleted."""
    accounts = (engine.context.account for engine in user.running_engines())
    return {account.id for account in accounts if isinstance(account.connector, MailboxAdmin)}


def _rights(row: MailboxRow, *, can_change_tree: bool) -> frozenset[Right]:
    rights = {Right.LOOKUP, Right.ADMINISTER}
    if row.is_selectable:
        rights |= _READING
        if not row.is_read_only:
            rights |= _WRITING
    if can_change_tree and row.allows_children:
        rights.add(Right.CREATE)
    if can_change_tree and row.path != (names.INBOX,):
        rights.add(Right.DELETE_MAILBOX)
    return frozenset(rights)
