"""IDLE (RFC 2177, RFC 9051 section 6.3.13)."""

from __future__ import annotations

from functools import partial

from gateway.imap.capability import Capability
from gateway.imap.completion import Completion, bad, ok
from gateway.imap.endings import ShuttingDown
from gateway.imap.session import Session, State
from gateway.wire import commands, write
from gateway.wire.codes import Code, Status

CAPABILITIES = (
    Capability(
        "IDLE",
        "RFC 2177",
        "Changes are told when they are known: at once for changes made through the gateway and backends that push",
        is_used_by=lambda command: isinstance(command, commands.Idle),
    ),
)


async def idle(session: Session, _: commands.Idle) -> Completion:
    """Tell at once what happens in the selected mailbox, until the client sends DONE.

    Anything else ends it with BAD: some clients send NOOP within IDLE, and wait for an answer. What the client sent
    behind DONE stays with the connection and is the next command. A sign of life goes out now and then; Outlook and
    NAT gateways take a silent connection for dead.
    """
    connection = session.connection
    if session.view is not None:
        session.view.set_bell(partial(session.services.bells.ring, connection.ring))
    session.write(write.continuation("idling"))
    loop_time = connection.time
    next_heartbeat = loop_time() + session.settings.idle_heartbeat_s
    try:
        while True:
            await _tell(session)
            if session.state is State.LOGOUT:
                return ok("Idle ended")
            await session.drain()
            line = await connection.wait_for_line(next_heartbeat - loop_time())
            if line is not None:
                is_done = isinstance(line, bytes) and line.strip().upper() == b"DONE"
                return ok("Idle completed") if is_done else bad("DONE expected, IDLE ended")
            if loop_time() >= next_heartbeat:
                session.write(write.untagged_status(Status.OK, "Still here"))
                next_heartbeat = loop_time() + session.settings.idle_heartbeat_s
    except ShuttingDown:
        session.say_bye("Server shutting down", Code.UNAVAILABLE)
        return ok("Idle ended")
    finally:
        if session.view is not None:
            session.view.set_bell(None)


async def _tell(session: Session) -> None:
    if session.view is not None and session.view.is_defunct:
        session.unselect()
        session.say_bye("The selected mailbox was deleted or renewed. Please reconnect.")
        return
    session.tell_changes(allow_expunge=True)
    await session.tell_rest()
    if session.notifier is not None:
        await session.notifier.tell_others()
    session.tell_alert()
