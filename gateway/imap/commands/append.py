"""APPEND (RFC 9051 section 6.3.12)."""

from __future__ import annotations

from gateway.errors import ErrorKind, MailError
from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no, ok
from gateway.imap.errors import ClientError
from gateway.imap.session import Session
from gateway.imap.spool import SpooledContent
from gateway.wire import commands, write_code

CAPABILITIES = (
    Capability("APPENDLIMIT", "RFC 7889", "`limits.message_size`, the same for all mailboxes", has_append_limit=True),
)


async def append(session: Session, command: commands.Append) -> Completion:
    """Store the uploaded message. OK only once the backend has it; APPENDUID tells where (RFC 4315 section 3)."""
    if command.is_utf8 and not session.utf8:
        raise ClientError("UTF8 needs ENABLE UTF8=ACCEPT")
    content = command.content
    assert isinstance(content, SpooledContent), "the connection's spool made it"
    if content.size == 0:
        return no("A message cannot be empty")
    user = session.require_user()
    limit = user.append_limit(command.mailbox)
    if content.size > limit:
        raise MailError(ErrorKind.TOO_LARGE, f"A message may have {limit} octets there")
    flags = [flag for flag in command.flags if flag != "\\Recent"]
    stored = await user.append(command.mailbox, content, flags, command.internal_date)
    code = None if stored is None else write_code.append_uid(stored.uidvalidity, stored.uid)
    return ok("Append completed", code)
