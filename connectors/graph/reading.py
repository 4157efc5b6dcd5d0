"""Reading messages: their states, what came before them on the Internet, and their octets.

Outlook keeps no MIME: what it serves is made from the parts of a message, each time anew. The header of a message that
came over the Internet is kept as it came; its fields are right, but the header that is served is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Final

from connectors.api.errors import ConnectorError, NotFound, Unavailable
from connectors.api.types import MailboxRef, MessageContent, MessageRef, MessageState, Outline
from connectors.graph.flags import expand, property_of
from connectors.graph.mail import Mail, is_gone, message_path
from connectors.graph.spool import spool
from connectors.graph.structs import Message

TRANSPORT_HEADERS: Final = "String 0x007D"

_HEADER_QUERY: Final = (("$select", "id,receivedDateTime"), ("$expand", expand(TRANSPORT_HEADERS)))
_LINE_END: Final = re.compile(r"\r\n|\r|\n")
_FIELD: Final = re.compile(r"[!-9;-~]+[ \t]*:")
"""RFC 5322 section 3.6.8, and the white space of section 4.5."""


async def states(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> list[MessageState]:
    """Return the states of those of the messages that are in the mailbox; sizes are estimates."""
    folder = await mail.require(mailbox)
    found = await mail.read_messages(refs)
    return [
        mail.state(message)
        for ref in dict.fromkeys(refs)
        if (message := found.get(ref)) is not None
        # A search folder shows what is elsewhere.
        and (folder.is_search or message.parent_folder_id in (mailbox, None))
    ]


async def outlines(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> AsyncIterator[Outline]:
    """Yield the headers of messages that came over the Internet; others are left out, as are those that are gone."""
    await mail.require(mailbox)
    found, failed = await mail.read_each(refs, _HEADER_QUERY)
    for message in found.values():
        header = header_of(message)
        if header is not None:
            yield Outline(
                MessageRef(message.id), header, internal_date=message.received_date_time, header_is_exact=False
            )
    for error in failed.values():
        raise error


def header_of(message: Message) -> bytes | None:
    """Return the header with which a message came, with its closing empty line; None if it has none.

    Exchange keeps it as text, at times with a line before it that is no field, or with its end cut off.
    """
    text = property_of(message, TRANSPORT_HEADERS)
    if text is None:
        return None
    lines: list[str] = []
    for line in _LINE_END.split(text):
        if _FIELD.match(line) or (line[:1] in (" ", "\t") and lines and line.strip()):
            lines.append(line)
        elif not line and lines:
            break
    if not lines:
        return None
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "replace")


async def fetch(mail: Mail, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
    """Read one message whole.

    Raises:
        NotFound: it is gone, or there is no such mailbox.
    """
    await mail.require(mailbox)
    try:
        return await _read(mail, ref)
    except ConnectorError as error:
        if is_gone(error):
            raise NotFound(f"message {ref} is gone: {error.operator_text}") from error
        raise


async def fetch_many(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]
) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
    """Yield the messages as they come, some of them read at the same time; what is gone is left out.

    Raises:
        NotFound: no such mailbox.
        ConnectorError: some could not be read; the others have been yielded.
    """
    await mail.require(mailbox)
    left = list(dict.fromkeys(refs))
    left.reverse()
    # One request is left to whoever else wants something; there are not many.
    at_once = max(mail.settings.max_concurrent - 1, 1)
    running: dict[asyncio.Task[MessageContent], MessageRef] = {}
    failure: ConnectorError | None = None
    try:
        while left or running:
            while left and len(running) < at_once:
                ref = left.pop()
                running[asyncio.create_task(_read(mail, ref))] = ref
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                ref = running.pop(task)
                try:
                    content = task.result()
                except ConnectorError as error:
                    failure = failure if failure is not None or is_gone(error) else error
                    continue
                yield ref, content
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    if failure is not None:
        raise failure


async def _read(mail: Mail, ref: MessageRef) -> MessageContent:
    """Read the octets of a message: below its folder Graph does not serve them."""
    async with mail.client.stream(f"{message_path(ref)}/$value") as reply:
        kind = reply.headers.get("content-type", "")
        if kind.lower().startswith("text/html"):
            # What a portal on the way says, for instance; mail comes as text/plain, and its length is never told.
            raise Unavailable(f"instead of message {ref} came a page of {kind}")
        async with contextlib.aclosing(reply.chunks()) as chunks:
            return await spool(chunks)
