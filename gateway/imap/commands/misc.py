"""CAPABILITY, NOOP, CHECK, LOGOUT, ID, ENABLE and NAMESPACE."""

from __future__ import annotations

import logging

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, ok
from gateway.imap.name_pattern import SEPARATOR
from gateway.imap.session import Session
from gateway.wire import commands, write

log = logging.getLogger(__name__)


CAPABILITIES = (
    Capability(
        "ID",
        "RFC 2971",
        "The name and version of the gateway; the client's answer is logged at level debug",
        is_used_by=lambda command: isinstance(command, commands.Id),
    ),
    Capability(
        "ENABLE",
        "RFC 5161",
        "For IMAP4rev2, CONDSTORE, QRESYNC, UTF8=ACCEPT and UIDONLY",
        is_used_by=lambda command: isinstance(command, commands.Enable),
    ),
    Capability(
        "NAMESPACE",
        "RFC 2342",
        "One personal namespace, with `/` between the levels. Several accounts of a user are its top level",
        is_used_by=lambda command: isinstance(command, commands.Namespace),
    ),
    Capability(
        "UTF8=ACCEPT",
        "RFC 6855, RFC 9755",
        "Names in UTF-8 once it is enabled. Messages with UTF-8 in their header fields are taken in any case",
        can_be_enabled=True,
        needs=("ENABLE",),
    ),
    Capability(
        "UIDONLY",
        "RFC 9586",
        "Messages are named by UID alone once it is enabled. Some clients enable it and then use sequence numbers",
        can_be_enabled=True,
        is_unasked=False,
        needs=("ENABLE",),
    ),
)


async def capability(session: Session, _: commands.Capability) -> Completion:
    """RFC 9051 section 6.1.1."""
    session.write(write.capability(session.services.offer.names(session.situation)))
    return ok("Capability completed")


async def noop(_session: Session, _: commands.Noop) -> Completion:
    """RFC 9051 section 6.1.2. What is new is told at the end of every command."""
    return ok("Noop completed")


async def check(_session: Session, _: commands.Check) -> Completion:
    """RFC 3501 section 6.4.1. Every change is on disk before it is acknowledged, so there is nothing to do."""
    return ok("Check completed")


async def logout(session: Session, _: commands.Logout) -> Completion:
    """RFC 9051 section 6.1.3."""
    session.say_bye("Logging out")
    return ok("Logout completed")


async def identify(session: Session, command: commands.Id) -> Completion:
    """RFC 2971. What the client says of itself goes to the log, and changes nothing (section 3) unless the operator has
    made an exemption for clients of its name."""
    told = {name: value for name, value in command.fields or () if name in ("name", "version", "os", "vendor")}
    log.info("client at %s is %r", session.connection.address, told)
    session.client = told.get("name")
    session.write(write.server_id([("name", "imap-gateway"), ("version", session.services.version)]))
    return ok("Id completed")


async def enable(session: Session, command: commands.Enable) -> Completion:
    """RFC 5161. Unknown names are ignored, and only what was not enabled before is told."""
    offered = session.services.offer.enableable(session.situation)
    asked = [name for name in command.capabilities if name in offered]
    enabled = []
    if "CONDSTORE" in asked and not session.has_condstore:
        enabled.append("CONDSTORE")
        session.enable_condstore()
    if "QRESYNC" in asked and not session.has_qresync:
        enabled.append("QRESYNC")
        session.has_qresync = True
        # RFC 7162 section 3.2.3: QRESYNC enables CONDSTORE as well.
        session.enable_condstore()
    if "UTF8=ACCEPT" in asked and not session.has_utf8_accept:
        enabled.append("UTF8=ACCEPT")
        session.enable_utf8_accept()
    if "IMAP4REV2" in asked and not session.rev2:
        enabled.append("IMAP4rev2")
        session.enable_rev2()
    if "UIDONLY" in asked and not session.uid_only:
        enabled.append("UIDONLY")
        session.uid_only = True
    session.write(write.enabled(enabled))
    if session.uid_only and session.updates is not None:
        session.updates.end_by_number()
    return ok("Enabled")


async def namespace(session: Session, _: commands.Namespace) -> Completion:
    """RFC 2342. All mail is the user's own."""
    prefixes = session.require_user().namespace_prefixes
    session.write(write.namespace([(prefix, SEPARATOR) for prefix in prefixes], utf8=session.utf8))
    return ok("Namespace completed")
