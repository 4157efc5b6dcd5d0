"""Special uses as LIST attributes (RFC 6154 section 2, RFC 8457) and as XLIST spelled them before."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from connectors.api.types import Role

SPECIAL_USES: Mapping[Role, str] = MappingProxyType(
    {
        Role.ALL: "\\All",
        Role.ARCHIVE: "\\Archive",
        Role.DRAFTS: "\\Drafts",
        Role.FLAGGED: "\\Flagged",
        Role.IMPORTANT: "\\Important",
        Role.JUNK: "\\Junk",
        Role.SENT: "\\Sent",
        Role.TRASH: "\\Trash",
    }
)

XLIST_USES: Mapping[Role, str] = MappingProxyType(
    {
        **SPECIAL_USES,
        Role.INBOX: "\\Inbox",
        Role.ALL: "\\AllMail",
        Role.FLAGGED: "\\Starred",
        Role.JUNK: "\\Spam",
    }
)

# What collects messages by itself cannot be made of an ordinary mailbox.
_NOT_TO_BE_CREATED = frozenset({Role.ALL, Role.FLAGGED, Role.IMPORTANT})


def role_of_attribute(attribute: str) -> Role | None:
    """Return the role that CREATE may give a mailbox by this attribute, in any case; None if there is none."""
    for role, name in SPECIAL_USES.items():
        if name.lower() == attribute.lower() and role not in _NOT_TO_BE_CREATED:
            return role
    return None
