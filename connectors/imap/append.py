"""Storing a new message (RFC 9051 section 6.3.12)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Future
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain

from connectors.api.abilities import NewMessage
from connectors.api.binary import has_zeros
from connectors.api.errors import BinaryContent, ConnectorError, OutcomeUnknown, Rejected, TooLarge, Unsupported
from connectors.api.types import MailboxRef, MessageContent, MessageState
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.pool import check_exists
from connectors.imap.session import Session, ref_of, uid_set
from connectors.imap.sync import search_uids, status
from gateway.wire import dates
from gateway.wire import flags as wire_flags
from gateway.wire.codes import Code
from gateway.wire.command_writer import Argument, Message, Text
from gateway.wire.responses import AppendUid, expand

_HEADER_OCTETS = 65536
_MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(?:\r\n[ \t]+)?(<[^\r\n]*>)", re.IGNORECASE | re.MULTILINE)
_FINGERPRINT = b"(UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])"
_FINGERPRINT_SECTION = b"BODY[HEADER.FIELDS (MESSAGE-ID)]"


async def append(
    session: Session,
    mailbox: MailboxRef,
    content: MessageContent,
    flags: frozenset[str],
    internal_date: datetime | None,
    leave: Future[None] | None = None,
) -> MessageState:
    """Store the message, streamed; its UID is told by APPENDUID or found by looking.

    Its last octet is sent only with `leave`: before that there is nothing that a server could store.

    Raises:
        OutcomeUnknown: the connection was lost after the whole message was sent, or the stored message is not found.
        NotFound, TooLarge, OverQuota, Denied, BinaryContent, Rejected: not stored.
    """
    await _check_octets(content)
    date = _date(internal_date)
    noting = _NotingContent(content)
    async with session.pool.connection(None) as connection:
        _check_size(connection, content.size)
        has_uidplus = bool(connection.capabilities & {"UIDPLUS", "IMAP4REV2"})
        before = None if has_uidplus else await status(connection, mailbox)
        try:
            reply = await connection.run(
                b"APPEND",
                Text(names.ref_to_wire(mailbox)),
                *_described(flags, date, content.size),
                contents=[noting],
                is_write=True,
                leave=leave,
            )
        except Rejected as exc:
            if connection.is_usable:
                await check_exists(connection, mailbox, exc)
            raise
    code = reply.find_code(Code.APPENDUID)
    uid = None
    told = code.argument if code is not None else None
    # UIDs of a mailbox made anew, or of a server that mixes the numbers up, would be those of other messages.
    if isinstance(told, AppendUid) and len(told.uids.ranges) == 1 and session.believes(mailbox, told.uidvalidity):
        uid = told.uids.ranges[0][0]
    if uid is None:
        uid = await _find(session, mailbox, before.uidnext if before is not None else None, noting)
    return MessageState(ref=ref_of(uid), flags=flags, uid=uid, internal_date=date, size=content.size)


async def append_many(
    session: Session, mailbox: MailboxRef, messages: Sequence[NewMessage], leave: Future[None] | None = None
) -> list[MessageState]:
    """Store the messages by one APPEND, all or none (RFC 3502), whose last octet is sent only with `leave`.

    Raises:
        Unsupported: the server does not take several messages at once, or would not tell their UIDs.
        OutcomeUnknown, NotFound, TooLarge, OverQuota, Denied, BinaryContent, Rejected: see `append`.
    """
    if not {"MULTIAPPEND", "UIDPLUS"} <= session.capabilities:
        raise Unsupported("the server takes messages one by one")
    for message in messages:
        await _check_octets(message.content)
    dated = [(message, _date(message.internal_date)) for message in messages]
    described = (_described(message.flags, date, message.content.size) for message, date in dated)
    async with session.pool.connection(None) as connection:
        for message in messages:
            _check_size(connection, message.content.size)
        try:
            reply = await connection.run(
                b"APPEND",
                Text(names.ref_to_wire(mailbox)),
                *chain.from_iterable(described),
                contents=[message.content for message in messages],
                is_write=True,
                leave=leave,
            )
        except Rejected as exc:
            if connection.is_usable:
                await check_exists(connection, mailbox, exc)
            raise
    code = reply.find_code(Code.APPENDUID)
    told = code.argument if code is not None else None
    is_believed = isinstance(told, AppendUid) and session.believes(mailbox, told.uidvalidity)
    uids = expand(told.uids, len(messages)) if isinstance(told, AppendUid) and is_believed else None
    if uids is None or len(uids) != len(messages):
        raise OutcomeUnknown(f"{len(messages)} messages were stored, and their UIDs not told")
    return [
        MessageState(ref_of(uid), flags=message.flags, uid=uid, internal_date=date, size=message.content.size)
        for uid, (message, date) in zip(uids, dated, strict=True)
    ]


def _described(flags: frozenset[str], date: datetime, size: int) -> tuple[Argument, ...]:
    return wire_flags.format_flags(sorted(flags)), dates.format_internal_date(date), Message(size)


def _date(asked: datetime | None) -> datetime:
    """Return the date to store: always one, so that what is reported needs no second look; in whole seconds."""
    return (asked or datetime.now(UTC)).replace(microsecond=0)


async def _check_octets(content: MessageContent) -> None:
    if await has_zeros(content):
        # No literal may hold them (RFC 9051 section 9), and Dovecot's BODY[] has 0x80 for each. In a literal8 servers
        # may encode the part anew (RFC 3516 section 4.4). Either way it would not be the message that was given.
        raise BinaryContent("a message with octets that are 0, which IMAP does not carry unchanged")


@lru_cache(maxsize=64)
def append_limit(capabilities: frozenset[str]) -> int | None:
    """Return the limit of APPENDLIMIT=n (RFC 7889), in octets; None if there is none or it differs by mailbox."""
    for name in capabilities:
        if name.startswith("APPENDLIMIT=") and name[12:].isdigit():
            return int(name[12:])
    return None


def _check_size(connection: Connection, size: int) -> None:
    limit = append_limit(connection.capabilities)
    if limit is not None and size > limit:
        raise TooLarge(f"a message of {size} octets, and {connection.where} takes {limit}")


async def _find(session: Session, mailbox: MailboxRef, uidnext: int | None, content: _NotingContent) -> int:
    """Return the UID of the message just stored: the latest with its Message-ID and size.

    Raises:
        OutcomeUnknown: it is not there.
    """
    message_id = content.message_id()

    async def look(connection: Connection) -> int | None:
        session.check_uidvalidity(connection)
        low = uidnext
        if low is None:
            # UIDPLUS without an answer: the message is among the last ones.
            low = max((await status(connection, mailbox)).uidnext - 100, 1)
        uids = [uid for uid in await search_uids(connection, b"UID", b"%d:*" % low) if uid >= low]
        if not uids:
            return None
        reply = await connection.run(b"UID FETCH", uid_set(uids), _FINGERPRINT)
        found = None
        for fetched in reply.fetches():
            header = fetched.sections.get(_FINGERPRINT_SECTION)
            if fetched.uid is None or not isinstance(header, bytes) or fetched.size != content.size:
                continue
            if _message_id(header) == message_id:
                found = max(found or 0, fetched.uid)
        return found

    try:
        uid = await session.pool.read(mailbox, look, is_fresh=True)
    except ConnectorError as exc:
        raise OutcomeUnknown(f"a message was stored and then not looked up: {exc.operator_text}") from exc
    if uid is None:
        raise OutcomeUnknown(f"a message stored in {names.readable(mailbox)} is not found there")
    return uid


def _message_id(header: bytes) -> bytes | None:
    match = _MESSAGE_ID.search(header)
    return match[1].strip() if match is not None else None


class _NotingContent:
    """Content that remembers its beginning while it passes, to be recognised by."""

    def __init__(self, content: MessageContent) -> None:
        self._content = content
        self._beginning = b""

    @property
    def size(self) -> int:
        return self._content.size

    async def chunks(self) -> AsyncIterator[bytes]:
        self._beginning = b""
        async for chunk in self._content.chunks():
            if len(self._beginning) < _HEADER_OCTETS:
                self._beginning += chunk[: _HEADER_OCTETS - len(self._beginning)]
            yield chunk

    def message_id(self) -> bytes | None:
        """Return the Message-ID of what has passed."""
        return _message_id(self._beginning.partition(b"\r\n\r\n")[0])
