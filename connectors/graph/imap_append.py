"""APPEND at Exchange's own IMAP server, which is given messages as they are, and takes them apart itself.

IMAP does not say by what id Graph knows the message, so it is looked for there. What IMAP cannot hold of its flags is
set by Graph afterwards. When the answer to an APPEND is lost, the message is looked for as well, and before the same
octets are stored again: so it is not there twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from weakref import WeakValueDictionary

from connectors.api.credentials import CredentialSource
from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, Rejected
from connectors.api.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, MailboxRef, MessageRef, MessageState
from connectors.graph.finding import REPEATED_WITHIN_S
from connectors.graph.imap_connection import Lost
from connectors.graph.imap_finding import Likeness, messages_like, searchable
from connectors.graph.imap_session import ImapSession, UnknownMailbox
from connectors.graph.mail import Mail
from connectors.graph.making import Wish
from connectors.graph.settings import AppendBy, GraphSettings
from connectors.graph.structs import Message
from connectors.graph.writing import store_flags

_log = logging.getLogger(__name__)

_SYSTEM: Final = frozenset({SEEN, ANSWERED, FLAGGED})
"""The flags that Exchange takes by IMAP."""

_PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Between looks for a message that was stored just now."""

_MAX_OPEN: Final = 200
_MAX_FOUND: Final = 1000


@dataclass(frozen=True, slots=True)
class _Open:
    """An APPEND of which it is not known what became: what is looked for, what was there before, when it began.

    `is_stored`: IMAP has said OK, so it is there.
    """

    likeness: Likeness
    before: frozenset[str]
    begun: float
    is_stored: bool = False


