"""What can go wrong with the store.

OperatorError
`- StoreError       the store cannot be used: path, permission, disk, damage, version
   |- Conflict      a row of that name or id exists already, or one that it refers to does not
   `- UidsExhausted the mailbox has given out UID 4294967294; it needs a new UIDVALIDITY
"""

from __future__ import annotations

from gateway.errors import OperatorError


class StoreError(OperatorError):
    """The store cannot do what was asked; nothing of the transaction was kept."""


class Conflict(StoreError):
    """A uniqueness or reference rule of the schema forbids the change."""


class UidsExhausted(StoreError):
    """No UID is left under this UIDVALIDITY (RFC 9051 section 2.3.1.1 makes UIDs 32 bits wide)."""


def is_fault(error: BaseException) -> bool:
    """Whether it is a fault of the program, so that the log should say where, and not one of the store's disk."""
    return not isinstance(error, StoreError) or isinstance(error, Conflict)
