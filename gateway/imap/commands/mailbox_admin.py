"""CREATE, DELETE, RENAME, SUBSCRIBE and UNSUBSCRIBE (RFC 9051 sections 6.3.4 to 6.3.8)."""

from __future__ import annotations

from gateway.errors import ErrorKind, MailError
from gateway.imap.capability import Capability
from gateway.imap.commands.special_use import role_of_attribute
from gateway.imap.completion import Completion, no, ok
from gateway.imap.session import Session
from gateway.wire import commands, write_code
from gateway.wire.codes import Code

CAPABILITIES = (
    Capability(
        "CREATE-SPECIAL-USE",
        "RFC 6154 section 3",
        "CREATE with USE, where the backend can hold it",
        needs=("SPECIAL-USE",),
        is_used_by=lambda command: isinstance(command, commands.Create) and bool(command.special_uses),
    ),
)


async def create(session: Session, command: commands.Create) -> Completion:
    """Create a mailbox, with special uses if asked (RFC 6154 section 3), and tell its id (RFC 8474 section 4.1)."""
    roles = []
    for attribute in command.special_uses:
        role = role_of_attribute(attribute)
        if role is None:
            return no(f"{attribute} is no special use that can be set", Code.USEATTR.value)
        roles.append(role)
    try:
        object_id = await session.require_user().create(command.mailbox, roles)
    except MailError as error:
        if roles and error.kind is ErrorKind.UNSUPPORTED:
            return no(error.client_text, Code.USEATTR.value)
        raise
    return ok("Create completed", write_code.mailbox_id(object_id))


async def delete(session: Session, command: commands.Delete) -> Completion:
    """Delete a mailbox. If the session has it selected, it ends with BYE as the mailbox is gone."""
    await session.require_user().delete(command.mailbox)
    return ok("Delete completed")


async def rename(session: Session, command: commands.Rename) -> Completion:
    """Rename a mailbox and those below it."""
    await session.require_user().rename(command.old, command.new)
    return ok("Rename completed")


async def subscribe(session: Session, command: commands.Subscribe) -> Completion:
    """Subscribe or unsubscribe."""
    await session.require_user().subscribe(command.mailbox, command.is_subscribe)
    return ok("Subscribe completed" if command.is_subscribe else "Unsubscribe completed")
