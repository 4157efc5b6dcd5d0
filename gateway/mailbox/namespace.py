"""The mailboxes of all accounts of a user as one tree of names."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.api.types import Role
from gateway.mailbox import names
from gateway.store.mailboxes import MailboxRow


@dataclass(frozen=True, slots=True)
class MailboxEntry:
    """A name in the tree. `exists` is false for a level that is only the parent of others, or for a subscribed name.

    `has_children`: there are mailboxes below it; what is below a name may also be other subscribed names.
    """

    name: str
    role: Role | None
    is_selectable: bool
    exists: bool
    has_children: bool
    allows_children: bool
    is_subscribed: bool


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """What STATUS can tell. `size` and `deleted_octets` in octets; `mailbox_id` is that of RFC 8474."""

    messages: int
    recent: int
    uidnext: int
    uidvalidity: int
    unseen: int
    deleted: int
    size: int
    deleted_octets: int
    highestmodseq: int
    append_limit: int
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class AccountTree:
    """The stored mailboxes of one account; `subscribed` are paths that are so whatever the rows say."""

    account_id: int
    name: str
    is_primary: bool
    rows: Sequence[MailboxRow]
    subscribed: Collection[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a name is, or would be, in one account."""

    account_id: int
    path: tuple[str, ...]


class Tree:
    """The names of a user's mailboxes at one moment.

    One account stands at the root. Of several, each stands under its own name, but for a primary one, which stands at
    the root. `INBOX` always leads somewhere: without an account at the root, to the first account's.
    """

    def __init__(self, accounts: Sequence[AccountTree]) -> None:
        self._accounts = accounts
        self._root = _root_of(accounts)
        self._by_name: dict[str, MailboxRow] = {}
        self._name_of: dict[int, str] = {}
        for account in accounts:
            for row in sorted(account.rows, key=lambda row: row.id):
                name = self._free_name(self._full_name(account, row.path))
                is_subscribed = row.is_subscribed or row.path in account.subscribed
                self._by_name[name] = row if is_subscribed is row.is_subscribed else replace(row, is_subscribed=True)
                self._name_of[row.id] = name
        places = [Place(account.account_id, path) for account in accounts for path in account.subscribed]
        by_name = {self.prefix_of(place.account_id) + names.join(place.path): place for place in places}
        self._without_mailbox = {name: place for name, place in by_name.items() if name not in self._by_name}

    def _full_name(self, account: AccountTree, path: tuple[str, ...]) -> str:
        prefix = self.prefix_of(account.account_id)
        return prefix + names.join(path)

    def _free_name(self, name: str) -> str:
        """Tell names apart that the backend lets collide: the mailbox known first keeps the name."""
        free, number = name, 2
        while free in self._by_name:
            free, number = f"{name} ({number})", number + 1
        return free

    def prefix_of(self, account_id: int) -> str:
        """Return what stands before the names of an account, with the separator; empty at the root."""
        if self._root is not None and self._root.account_id == account_id:
            return ""
        account = next(account for account in self._accounts if account.account_id == account_id)
        return names.join((account.name,)) + names.SEPARATOR

    def find(self, name: str) -> MailboxRow | None:
        """Return the mailbox of that name."""
        row = self._by_name.get(self._fold_inbox(name))
        if row is None and name.upper() == names.INBOX:
            row = self._plain_inbox()
        return row

    def _plain_inbox(self) -> MailboxRow | None:
        """Return the INBOX of the account at the root, or of the first: of another only if that one has none.

        While nothing is known of it there is none, as it must not be another's today and its own tomorrow.
        """
        for account in sorted(self._accounts, key=lambda account: account is not self._root):
            if not account.rows:
                return None
            for row in account.rows:
                if _is_inbox(row):
                    return row
        return None

    def name_of(self, mailbox_id: int) -> str | None:
        """Return the name of a mailbox."""
        return self._name_of.get(mailbox_id)

    def rows(self) -> list[tuple[str, MailboxRow]]:
        """Return every mailbox with its name."""
        return list(self._by_name.items())

    def without_mailbox(self) -> Mapping[str, Place]:
        """Return the names that are subscribed and have no mailbox, and where that would be."""
        return self._without_mailbox

    def place(self, name: str) -> Place | None:
        """Return where a mailbox of that name would be created; None if no account takes it."""
        name = self._fold_inbox(name)
        for account in self._accounts:
            prefix = self.prefix_of(account.account_id)
            if prefix and name.startswith(prefix) and name != prefix:
                return Place(account.account_id, names.split(name.removeprefix(prefix)))
        if self._root is not None:
            return Place(self._root.account_id, names.split(name))
        return None

    def account_of(self, name: str) -> int | None:
        """Return the account that a name belongs to, whether or not there is such a mailbox; None if to none."""
        place = self.place(name)
        if place is not None:
            return place.account_id
        return self._accounts[0].account_id if self._accounts and name.upper() == names.INBOX else None

    def _fold_inbox(self, name: str) -> str:
        """INBOX is case-insensitive (RFC 9051 section 5.1), under an account's prefix too."""
        head, separator, tail = name.rpartition(names.SEPARATOR)
        if tail.upper() != names.INBOX or tail == names.INBOX:
            return name
        folded = head + separator + names.INBOX
        return folded if folded in self._by_name and name not in self._by_name else name

    def has_children(self, name: str) -> bool:
        """Tell whether any mailbox is below that name."""
        below = name + names.SEPARATOR
        return any(other.startswith(below) for other in self._by_name)

    def topmost_below(self, name: str) -> list[tuple[MailboxRow, str]]:
        """Return the mailboxes below a name that are not below one another, each with the rest of its name."""
        below = name + names.SEPARATOR
        found: list[str] = []
        for other in sorted(other for other in self._by_name if other.startswith(below)):
            if not any(other.startswith(upper + names.SEPARATOR) for upper in found):
                found.append(other)
        return [(self._by_name[other], other.removeprefix(name)) for other in found]

    def entries(self) -> list[MailboxEntry]:
        """Return every name, INBOX first, parents before children; levels that are no mailboxes are filled in."""
        parents = {parent for name in self._by_name for parent in _parents(name)}
        taken_roles: set[Role] = set()
        roles: dict[str, Role] = {}
        for name, row in self._by_name.items():
            if row.role is not None and row.role is not Role.INBOX and row.role not in taken_roles:
                # Two mailboxes of one special use make clients pick either.
                taken_roles.add(row.role)
                roles[name] = row.role
        return [
            self._entry(name, roles.get(name), has_children=name in parents)
            for name in sorted({*self._by_name, *parents, *self._subscribed_levels()}, key=_order)
        ]

    def _subscribed_levels(self) -> set[str]:
        """Return the names without a mailbox and the levels above them: what is listed for subscriptions only."""
        return {level for name in self._without_mailbox for level in (name, *_parents(name))}

    def _entry(self, name: str, role: Role | None, *, has_children: bool) -> MailboxEntry:
        row = self._by_name.get(name)
        if row is None:
            return MailboxEntry(name, None, False, False, has_children, True, name in self._without_mailbox)
        is_inbox = _is_inbox(row)
        return MailboxEntry(
            name=name,
            role=Role.INBOX if is_inbox else role,
            is_selectable=row.is_selectable,
            exists=True,
            has_children=has_children,
            allows_children=row.allows_children,
            is_subscribed=row.is_subscribed,
        )


def _root_of(accounts: Sequence[AccountTree]) -> AccountTree | None:
    if len(accounts) == 1:
        return accounts[0]
    return next((account for account in accounts if account.is_primary), None)


def _is_inbox(row: MailboxRow) -> bool:
    return row.path == (names.INBOX,)


def _parents(name: str) -> list[str]:
    levels = name.split(names.SEPARATOR)
    return [names.SEPARATOR.join(levels[:depth]) for depth in range(1, len(levels))]


def _order(name: str) -> tuple[bool, list[str], str]:
    levels = name.split(names.SEPARATOR)
    return (levels[0] != names.INBOX, [level.casefold() for level in levels], name)
