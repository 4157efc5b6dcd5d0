"""Object ids (RFC 8474) as clients are told them: permanent, and never the same for different things.

Ids are decided when a message or mailbox becomes known, and stored as they are told.

* Of the first account that a user ever had, the backend's ids are told as they are, so that they are the same here, in
  JMAP and at the backend's own IMAP door. All other accounts put their tag in front: `M0f3a61b2c4-` and the backend's
  id. The tag is random and the account's for good, so a second account changes no id of the first, two accounts never
  share an id, and nor do an account that was removed and the one that came after it.
* The tag is also put in front of an id that would be ambiguous or unwise: a THREADID that does not begin with `T` or
  an EMAILID that does, since the two must never be equal (section 5.2) and some backends give them out of one set;
  an id that looks like one of ours; one that begins with a dash, is a number, or is `NIL` (section 8.1).
* Where the backend has no legal id, EMAILID is made of tag and message id, `M0f3a61b2c4_17`. A copy takes over the ids
  of its original, as section 5.1 wants it. There is no THREADID then. A MAILBOXID is random, and kept until the
  mailbox goes or its UIDVALIDITY does.
"""

from __future__ import annotations

import enum
import re
import secrets
from dataclasses import dataclass

from sqlalchemy import bindparam, select

from gateway.store.tables import accounts
from gateway.store.transaction import Transaction

MAX_LENGTH = 255
"""Characters of an id (RFC 8474 section 7, `objectid`)."""

_LEGAL = re.compile(r"[A-Za-z0-9_-]{1,255}")
_UNWISE = re.compile(r"-.*|[0-9]+|nil", re.IGNORECASE)
_OURS = re.compile(r"[MTF][0-9a-f]{10}[-_]")
_MADE = re.compile(r"M([0-9a-f]{10})_([1-9][0-9]{0,18})")


class Kind(enum.Enum):
    """What an id is of; the value is the letter that stands before the tag."""

    EMAIL = "M"
    THREAD = "T"
    MAILBOX = "F"


@dataclass(frozen=True, slots=True)
class Naming:
    """How the ids of one account are told: its tag, and whether the backend's are told as they are."""

    tag: str
    is_plain: bool

    def told(self, kind: Kind, backend_id: str | None) -> str | None:
        """Return the backend's id as clients are told it; None if there is none, or none that can be told."""
        if backend_id is None or not _LEGAL.fullmatch(backend_id):
            return None
        if self.is_plain and _is_unambiguous(kind, backend_id):
            return backend_id
        tagged = f"{kind.value}{self.tag}-{backend_id}"
        return tagged if len(tagged) <= MAX_LENGTH else None

    def made_email_id(self, message_id: int) -> str:
        """Return the EMAILID of a message whose backend has none for it."""
        return f"{Kind.EMAIL.value}{self.tag}_{message_id}"


def backend_id(told: str) -> str:
    """Return the backend's id behind one that it gave and that is told by `Naming.told`."""
    return told.partition("-")[2] if _OURS.match(told) else told


def _is_unambiguous(kind: Kind, backend_id: str) -> bool:
    if _UNWISE.fullmatch(backend_id) or _OURS.match(backend_id):
        return False
    return kind is Kind.MAILBOX or backend_id.startswith(Kind.THREAD.value) is (kind is Kind.THREAD)


def new_tag() -> str:
    """Return a tag for a new account: 40 random bits."""
    return secrets.token_hex(5)


def made_mailbox_id() -> str:
    """Return a MAILBOXID for a mailbox whose backend has none: 64 random bits."""
    return Kind.MAILBOX.value + secrets.token_hex(8)


def parse_made_email_id(email_id: str) -> tuple[str, int] | None:
    """Return tag and message id of an EMAILID made by `Naming.made_email_id`; None for any other."""
    match = _MADE.fullmatch(email_id)
    return (match[1], int(match[2])) if match is not None else None


_OF_ACCOUNT = select(accounts.c.object_tag, accounts.c.has_plain_ids).where(accounts.c.id == bindparam("account_id"))


async def naming_of(tx: Transaction, account_id: int) -> Naming:
    """Return how the account's ids are told.

    Raises:
        LookupError: there is no such account.
    """
    row = await tx.row(_OF_ACCOUNT, account_id=account_id)
    if row is None:
        raise LookupError(f"account {account_id}")
    return Naming(row[0], bool(row[1]))
