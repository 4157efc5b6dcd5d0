"""The mailboxes of JMAP as a tree of paths. Pure.

JMAP gives each mailbox a name and a parent, and says by its role which one is the inbox (RFC 8621 section 2). IMAP
knows INBOX by its name (RFC 9051 section 5.1), so here the one with the role is INBOX, at the root, whatever it is
called and wherever it is; and another one that is called so gets a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN, MailboxInfo, MailboxRef, Role
from connectors.jmap.states import object_id
from connectors.jmap.structs import Mailbox, MailboxRights

Path = tuple[str, ...]

INBOX: Path = ("INBOX",)

_ROLES = {role.value: role for role in Role}
_KEYWORD_FLAGS = frozenset({ANSWERED, FLAGGED, DRAFT})


def build_tree(mailboxes: Iterable[Mailbox], *, is_read_only: bool = False) -> list[MailboxInfo]:
    """Return what IMAP is to see, parents before children, siblings in the server's order.

    A mailbox whose parent is not among them stands at the root. `is_read_only` is of the account.
    """
    known = {mailbox.id: mailbox for mailbox in mailboxes}
    roles = _roles(known.values())
    inbox = next((ref for ref, role in roles.items() if role is Role.INBOX), None)
    children: dict[str | None, list[Mailbox]] = {}
    for mailbox in known.values():
        children.setdefault(None if mailbox.id == inbox else _parent(mailbox, known), []).append(mailbox)
    infos: list[MailboxInfo] = []
    pending: list[tuple[Mailbox, Path]] = []

    def add_below(parent: str | None, above: Path) -> None:
        siblings = children.get(parent, [])
        names = _names(siblings, is_root=parent is None, inbox=inbox)
        ordered = sorted(siblings, key=lambda mailbox: (mailbox.id != inbox, mailbox.sort_order, names[mailbox.id]))
        pending.extend((mailbox, (*above, names[mailbox.id])) for mailbox in reversed(ordered))

    add_below(None, ())
    while pending:
        mailbox, path = pending.pop()
        infos.append(_info(mailbox, path, roles.get(mailbox.id), is_read_only=is_read_only))
        add_below(mailbox.id, path)
    return infos


def _parent(mailbox: Mailbox, known: Mapping[str, Mailbox]) -> str | None:
    """Return the parent, or None if it is not among them or is below the mailbox itself."""
    seen = {mailbox.id}
    above = mailbox.parent_id
    while above is not None and above in known and above not in seen:
        seen.add(above)
        above = known[above].parent_id
    return None if above == mailbox.id or mailbox.parent_id not in known else mailbox.parent_id


def mailbox_with(role: Role, mailboxes: Iterable[Mailbox]) -> MailboxRef | None:
    """Return the mailbox that has the role, if there is one."""
    roles = _roles(mailboxes)
    return next((MailboxRef(ref) for ref, found in roles.items() if found is role), None)


def _roles(mailboxes: Iterable[Mailbox]) -> dict[str, Role]:
    """Return the role of each mailbox that has one: one mailbox per role, and an inbox even if the role is missing."""
    ordered = sorted(mailboxes, key=lambda mailbox: mailbox.id)
    roles: dict[str, Role] = {}
    for mailbox in ordered:
        role = _ROLES.get((mailbox.role or "").lower())
        if role is not None and role not in roles.values():
            roles[mailbox.id] = role
    if Role.INBOX not in roles.values():
        for mailbox in ordered:
            if mailbox.parent_id is None and _is_inbox_name(mailbox.name) and mailbox.id not in roles:
                roles[mailbox.id] = Role.INBOX
                break
    return roles


def _names(siblings: Sequence[Mailbox], *, is_root: bool, inbox: str | None) -> dict[str, str]:
    """Return what each sibling is called; none is called like another, and only `inbox` like INBOX."""
    names: dict[str, str] = {}
    used: set[str] = set()
    again: list[Mailbox] = []
    for mailbox in sorted(siblings, key=lambda mailbox: mailbox.id):
        name = INBOX[0] if mailbox.id == inbox else mailbox.name
        if not name or name in used or (is_root and mailbox.id != inbox and _is_inbox_name(name)):
            again.append(mailbox)
        else:
            names[mailbox.id] = name
            used.add(name)
    for mailbox in again:
        names[mailbox.id] = _free(mailbox.name or mailbox.id, used)
        used.add(names[mailbox.id])
    return names


def _free(name: str, used: set[str]) -> str:
    """Return the name with the least number behind it that makes it another's."""
    number = 2
    while f"{name} ({number})" in used:
        number += 1
    return f"{name} ({number})"


def _is_inbox_name(name: str) -> bool:
    return name.lower() == "inbox"


def _info(mailbox: Mailbox, path: Path, role: Role | None, *, is_read_only: bool) -> MailboxInfo:
    rights = mailbox.my_rights or MailboxRights()
    may_set_seen = rights.may_set_seen and not is_read_only
    may_set_keywords = rights.may_set_keywords and not is_read_only
    may_alter = rights.may_add_items or rights.may_remove_items or rights.may_set_seen or rights.may_set_keywords
    return MailboxInfo(
        ref=MailboxRef(mailbox.id),
        path=path,
        role=role,
        is_selectable=rights.may_read_items,
        allows_children=rights.may_create_child,
        is_read_only=is_read_only or not may_alter,
        is_subscribed=mailbox.is_subscribed,
        storable_flags=(frozenset({SEEN}) if may_set_seen else frozenset())
        | (_KEYWORD_FLAGS if may_set_keywords else frozenset()),
        any_keyword=may_set_keywords,
        messages=mailbox.total_emails,
        mailbox_id=object_id(mailbox.id),
    )
