"""COPY and MOVE (RFC 9051 sections 6.4.7 and 6.4.8, RFC 4315 section 3, RFC 6851)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.imap import errors
from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no, ok
from gateway.imap.message_limit import refused_at_once, with_code, within_limit
from gateway.imap.session import Session
from gateway.wire import commands, write, write_code
from gateway.wire.codes import Code, Status

CAPABILITIES = (
    Capability(
        "MOVE",
        "RFC 6851",
        "No message is ever in neither mailbox. Between accounts: copied, confirmed, then removed",
        is_used_by=lambda command: isinstance(command, commands.Copy) and command.is_move,
    ),
)


async def copy(session: Session, command: commands.Copy) -> Completion:
    """Copy or move messages. UIDs that are gone are passed over, as iPhones cannot get over a NO.

    COPYUID comes in the tagged OK of COPY, and of MOVE ahead of the EXPUNGEs (RFC 6851 section 4.3), also for the part
    that was done before something failed. Where nothing was copied as others have removed it, EXPUNGEISSUED says so.
    """
    view = session.require_view()
    verb = "Move" if command.is_move else "Copy"
    if command.is_move and view.is_read_only:
        return no("The mailbox is open for reading only", Code.NOPERM.value)
    uids: Sequence[int] = session.resolve(command.numbers, is_uid=command.is_uid)
    if not uids:
        return ok(f"{verb} completed, no such messages")
    limit_code = None
    if command.is_move:
        # Unlike COPY it may be done for a part (RFC 9738 section 3.1).
        uids, limit_code = within_limit(session, uids)
    elif refusal := refused_at_once(session, uids, is_save=True):
        return refusal
    outcome = await view.copy(uids, command.mailbox, is_move=command.is_move)
    code = None if not outcome.uidvalidity else write_code.copy_uid(outcome.uidvalidity, outcome.pairs)
    if code is not None and (command.is_move or outcome.error is not None):
        session.write(write.untagged_status(Status.OK, "Done", code))
        code = None
    if outcome.error is not None:
        return with_code(session, errors.completion_of(outcome.error), limit_code)
    if code is None and not command.is_move and not view.gone.isdisjoint(uids):
        return ok("Copy completed, some messages are gone", Code.EXPUNGEISSUED.value)
    return with_code(session, ok(f"{verb} completed", code), limit_code)
