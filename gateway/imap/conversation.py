"""Talk with one client: greet it, read commands one after the other, run their handlers, answer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from gateway.errors import MailError
from gateway.imap import errors
from gateway.imap.commands.filters import completion_of, with_filters
from gateway.imap.completion import Completion, bad
from gateway.imap.connection import Connection
from gateway.imap.endings import ConnectionLost, FarewellSaid, InputTimeout, ShuttingDown
from gateway.imap.services import ImapServices
from gateway.imap.session import Session, State
from gateway.imap.spool import SpooledContent
from gateway.imap.table import TABLE, CommandRule
from gateway.mailbox.filters import BadFilter
from gateway.mailbox.search import UndefinedFilter
from gateway.mailbox.snapshot import BadSequence
from gateway.store.errors import StoreError, is_fault
from gateway.wire import write, write_code
from gateway.wire.codes import Code, Status
from gateway.wire.commands import Append, AppendMessage, Catenation, Command, Replace
from gateway.wire.reader import BadCommand, FatalError, ReadCommand

log = logging.getLogger(__name__)

COMMANDS_PER_TURN = 16
"""After so many commands without a pause the others on the loop get their turn."""


async def converse(connection: Connection, services: ImapServices) -> None:
    """Serve one connection until it ends.

    Raises:
        ConnectionLost: the client went away; everything has been given back all the same.
    """
    session = Session(connection, services)
    # No message is taken from strangers: not a single octet goes to the spool before login.
    connection.reader.append_octets = 0
    conversation = Conversation(session)
    try:
        await conversation.run()
    finally:
        await session.forget_user()


class Conversation:
    """The loop over a client's commands."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._bad_commands = 0
        self._turns = 0

    async def run(self) -> None:
        """Greet, then answer commands in order until logout, time-out or shutdown.

        Raises:
            ConnectionLost: the client went away.
        """
        session = self._session
        if session.services.scram is not None:
            await session.services.scram.refresh()
        session.write(write.untagged_status(Status.OK, "IMAP gateway ready", session.capability_code))
        try:
            while session.state is not State.LOGOUT:
                await self._take_turn()
        except InputTimeout:
            session.say_bye("Nothing heard for too long" if session.user else "Too long without a login")
        except FarewellSaid:
            pass
        except ShuttingDown:
            session.say_bye("Server shutting down", Code.UNAVAILABLE)

    async def _take_turn(self) -> None:
        session = self._session
        before_wait = None if session.notifier is None else session.notifier.tell
        event = await session.connection.read_event(self._patience(), before_wait)
        if isinstance(event, ReadCommand):
            await self._answer(event)
        elif isinstance(event, BadCommand):
            self._reject(event)
        elif isinstance(event, FatalError):
            session.say_bye(event.text, event.code)
        await session.drain()
        self._turns += 1
        if self._turns % COMMANDS_PER_TURN == 0:
            await asyncio.sleep(0)

    def _patience(self) -> float:
        """Return for how many seconds the client may be silent."""
        settings = self._session.settings
        if self._session.user is not None:
            return settings.autologout_s
        return max(0.0, self._session.stranger_since + settings.login_grace_s - self._loop.time())

    # -- one command ---------------------------------------------------------------------------------------------------

    async def _answer(self, read: ReadCommand) -> None:
        session = self._session
        session.tag = read.tag
        rule = TABLE[type(read.command)]
        refusal = self._refusal(rule, read)
        if refusal is not None:
            _release(read.command)
            self._write_tagged(read.tag, refusal)
            self._count_bad_command()
            return
        completion = await self._run_handler(rule, read)
        if completion.status is Status.BAD:
            self._count_bad_command()
        else:
            self._bad_commands = 0
        completion = await self._tell_news(rule, read.command, completion)
        self._write_tagged(read.tag, completion)
        if completion.after is not None:
            await completion.after()

    def _refusal(self, rule: CommandRule, read: ReadCommand) -> Completion | None:
        """Return the BAD for a command that is not possible now, whatever its handler would say; None if it is."""
        session = self._session
        if session.state not in rule.states:
            return bad(f"{read.name} is not possible when {session.state.value}")
        # What is added may take the place of another.
        has_switches = session.disabled or session.settings.switches.added
        if has_switches and (name := session.services.offer.missing(read.command, session.situation)) is not None:
            return bad(f"{read.name} needs {name}, which is not offered")
        if session.uid_only and rule.has_sequence_numbers(read.command):
            return bad("Sequence numbers are not possible after ENABLE UIDONLY", Code.UIDREQUIRED.value)
        return None

    async def _run_handler(self, rule: CommandRule, read: ReadCommand) -> Completion:
        """Run the handler; whatever goes wrong becomes a tagged answer, except for the loss of the client."""
        session = self._session
        timer = None
        if session.user is not None and not rule.waits_for_client:
            timer = Progress(session, self._loop)
        try:
            return await rule.handler(session, await with_filters(session, read.command))
        except MailError as error:
            log.info("%s of %s: %s", read.name, _who(session), error.operator_text)
            return errors.completion_of(error)
        except BadSequence:
            return bad("No such message")
        except (UndefinedFilter, BadFilter) as error:
            return completion_of(error)
        except errors.ClientError as error:
            return bad(str(error))
        except (ConnectionLost, InputTimeout, ShuttingDown):
            raise
        except StoreError as error:
            log.error("%s of %s: %s", read.name, _who(session), error.operator_text, exc_info=is_fault(error))
            return errors.store_completion(error)
        except Exception:
            log.exception("%s of %s failed", read.name, _who(session))
            return errors.SERVER_BUG
        finally:
            if timer is not None:
                timer.cancel()
            _release(read.command)

    async def _tell_news(self, rule: CommandRule, command: Command, completion: Completion) -> Completion:
        """Tell what is new, as far as the rule allows, ahead of the tagged line; return the line to be written."""
        session = self._session
        if not rule.tells_news or session.user is None or session.state is State.LOGOUT:
            return completion
        if session.view is not None and session.view.is_defunct:
            session.unselect()
            session.say_bye("The selected mailbox was deleted or renewed. Please reconnect.")
            return completion
        expunged = session.tell_changes(allow_expunge=rule.may_expunge(command), is_asked=rule.reports_modseq)
        await session.tell_rest()
        if session.notifier is not None:
            await session.notifier.tell_after(command, completion.code)
        session.tell_alert()
        if (
            expunged
            and rule.reports_modseq
            and session.has_condstore
            and session.view is not None
            and completion.status is Status.OK
            and completion.code is None
        ):
            # RFC 7162 sections 3.2.7 and 3.2.9: the client may take this as the state it now has.
            code = write_code.highestmodseq(session.view.highestmodseq)
            return Completion(completion.status, completion.text, code, completion.after)
        return completion

    def _write_tagged(self, tag: str, completion: Completion) -> None:
        self._session.write(write.tagged(tag, completion.status, completion.text, completion.code))

    # -- what is no command --------------------------------------------------------------------------------------------

    def _reject(self, event: BadCommand) -> None:
        if event.is_saving and event.status is Status.NO:
            # After a NO the saved result is empty (RFC 5182 section 2.1).
            self._session.saved = ()
        code = None if event.code is None else b" ".join(filter(None, (event.code.value, event.arguments)))
        if event.tag is None:
            self._session.write(write.untagged_status(event.status, event.text, code))
        else:
            self._session.write(write.tagged(event.tag, event.status, event.text, code))
        if event.status is Status.BAD:
            self._count_bad_command()

    def _count_bad_command(self) -> None:
        """End the conversation with one that speaks another protocol, or is stuck in a loop."""
        self._bad_commands += 1
        settings = self._session.settings
        limit = settings.bad_commands_before_login if self._session.user is None else settings.bad_commands_after_login
        if self._bad_commands >= limit:
            self._session.say_bye("Too many bad commands")


class Progress:
    """Sends a sign of life now and then while a command takes long, before the client gives up."""

    def __init__(self, session: Session, loop: asyncio.AbstractEventLoop) -> None:
        self._session = session
        self._loop = loop
        self._timer = loop.call_later(session.settings.progress_interval_s, self._tell)

    def _tell(self) -> None:
        if not self._session.is_inside_line:
            code = write_code.in_progress(self._session.tag)
            self._session.write(write.untagged_status(Status.OK, "Still working on it", code))
        self._timer = self._loop.call_later(self._session.settings.progress_interval_s, self._tell)

    def cancel(self) -> None:
        self._timer.cancel()


def _release(command: Command) -> None:
    """Give back the uploads of an APPEND, whoever has or has not used them."""
    messages: Sequence[AppendMessage] = ()
    if isinstance(command, Append):
        messages = command.messages
    elif isinstance(command, Replace):
        messages = (command.message,)
    for message in messages:
        parts = message.content.parts if isinstance(message.content, Catenation) else (message.content,)
        for part in parts:
            if isinstance(part, SpooledContent):
                part.close()


def _who(session: Session) -> str:
    return session.login or session.connection.address
