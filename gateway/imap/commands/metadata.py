"""GETMETADATA and SETMETADATA (RFC 5464)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.imap.capability import Capability
from gateway.imap.commands.filters import fault_of
from gateway.imap.commands.special_use import SPECIAL_USES
from gateway.imap.completion import Completion, no, ok
from gateway.imap.errors import ClientError
from gateway.imap.session import Session
from gateway.mailbox import metadata
from gateway.mailbox.metadata import AnnotationTooLarge, Selection, TooManyAnnotations
from gateway.mailbox.user_mail import UserMail
from gateway.sync.bus import AnnotationsChanged
from gateway.wire import commands, write_metadata
from gateway.wire.codes import Code
from gateway.wire.commands import Command
from gateway.wire.metadata import GetMetadata, SetMetadata

SPECIAL_USE = "/private/specialuse"
"""The special use of a mailbox (RFC 6154 section 4), which can be read."""


def _is_of_mailbox(command: Command) -> bool:
    return isinstance(command, GetMetadata | SetMetadata) and bool(command.mailbox)


CAPABILITIES = (
    Capability(
        "METADATA",
        "RFC 5464",
        "Annotations of mailboxes, and of the server for each user; kept by the gateway, not by backends",
        is_used_by=_is_of_mailbox,
    ),
    Capability(
        "METADATA-SERVER",
        "RFC 5464",
        "Annotations of the server only, in place of METADATA",
        is_unasked=False,
        replaces="METADATA",
    ),
    Capability(
        "LIST-METADATA",
        "RFC 9590",
        "Annotations of every mailbox listed",
        needs=("LIST-EXTENDED", "METADATA"),
        is_used_by=lambda command: isinstance(command, commands.List) and bool(command.annotations),
    ),
)


async def get_metadata(session: Session, command: GetMetadata) -> Completion:
    """Tell annotations. Entries that were named and do not exist are told as NIL."""
    _check_offered(session)
    user = session.require_user()
    values = await metadata.of_mailbox(user, command.mailbox)
    if command.mailbox:
        values = {**values, **await _special_use(user, command.mailbox)}
    found = metadata.select(values, Selection(command.entries, command.depth, command.max_octets))
    session.write(write_metadata.metadata(command.mailbox, found.values, utf8=session.utf8))
    if found.longest:
        return ok("Getmetadata completed", write_metadata.long_entries(found.longest))
    return ok("Getmetadata completed")


async def set_metadata(session: Session, command: SetMetadata) -> Completion:
    """Set or remove annotations, all that are named or none."""
    _check_offered(session)
    if command.mailbox and any(entry == SPECIAL_USE for entry, _ in command.values):
        return no("The special use of a mailbox cannot be changed", Code.CANNOT.value)
    if not command.mailbox and session.offers("FILTERS"):
        for entry, value in command.values:
            if (fault := fault_of(entry, value)) is not None:
                return fault
    user = session.require_user()
    try:
        await metadata.change(user, command.mailbox, dict(command.values))
    except AnnotationTooLarge:
        return no("A value is too large", write_metadata.max_size(metadata.MAX_VALUE_OCTETS))
    except TooManyAnnotations:
        return no("There are too many annotations", write_metadata.too_many())
    entries = tuple(entry for entry, _ in command.values)
    session.services.mail.bus.publish_annotations(AnnotationsChanged(user.user_id, command.mailbox, entries, session))
    return ok("Setmetadata completed")


def _check_offered(session: Session) -> None:
    """The server's annotations come with either capability; for those of mailboxes the command table has asked."""
    if not (session.offers("METADATA") or session.offers("METADATA-SERVER")):
        raise ClientError("METADATA is not offered")


async def listed(session: Session, names: Sequence[str], entries: Sequence[str]) -> dict[str, bytes]:
    """Return the METADATA response for each of the mailboxes, for LIST (RFC 9590)."""
    user = session.require_user()
    uses = {entry.name: SPECIAL_USES.get(entry.role) for entry in await user.mailboxes() if entry.role is not None}
    lines = {}
    for name, values in (await metadata.of_mailboxes(user, names)).items():
        use = uses.get(name)
        known = {**values, SPECIAL_USE: use.encode("ascii")} if use is not None else values
        found = metadata.select(known, Selection(entries))
        lines[name] = write_metadata.metadata(name, found.values, utf8=session.utf8)
    return lines


async def _special_use(user: UserMail, name: str) -> dict[str, bytes]:
    row = await user.row(name)
    use = None if row.role is None else SPECIAL_USES.get(row.role)
    return {} if use is None else {SPECIAL_USE: use.encode("ascii")}
