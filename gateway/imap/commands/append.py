"""APPEND and REPLACE (RFC 9051 section 6.3.12, RFC 3502, RFC 8508)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence

from gateway.errors import ErrorKind, MailError
from gateway.imap import errors
from gateway.imap.capability import Capability
from gateway.imap.catenation import BadUrl, bad_url_code, catenated
from gateway.imap.completion import Completion, no, ok
from gateway.imap.errors import ClientError
from gateway.imap.message_limit import refused_count
from gateway.imap.session import Session
from gateway.imap.spool import SpooledContent
from gateway.mailbox.user_mail import AppendUids
from gateway.sync.append_intents import Upload
from gateway.wire import commands, write, write_code
from gateway.wire.codes import Code, Status
from gateway.wire.commands import AppendMessage, Catenation, Command


def _is_of_several(command: Command) -> bool:
    return isinstance(command, commands.Append) and len(command.messages) > 1


def _is_catenated(command: Command) -> bool:
    messages = command.messages if isinstance(command, commands.Append) else ()
    if isinstance(command, commands.Replace):
        messages = (command.message,)
    return any(isinstance(message.content, Catenation) for message in messages)


CAPABILITIES = (
    Capability(
        "APPENDLIMIT",
        "RFC 7889",
        "`limits.message_size`, or less where the backend takes less. Without a number if accounts of the user differ: "
        "STATUS tells it of each mailbox",
        has_append_limit=True,
    ),
    Capability(
        "MULTIAPPEND",
        "RFC 3502",
        "All or none: what was stored before one was refused is removed. After a crash in the middle, a client that "
        "repeats the command doubles nothing",
        is_used_by=_is_of_several,
    ),
    Capability(
        "CATENATE",
        "RFC 4469",
        "From messages and parts of the user's own mail, named by `imap:` URLs without a server",
        is_used_by=_is_catenated,
    ),
    Capability(
        "REPLACE",
        "RFC 8508",
        "The new message is stored first; the old one goes once that is certain",
        is_used_by=lambda command: isinstance(command, commands.Replace),
    ),
)


async def append(session: Session, command: commands.Append) -> Completion:
    """Store the uploaded messages. OK only once the backend has them; APPENDUID tells where (RFC 4315 section 3)."""
    refusal = refused_count(session, len(command.messages), is_save=True)
    if refusal is not None:
        return refusal
    try:
        stored = await _store(session, command.mailbox, command.messages)
    except BadUrl as error:
        return no(error.client_text, bad_url_code(error.url))
    return ok("Append completed", write_code.append_uid(stored.uidvalidity, stored.uids))


async def replace(session: Session, command: commands.Replace) -> Completion:
    """Store a message and remove the one it stands for, in whichever mailbox either is.

    APPENDUID comes ahead of the EXPUNGE, so that a client knows the one that stays before the other goes (section 4.3).
    """
    view = session.require_view()
    if view.is_read_only:
        return no("The mailbox is open for reading only", Code.NOPERM.value)
    uids = session.resolve(command.number, is_uid=command.is_uid)
    if not uids:
        return no("There is no such message", Code.NONEXISTENT.value)
    try:
        stored = await _store(session, command.mailbox, (command.message,))
    except BadUrl as error:
        return no(error.client_text, bad_url_code(error.url))
    session.write(write.untagged_status(Status.OK, "Stored", write_code.append_uid(stored.uidvalidity, stored.uids)))
    if stored.mailbox_id == view.mailbox_id and stored.uids[0] in uids:
        # The same octets again, which the backend has once: the message is its own replacement.
        return ok("Replace completed")
    outcome = await view.expunge(uids, only_deleted=False)
    if outcome.error is not None:
        return errors.completion_of(outcome.error)
    return ok("Replace completed")


async def _store(session: Session, mailbox: str, messages: Sequence[AppendMessage]) -> AppendUids:
    async with contextlib.AsyncExitStack() as stack:
        uploads = [await stack.enter_async_context(_upload(session, message)) for message in messages]
        return await session.require_user().append_all(mailbox, uploads)


@contextlib.asynccontextmanager
async def _upload(session: Session, message: AppendMessage) -> AsyncIterator[Upload]:
    """Check and put together what is to be stored. The limit holds for the whole (RFC 4469 section 3)."""
    if message.is_utf8 and not session.utf8:
        raise ClientError("UTF8 needs ENABLE UTF8=ACCEPT")
    # What the account of this very mailbox takes is looked at when it is stored.
    limit = session.append_limit
    flags = [flag for flag in message.flags if flag != "\\Recent"]
    if isinstance(message.content, Catenation):
        content: SpooledContent = await catenated(session, message.content, limit)
    else:
        assert isinstance(message.content, SpooledContent), "the connection's spool made it"
        content = message.content
    try:
        if content.size == 0:
            raise MailError(ErrorKind.REJECTED, "A message cannot be empty")
        if content.size > limit:
            raise MailError(ErrorKind.TOO_LARGE, f"A message may have {limit} octets there")
        yield Upload(content, flags, message.internal_date)
    finally:
        if content is not message.content:
            content.close()
