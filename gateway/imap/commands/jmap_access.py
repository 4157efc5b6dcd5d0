"""GETJMAPACCESS (RFC 9698)."""

from __future__ import annotations

from gateway.imap.capability import Capability, Situation
from gateway.imap.completion import Completion, bad, ok
from gateway.imap.session import Session
from gateway.mailbox.abilities import jmap_url
from gateway.wire.jmap_access import GetJmapAccess, jmap_access


def _is_possible(situation: Situation) -> bool:
    return situation.is_authenticated and situation.has_jmap


CAPABILITIES = (
    Capability(
        "JMAPACCESS",
        "RFC 9698",
        "After login, to users whose only account is at a JMAP server, once that has been reached. It promises that "
        "the client can log in there with what it has logged in with here",
        _is_possible,
        is_unasked=False,
        is_used_by=lambda command: isinstance(command, GetJmapAccess),
    ),
)


async def get_jmap_access(session: Session, _: GetJmapAccess) -> Completion:
    """Tell where the session document of the JMAP server is."""
    url = jmap_url(session.require_user())
    if url is None or not session.offers("JMAPACCESS"):
        return bad("JMAPACCESS is not offered")
    session.write(jmap_access(url))
    return ok("Getjmapaccess completed")
