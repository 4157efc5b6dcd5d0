"""UIDBATCHES (RFC 10022)."""

from __future__ import annotations

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, bad, no, ok
from gateway.imap.session import Session
from gateway.mailbox.uid_batches import uid_batches
from gateway.wire import write
from gateway.wire.codes import Code
from gateway.wire.uid_batches import UidBatches

SMALLEST_BATCH = 500
"""Smaller batches are refused: their list would be as long as one of all UIDs."""

CAPABILITIES = (
    Capability(
        "UIDBATCHES",
        "RFC 10022",
        f"Ranges of UIDs with so many messages each, at least {SMALLEST_BATCH}, to read a mailbox in parts",
        is_used_by=lambda command: isinstance(command, UidBatches),
    ),
)


async def tell_batches(session: Session, command: UidBatches) -> Completion:
    """Tell the batches of the selected mailbox as the client knows it, those with the highest UIDs first."""
    if command.size < SMALLEST_BATCH:
        return no(f"A batch has at least {SMALLEST_BATCH} messages", Code.TOOFEW.value)
    first, last = command.wanted or (1, None)
    if last is not None and first > last:
        return bad("Batches are counted upwards", Code.CLIENTBUG.value)
    batches = uid_batches(session.require_view().uids, command.size, first, last)
    session.write(write.uid_batches(session.tag, batches))
    return ok("Uidbatches completed")
