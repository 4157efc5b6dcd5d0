"""Reading messages: their states, and their octets, which alone tell sizes and headers exactly."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Sequence

from connectors.api.errors import ConnectorError, NotFound, Unavailable
from connectors.api.types import DatedBytes, MailboxRef, MessageContent, MessageRef, MessageState
from connectors.gmail.batch import BatchCall
from connectors.gmail.mail import Mail, is_gone
from connectors.gmail.methods import MESSAGES_GET
from connectors.gmail.structs import Message

_RAW_QUERY = (("format", "raw"), ("fields", "id,internalDate,raw"))


async def states(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> list[MessageState]:
    """Return the states of those of the messages that are in the mailbox; a size only if it has been seen."""
    if not refs:
        return []
    tree = await mail.require(mailbox)
    found = await mail.read_messages(refs)
    told = [mail.state(tree, found[ref]) for ref in dict.fromkeys(refs) if ref in found]
    return [state for state in told if state.mailboxes is not None and mailbox in state.mailboxes]


async def fetch(mail: Mail, mailbox: MailboxRef, ref: MessageRef) -> MessageContent:
    """Read one message whole.

    Raises:
        NotFound: it is gone, or there is no such mailbox.
    """
    await mail.require(mailbox)
    try:
        message = await mail.client.call(MESSAGES_GET, path={"id": ref}, query=_RAW_QUERY, reply=Message)
    except ConnectorError as error:
        if is_gone(error):
            raise NotFound(f"message {ref} is gone: {error.operator_text}") from error
        raise
    return _content(mail, ref, message)


async def fetch_many(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]
) -> AsyncGenerator[tuple[MessageRef, MessageContent], None]:
    """Yield the messages as they come, a batch of them in one request; what is gone is left out.

    Raises:
        NotFound: no such mailbox.
        ConnectorError: some could not be read; the others have been yielded.
    """
    await mail.require(mailbox)
    wanted = list(dict.fromkeys(refs))
    calls = [BatchCall(MESSAGES_GET, {"id": ref}, _RAW_QUERY) for ref in wanted]
    failure: ConnectorError | None = None
    async with contextlib.aclosing(mail.client.batch_each(calls, Message)) as results:
        async for number, result in results:
            ref = wanted[number]
            if isinstance(result, ConnectorError):
                if not is_gone(result):
                    failure = failure or result
                continue
            try:
                content = _content(mail, ref, result)
            except Unavailable as error:
                failure = failure or error
                continue
            yield ref, content
    if failure is not None:
        raise failure


def _content(mail: Mail, ref: MessageRef, message: Message) -> DatedBytes:
    try:
        data = message.octets()
    except ValueError as exc:
        raise Unavailable(f"message {ref} came without its octets: {exc}") from exc
    mail.known.learn_size(ref, len(data))
    # With the date, or else it would have to be asked for at the price of another message.
    return DatedBytes(data, message.received)
