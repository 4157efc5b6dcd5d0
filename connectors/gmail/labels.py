"""Labels as mailboxes: which label is which mailbox, and where a message is that has a set of labels.

A mailbox's ref is the id of its label; All Mail, which is no label, is `ALL`. A user label's name is a path with "/"
between its parts, and its parents need not exist: those are mailboxes that cannot be selected, of ref "/" and the path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import msgspec

from connectors.api.types import DELETED, DRAFT, FLAGGED, SEEN, MailboxInfo, MailboxRef, Role
from connectors.gmail.settings import GmailSettings
from connectors.gmail.structs import Label

Path = tuple[str, ...]
Labels = frozenset[str]

ALL = "ALL"
INBOX = "INBOX"
TRASH = "TRASH"
SPAM = "SPAM"
DRAFTS = "DRAFT"
SENT = "SENT"
STARRED = "STARRED"
IMPORTANT = "IMPORTANT"
UNREAD = "UNREAD"
CHAT = "CHAT"

PLACES = frozenset({INBOX, SPAM, TRASH})
"""Of these a message has one at most."""

ASIDE = frozenset({SPAM, TRASH})
"""Whoever is in one of these is in no other mailbox, whatever labels it keeps: so Gmail shows it."""

LASTING = frozenset({ALL, SENT, DRAFTS})
"""What is in these can only leave them for Trash or Spam, or for ever: their labels cannot be taken off."""

VIEWS = frozenset({ALL, STARRED, IMPORTANT})
"""Mailboxes that show a quality of a message and not where somebody has put it."""

_SYSTEM: Mapping[str, tuple[str, Role | None]] = {
    ALL: ("All Mail", Role.ALL),
    DRAFTS: ("Drafts", Role.DRAFTS),
    IMPORTANT: ("Important", Role.IMPORTANT),
    SENT: ("Sent Mail", Role.SENT),
    SPAM: ("Spam", Role.JUNK),
    STARRED: ("Starred", Role.FLAGGED),
    TRASH: ("Trash", Role.TRASH),
}
_CATEGORIES: Mapping[str, str] = {
    "CATEGORY_PERSONAL": "Personal",
    "CATEGORY_SOCIAL": "Social",
    "CATEGORY_PROMOTIONS": "Promotions",
    "CATEGORY_UPDATES": "Updates",
    "CATEGORY_FORUMS": "Forums",
}
_FLAGS = frozenset({SEEN, FLAGGED})
_DRAFT_FLAGS = frozenset({SEEN, DRAFT})
"""A draft cannot be given labels, so not be starred; \\Draft is there because it is a draft."""
_MIXED_FLAGS = _FLAGS | _DRAFT_FLAGS
"""Of mailboxes with drafts among other messages: which of them are drafts is for Gmail to say there too."""

_IMPLIED = "/"


@dataclass(frozen=True, slots=True)
class Tree:
    """The mailboxes that a list of labels makes.

    `infos`: parents before children. `shown`: the ids of the labels that are mailboxes, and ALL. `names`: the names of
    user labels by id. `digest` differs if anything in `infos` differs.
    """

    infos: tuple[MailboxInfo, ...]
    shown: Labels
    names: Mapping[str, str]
    digest: str

    def info(self, ref: str) -> MailboxInfo | None:
        """Return the mailbox of that ref."""
        return next((info for info in self.infos if info.ref == ref), None)

    def at(self, path: Path) -> MailboxInfo | None:
        """Return the mailbox of that path."""
        return next((info for info in self.infos if info.path == path), None)

    def holders(self, labels: Labels) -> frozenset[MailboxRef]:
        """Return the mailboxes that a message with these labels is in; a chat is only where somebody has put it."""
        aside = labels & ASIDE
        if aside:
            # Both cannot be; if both are, it is thrown away.
            return frozenset({MailboxRef(TRASH if TRASH in aside else SPAM)})
        everywhere = frozenset[str]() if CHAT in labels else frozenset({ALL})
        return frozenset(map(MailboxRef, (labels & self.shown) | everywhere))


def flags_of(labels: Labels) -> frozenset[str]:
    """Return the flags of a message with these labels."""
    flags = set[str]() if UNREAD in labels else {SEEN}
    if STARRED in labels:
        flags.add(FLAGGED)
    if DRAFTS in labels:
        flags.add(DRAFT)
    return frozenset(flags)


def build_tree(labels: Sequence[Label], settings: GmailSettings) -> Tree:
    """Make mailboxes of the labels. INBOX and All Mail are there in any case; Chat is not mail."""
    found = {label.id: label for label in labels}
    infos = [_system_info(INBOX, ("INBOX",), Role.INBOX)]
    for label_id, (name, role) in _SYSTEM.items():
        if label_id == ALL or label_id in found:
            infos.append(_system_info(label_id, (*settings.prefix, name), role))
    if settings.categories:
        infos += [
            _system_info(label_id, (*settings.prefix, name), None)
            for label_id, name in _CATEGORIES.items()
            if label_id in found
        ]
    taken = {info.path for info in infos}
    users = sorted((label for label in labels if label.type != "system"), key=lambda label: (label.name, label.id))
    for label in users:
        path = _free(user_path(label.name), taken)
        taken.add(path)
        infos.append(_user_info(label, path))
    infos += _implied(taken)
    if settings.auto_expunge:
        # It is not kept, but acted upon.
        infos = [replace(info, storable_flags=info.storable_flags | {DELETED}) for info in infos]
    infos.sort(key=lambda info: (info.path != ("INBOX",), info.path))
    shown = frozenset(info.ref for info in infos if info.is_selectable)
    return Tree(tuple(infos), shown, {label.id: label.name for label in users}, _digest(infos))


def user_path(name: str) -> Path:
    """Return the path of a user label; a name with an empty part is one part as a whole."""
    parts = tuple(name.split("/"))
    if not all(parts):
        return (name,)
    # INBOX is INBOX in whatever case (RFC 9051 section 5.1), as a parent too.
    return ("INBOX", *parts[1:]) if parts[0].upper() == "INBOX" else parts


def _system_info(label_id: str, path: Path, role: Role | None) -> MailboxInfo:
    flags = _DRAFT_FLAGS if label_id == DRAFTS else _MIXED_FLAGS if label_id in VIEWS | ASIDE else _FLAGS
    return MailboxInfo(
        MailboxRef(label_id),
        path,
        role,
        # A label below a system label is one beside it, at Gmail; INBOX/x is a user label like any other.
        allows_children=label_id == INBOX,
        storable_flags=flags,
        any_keyword=False,
        mailbox_id=label_id,
    )


def _user_info(label: Label, path: Path) -> MailboxInfo:
    return MailboxInfo(
        MailboxRef(label.id),
        path,
        is_subscribed=label.label_list_visibility != "labelHide",
        storable_flags=_FLAGS,
        any_keyword=False,
        mailbox_id=label.id,
    )


def _implied(taken: Iterable[Path]) -> list[MailboxInfo]:
    """Return the parents that no label stands for."""
    known = set(taken)
    missing = {path[:length] for path in known for length in range(1, len(path))} - known
    return [
        MailboxInfo(
            MailboxRef(_IMPLIED + _IMPLIED.join(path)), path, is_selectable=False, storable_flags=_FLAGS,
            any_keyword=False,
        )
        for path in sorted(missing)
    ]  # fmt: skip


def _free(path: Path, taken: set[Path]) -> Path:
    """Return the path, or one like it that no other mailbox has: a user's label may be named as ours under `prefix`."""
    if path not in taken:
        return path
    number = 2
    while (*path[:-1], f"{path[-1]} ({number})") in taken:
        number += 1
    return (*path[:-1], f"{path[-1]} ({number})")


def _digest(infos: Sequence[MailboxInfo]) -> str:
    told = [[info.ref, list(info.path), info.is_selectable, info.is_subscribed] for info in infos]
    return sha256(msgspec.json.encode(told)).hexdigest()[:16]
