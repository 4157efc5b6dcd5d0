"""NOTIFY (RFC 5465)."""

from __future__ import annotations

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, no, ok
from gateway.imap.fetch_plan import plan
from gateway.imap.notifier import Notifier
from gateway.imap.session import Session
from gateway.mailbox.mailbox_watch import TooMuch
from gateway.wire.codes import Code
from gateway.wire.notify import Notify

CAPABILITIES = (
    Capability(
        "NOTIFY",
        "RFC 5465",
        "All events but AnnotationChange, without IDLE too: at once for changes made through the gateway and backends "
        "that push, else when the backend is looked at",
        # Items behind UPDATE are its own too (section 7).
        is_used_by=lambda command: isinstance(command, Notify) or bool(getattr(command, "update_items", ())),
    ),
)


async def notify(session: Session, command: Notify) -> Completion:
    """Replace what the client is told unasked. What has happened by then is told at the end, as by NOOP.

    What was asked before holds on if this is refused.
    """
    for group in command.groups:
        if group.items:
            plan(group.items, with_uid=False, with_modseq=False)
    notifier = Notifier(session, command.groups)
    try:
        await notifier.start(tells_status=command.wants_status)
    except TooMuch:
        notifier.close()
        return no("These are too many mailboxes", Code.NOTIFICATIONOVERFLOW.value)
    except BaseException:
        notifier.close()
        raise
    if session.notifier is not None:
        session.notifier.close()
    session.notifier = notifier
    return ok("Notify completed")
