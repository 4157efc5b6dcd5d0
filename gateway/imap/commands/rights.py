"""MYRIGHTS, GETACL, LISTRIGHTS, SETACL and DELETEACL (RFC 4314)."""

from __future__ import annotations

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no, ok
from gateway.imap.session import Session
from gateway.mailbox.rights import rights_to
from gateway.wire import commands, rights, write_administration
from gateway.wire.codes import Code
from gateway.wire.commands import Command, ListReturn
from gateway.wire.rights import Right

_COMMANDS = (rights.MyRights, rights.GetAcl, rights.ListRights, rights.SetAcl)


def _is_about_rights(command: Command) -> bool:
    return isinstance(command, _COMMANDS)


CAPABILITIES = (
    Capability(
        "ACL",
        "RFC 4314",
        "What the owner may do with each mailbox at its backend. Rights cannot be given to others: NO [NOPERM]",
        is_used_by=_is_about_rights,
    ),
    Capability("RIGHTS=kxte", "RFC 4314 section 2.2", "CREATE, DELETE, STORE of \\Deleted and EXPUNGE are told apart"),
    Capability(
        "LIST-MYRIGHTS",
        "RFC 8440",
        "MYRIGHTS of every mailbox listed",
        needs=("LIST-EXTENDED",),
        is_used_by=lambda command: isinstance(command, commands.List) and ListReturn.MYRIGHTS in command.returns,
    ),
)


async def my_rights(session: Session, command: rights.MyRights) -> Completion:
    """Tell what the user may do with a mailbox (section 3.5)."""
    held = await rights_to(session.require_user(), command.mailbox)
    session.write(write_administration.my_rights(command.mailbox, held, utf8=session.utf8))
    return ok("Myrights completed")


async def get_acl(session: Session, command: rights.GetAcl) -> Completion:
    """Tell who may do what with a mailbox: only its owner may do anything (section 3.3)."""
    held = await rights_to(session.require_user(), command.mailbox)
    session.write(write_administration.acl(command.mailbox, [(_login(session), held)], utf8=session.utf8))
    return ok("Getacl completed")


async def list_rights(session: Session, command: rights.ListRights) -> Completion:
    """Tell what somebody always has and can be granted: to the owner all there is, to others nothing (section 3.4)."""
    held = await rights_to(session.require_user(), command.mailbox)
    required = held if command.identifier == _login(session) else frozenset[Right]()
    session.write(write_administration.list_rights(command.mailbox, command.identifier, required, utf8=session.utf8))
    return ok("Listrights completed")


async def set_acl(session: Session, command: rights.SetAcl) -> Completion:
    """Refuse to change anybody's rights (sections 3.1 and 3.2)."""
    await rights_to(session.require_user(), command.mailbox)
    return no("Rights are given at the mail backend", Code.NOPERM.value)


def _login(session: Session) -> str:
    assert session.login is not None, "the command table lets only users here"
    return session.login