class Letterbox:
    """Stores messages by IMAP. Its methods may be called concurrently."""

    def __init__(self, session: ImapSession) -> None:
        self._session = session
        self._open: dict[tuple[MailboxRef, str], _Open] = {}
        self._found: dict[str, None] = {}
        """The last messages stored, by their ids at Graph."""
        self._turns: WeakValueDictionary[tuple[MailboxRef, str | None], asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def of(cls, settings: GraphSettings, credentials: CredentialSource) -> Letterbox | None:
        """Return one where the setting `append` asks for it.

        Raises:
            SettingError: `ca_file` cannot be read.
        """
        return cls(ImapSession(settings, credentials)) if settings.append is AppendBy.IMAP else None

    async def close(self) -> None:
        """End the connection. Never raises; the letterbox may be used again."""
        await self._session.close()

    async def post(self, mail: Mail, wish: Wish) -> MessageState:
        """Store a message, and return its state with the id that it has at Graph.

        Raises:
            OutcomeUnknown: it may be there, or is there and was not found.
            ConnectorError: it is not there.
        """
        likeness = Likeness.of(wish.message.buffer, wish.received, mail.clock.now())
        async with self._turn(wish.mailbox, likeness):
            found = await self._left_open(mail, wish)
            if found is None:
                found = await self._stored(mail, wish, likeness)
            self._found[found.id] = None
            while len(self._found) > _MAX_FOUND:
                del self._found[next(iter(self._found))]
        return await _flagged(mail, wish, found)

    @asynccontextmanager
    async def _turn(self, mailbox: MailboxRef, likeness: Likeness) -> AsyncIterator[None]:
        """Keep apart what could be taken for each other."""
        turn = self._turns.setdefault((mailbox, likeness.message_id), asyncio.Lock())
        async with turn:
            yield

    async def _left_open(self, mail: Mail, wish: Wish) -> Message | None:
        """Return the message if an earlier attempt has stored it after all."""
        attempt = self._open.get((wish.mailbox, wish.message.digest))
        if attempt is None:
            return None
        found = None
        # After a while it is no repetition any more, but another message of the same octets.
        if mail.clock.monotonic() - attempt.begun <= REPEATED_WITHIN_S:
            found = await self._last_look(mail, wish.mailbox, attempt, None)
        self._open.pop((wish.mailbox, wish.message.digest), None)
        return found

    async def _stored(self, mail: Mail, wish: Wish, likeness: Likeness) -> Message:
        likeness, before = await searchable(mail.client, wish.mailbox, likeness)
        attempt = _Open(likeness, before, mail.clock.monotonic())
        uid: int | None = None
        lost: Lost | None = None
        try:
            uid = await self._send(mail, wish)
            attempt = replace(attempt, is_stored=True)
        except Lost as error:
            if not error.is_sent:
                raise
            lost = error
        except asyncio.CancelledError:
            self._leave_open(wish, attempt)
            raise
        try:
            found = await self._wait_for(mail, wish.mailbox, attempt, uid)
        except (ConnectorError, asyncio.CancelledError) as error:
            self._leave_open(wish, attempt)
            if isinstance(error, ConnectorError):
                raise OutcomeUnknown(f"a message was sent by IMAP and not looked up: {error.operator_text}") from error
            raise
        if found is not None:
            return found
        self._leave_open(wish, attempt)
        if lost is not None:
            raise OutcomeUnknown(f"the answer to an APPEND was lost: {lost.operator_text}") from lost
        raise OutcomeUnknown("a message was stored by IMAP, and Graph does not show it so far")

    async def _wait_for(self, mail: Mail, mailbox: MailboxRef, attempt: _Open, uid: int | None) -> Message | None:
        """Look for what was stored just now, which may take some seconds to be seen."""
        for pause_s in _PAUSES_S:
            found = await _look(mail, mailbox, attempt.likeness, attempt.before, uid)
            if found is not None:
                return found
            await mail.clock.sleep(pause_s)
        return await self._last_look(mail, mailbox, attempt, uid)

    async def _last_look(self, mail: Mail, mailbox: MailboxRef, attempt: _Open, uid: int | None) -> Message | None:
        """Look by the Message-ID, and for what must be there then by date and subject.

        Exchange is known to have changed Message-IDs.
        """
        likeness, before = attempt.likeness, attempt.before
        found = await _look(mail, mailbox, likeness, before, uid)
        if found is None and attempt.is_stored and likeness.message_id is not None:
            # What was there before by date is not known; what was stored here is.
            found = await _look(mail, mailbox, likeness.by_date(), {*before, *self._found}, uid)
        return found

    def _leave_open(self, wish: Wish, attempt: _Open) -> None:
        self._open[wish.mailbox, wish.message.digest] = attempt
        while len(self._open) > _MAX_OPEN:
            del self._open[next(iter(self._open))]

    async def _send(self, mail: Mail, wish: Wish) -> int | None:
        """Send the message; again if the mailbox has another name by now."""
        path = await _path(mail, wish.mailbox)
        flags = wish.flags & _SYSTEM
        try:
            return await self._session.append(path, flags, wish.received, wish.message.buffer)
        except UnknownMailbox as error:
            await mail.read_tree()
            present = await _path(mail, wish.mailbox)
            if present == path:
                raise Rejected(f"append = imap: Exchange's IMAP server does not know the folder: {error}") from error
        return await self._session.append(present, flags, wish.received, wish.message.buffer)


async def _path(mail: Mail, mailbox: MailboxRef) -> tuple[str, ...]:
    """Return the names by which IMAP knows a mailbox.

    Raises:
        NotFound: there is none.
        Rejected: its name here is not that which it has at Exchange, so another would be hit.
    """
    folder = (await mail.tree()).folders.get(mailbox)
    if folder is None:
        raise NotFound(f"there is no folder {mailbox!r} in {mail.client.root}")
    above, tree = folder, await mail.tree()
    for _ in folder.info.path:
        if not above.is_as_shown:
            raise Rejected(f"append = imap: the folder {'/'.join(above.info.path)} has another name at Exchange")
        parent = tree.folders.get(above.parent) if above.parent is not None else None
        if parent is None:
            break
        above = parent
    return folder.info.path


async def _look(
    mail: Mail, mailbox: MailboxRef, likeness: Likeness, before: Container[str], uid: int | None
) -> Message | None:
    """Return the message if it is in the mailbox now, and was not before."""
    found = await messages_like(mail.client, mailbox, likeness)
    return likeness.best((message for ref, message in found.items() if ref not in before), uid)


async def _flagged(mail: Mail, wish: Wish, message: Message) -> MessageState:
    """Set the flags that IMAP has not; return the state with those that the message has."""
    state = mail.state(mail.placed(message))
    lacking = wish.flags - (state.flags or frozenset()) - {DRAFT, DELETED}
    if not lacking:
        return state
    try:
        result = await store_flags(mail, wish.mailbox, [state.ref], lacking, frozenset())
    except ConnectorError as error:
        _log.warning("a message was stored without its flags %s: %s", sorted(lacking), error.operator_text)
        return state
    for reason in result.failed.values():
        _log.warning("a message was stored without its flags %s: %s", sorted(lacking), reason.operator_text)
    return result.done.get(MessageRef(state.ref)) or state
