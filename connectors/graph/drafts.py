"""Drafts, the one kind of message that Graph takes as MIME: Exchange itself takes it apart then.

Graph makes them in Drafts whatever folder is asked for, so for another folder a draft is moved. A request has 4 MB, in
base64; a larger draft is made out of JSON, with its attachments uploaded one by one, and stays a draft too.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from connectors.api.errors import ConnectorError, OutcomeUnknown, Rejected, TooLarge, Unavailable
from connectors.api.types import DRAFT, MessageRef
from connectors.graph import edits
from connectors.graph.errors import RefusedConflict
from connectors.graph.flags import creation_fields
from connectors.graph.folders import WellKnown
from connectors.graph.items import decode_item
from connectors.graph.mail import Mail, message_path
from connectors.graph.making import Wish, discard, make, move_made
from connectors.graph.structs import ExtendedProperty, Message
from connectors.transport.messages import Effect

MIME_OCTETS: Final = 2_900_000
"""Of a message that goes out as MIME."""

_CONFLICTS: Final = 2
"""As often is a change repeated that something else has come in between."""


async def create(mail: Mail, wish: Wish) -> Message:
    """Make a draft in the mailbox; return it as it is there.

    Raises:
        OutcomeUnknown: it may be there, or in Drafts.
        ConnectorError: it is not there.
    """
    message = await _create(mail, wish)
    await edits.remember(mail, MessageRef(message.id))
    return message


async def _create(mail: Mail, wish: Wish) -> Message:
    # What begins with nothing but blanks is no MIME for Exchange.
    if len(wish.message.buffer) > MIME_OCTETS or not wish.message.buffer[:4096].strip():
        return await make(mail, wish)
    try:
        message = await _post(mail, wish)
    except (Rejected, TooLarge):
        # Exchange does not take everything for MIME that is mail.
        return await make(mail, wish)
    try:
        if wish.mailbox != await mail.place(WellKnown.DRAFTS):
            await move_made(mail, message.id, wish.mailbox)
        return await _marked(mail, wish, message)
    except OutcomeUnknown:
        raise
    except ConnectorError:
        await discard(mail, message.id)
        raise


async def _post(mail: Mail, wish: Wish) -> Message:
    raw = await mail.client.call(
        "POST",
        "/messages",
        body=base64.b64encode(wish.message.buffer[:]),
        headers={"Content-Type": "text/plain"},
        reply=msgspec.Raw,
        effect=Effect.WRITE,
        accept=frozenset({201}),
    )
    message = decode_item(bytes(raw), Message)
    if message is None:
        raise OutcomeUnknown("Graph does not say which draft it made")
    return message


async def _marked(mail: Mail, wish: Wish, message: Message) -> Message:
    """Give the draft its flags; return it with them."""
    fields = creation_fields(wish.flags - {DRAFT}, mail.categories)
    for attempt in range(_CONFLICTS + 1):
        try:
            raw = await mail.client.call(
                "PATCH",
                message_path(message.id),
                body=fields,
                reply=msgspec.Raw,
                effect=Effect.IDEMPOTENT_WRITE,
                accept=frozenset({200}),
            )
            break
        except RefusedConflict:
            if attempt == _CONFLICTS:
                raise
    marked = decode_item(bytes(raw), Message)
    if marked is None:
        raise Unavailable("Graph does not say what became of a draft")
    listed = fields.get("singleValueExtendedProperties", [])
    assert isinstance(listed, list)
    properties = [ExtendedProperty(each["id"], each["value"]) for each in listed]
    return msgspec.structs.replace(marked, single_value_extended_properties=properties)
