"""EXPUNGE and UID EXPUNGE (RFC 9051 section 6.4.3, RFC 4315 section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.imap import errors
from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no, ok
from gateway.imap.message_limit import limit_of, with_code, within_limit
from gateway.imap.session import Session
from gateway.wire import commands
from gateway.wire.codes import Code

CAPABILITIES = (
    Capability(
        "UIDPLUS",
        "RFC 4315",
        "UID EXPUNGE; APPENDUID and COPYUID also across accounts",
        is_used_by=lambda command: isinstance(command, commands.Expunge) and command.uids is not None,
    ),
)


async def expunge(session: Session, command: commands.Expunge) -> Completion:
    """Remove what is marked \\Deleted, of the UIDs given if any. The EXPUNGE lines are told with all that is new."""
    view = session.require_view()
    if view.is_read_only:
        return no("The mailbox is open for reading only", Code.NOPERM.value)
    uids: Sequence[int] | None = None
    limit_code = None
    if command.uids is not None:
        uids = session.resolve(command.uids, is_uid=True)
        if limit_of(session) is not None:
            # What counts is what goes. EXPUNGE itself is not bounded (RFC 9738 section 3.1).
            deleted = [row.uid for row in view.flag_rows(uids) if b"\\Deleted" in row.flags]
            uids, limit_code = within_limit(session, deleted)
    outcome = await view.expunge(uids)
    if outcome.error is not None:
        return with_code(session, errors.completion_of(outcome.error), limit_code)
    return with_code(session, ok("Expunge completed"), limit_code)
