"""Reading messages: their states, their headers, their octets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TypeVar

from connectors.api.errors import (
    ConnectorError,
    Denied,
    NotFound,
    Rejected,
    TooLarge,
    Unavailable,
    Unsupported,
)
from connectors.api.types import BytesContent, MailboxRef, MessageContent, MessageRef, MessageState, Outline
from connectors.jmap import header
from connectors.jmap.mail import Mail
from connectors.jmap.mailboxes import require_mailbox
from connectors.jmap.states import STATE_PROPERTIES, mailboxes_of, state_of
from connectors.jmap.structs import Email, GetReply

T = TypeVar("T")

_log = logging.getLogger(__name__)

_LOCATION_PROPERTIES = ("id", "blobId", "size", "mailboxIds")
_AHEAD_OCTETS = 256 * 1024
"""Messages up to that size are downloaded ahead of the caller's reading; larger ones wait for their turn."""


async def states(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> list[MessageState]:
    """Return the states of those of the messages that are in the mailbox."""
    found = (await mail.emails(refs, STATE_PROPERTIES)).found
    return [
        state_of(found[ref], tells_mailboxes=mail.has_many_mailboxes)
        for ref in dict.fromkeys(refs)
        if ref in found and mailbox in mailboxes_of(found[ref])
    ]


# -- headers ----------------------------------------------------------------------------------------------------------


async def outlines(mail: Mail, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
    """Yield the headers of the messages; one that cannot be rebuilt with certainty is cut from its message."""
    doubtful: list[header.Header] = []
    for message in await _headers(mail, refs):
        block = header.rebuild(message)
        if block is None:
            doubtful.append(message)
        else:
            yield _outline(message, block)
    tasks = [asyncio.create_task(_cut(mail, message)) for message in doubtful]
    failure: ConnectorError | None = None
    try:
        for message, task in zip(doubtful, tasks, strict=True):
            try:
                block = await task
                if block is not None:
                    yield _outline(message, block)
            except NotFound:
                continue
            except (Rejected, Denied, TooLarge, Unsupported) as error:
                # It is this message's own and will be so next time: reading it whole will show.
                _log.info("header of message %s: %s", message.id, error.operator_text)
            except ConnectorError as error:
                failure = failure or error
    finally:
        await _abandon(tasks)
    if failure is not None:
        raise failure


async def _cut(mail: Mail, message: header.Header) -> bytes | None:
    if message.blob_id is None or message.size is None:
        raise Unavailable(f"message {message.id} comes without blob or size")
    return await header.cut(await mail.client.download(message.blob_id, message.size))


async def _headers(mail: Mail, refs: Sequence[MessageRef]) -> list[header.Header]:
    wanted = list(dict.fromkeys(refs))
    if not wanted:
        return []
    call = mail.call(
        "Email/get",
        "get",
        {
            "ids": wanted,
            "properties": ["id", "blobId", "size", "receivedAt", *header.PROPERTIES],
            "bodyProperties": header.BODY_PROPERTIES,
        },
    )
    return (await mail.client.call(call)).get("get", GetReply[header.Header]).items


def _outline(message: header.Header, block: bytes) -> Outline:
    received = Email(message.id, received_at=message.received_at).received()
    return Outline(MessageRef(message.id), block, size=message.size, internal_date=received)


# -- whole messages ---------------------------------------------------------------------------------------------------


async def fetch(mail: Mail, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
    """Return the content of a message, to be downloaded when it is read.

    The message is asked for each time, although its blob never changes: a blob may outlive its message.

    Raises:
        NotFound: the message is not in the mailbox.
    """
    email = (await mail.emails([ref], _LOCATION_PROPERTIES)).found.get(ref)
    if email is None or mailbox not in mailboxes_of(email):
        raise NotFound(f"no message {ref!r} in mailbox {mailbox!r}")
    return await _content(mail, email)


async def _content(mail: Mail, email: Email) -> MessageContent:
    if email.blob_id is None or email.size is None:
        raise Unavailable(f"message {email.id} comes without blob or size")
    return await mail.client.download(email.blob_id, email.size)


async def fetch_many(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef], at_once: int
) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
    """Yield the messages that are there in the order asked; small ones are downloaded `at_once` at a time.

    One that cannot be had does not hide the others: its error is raised after them.
    """
    await require_mailbox(mail, mailbox)
    found = (await mail.emails(refs, _LOCATION_PROPERTIES)).found
    waiting = [found[ref] for ref in dict.fromkeys(refs) if ref in found and mailbox in mailboxes_of(found[ref])]
    waiting.reverse()
    under_way: list[tuple[Email, asyncio.Task[bytes] | None]] = []
    failure: ConnectorError | None = None
    try:
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                email = waiting.pop()
                is_small = email.size is not None and email.size <= _AHEAD_OCTETS
                under_way.append((email, asyncio.create_task(_octets(mail, email)) if is_small else None))
            email, task = under_way[0]
            try:
                content = await _content(mail, email) if task is None else BytesContent(await task)
            except NotFound:
                content = None
            except ConnectorError as error:
                failure, content = failure or error, None
            del under_way[0]
            if content is not None:
                yield MessageRef(email.id), content
    finally:
        await _abandon([task for _, task in under_way if task is not None])
    if failure is not None:
        raise failure


async def _octets(mail: Mail, email: Email) -> bytes:
    return b"".join([chunk async for chunk in (await _content(mail, email)).chunks()])


async def _abandon(tasks: Sequence[asyncio.Task[T]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.gather(*tasks, return_exceptions=True)
