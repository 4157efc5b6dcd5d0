"""Messages made out of JSON: all of a message, or nothing of it.

One that fits into a request is there at once. A larger one gets its attachments one by one, and is made elsewhere
meanwhile: in Deleted Items, from where it moves to its mailbox when it is whole. So whoever looks into the mailbox, to
find out what became of an APPEND for instance, never takes half a message for it; and what is left over after a crash
lies where things are thrown away.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import msgspec

from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, Rejected, TooLarge, Unavailable
from connectors.api.types import MailboxRef, MessageRef
from connectors.graph.attachments import attach
from connectors.graph.cloud import Cloud
from connectors.graph.errors import Refused
from connectors.graph.finding import MARK, Attempt, find_marked, new_mark
from connectors.graph.flags import creation_fields
from connectors.graph.folders import WellKnown, folder_path
from connectors.graph.items import decode_item
from connectors.graph.mail import Mail, is_gone, message_path
from connectors.graph.mapping import Mapped
from connectors.graph.rebuilding import Fidelity, Rebuilt, rebuild
from connectors.graph.structs import ExtendedProperty, Message
from connectors.transport.messages import Effect

T = TypeVar("T")

_log = logging.getLogger(__name__)

_CREATED: Final = frozenset({201})
_PAUSES_S: Final = (1.0, 4.0)
_AT_ONCE: Final = 256 * 1024
"""Octets of a message that is taken apart without leaving the event loop."""
_NEVER_TOO_LARGE: Final = 1_000_000
"""Octets of a message: up to here it is for another reason that a creation is answered 200."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make: the octets, where, with what flags, and when it came."""

    mailbox: MailboxRef
    message: Mapped
    flags: frozenset[str]
    received: datetime
    is_draft: bool


async def make(mail: Mail, wish: Wish) -> Message:
    """Make the message and return it as it is there, with the properties that its flags need.

    Raises:
        OutcomeUnknown: it may be there, and then it is whole.
        ConnectorError: it is not there.
    """
    await _clear(mail)
    found = await _left_open(mail, wish)
    if found is not None:
        return found
    try:
        return await _make(mail, wish, Fidelity.FULL)
    except Rejected as error:
        if not (isinstance(error, Refused) and error.refusal.status == 400):
            raise
        _log.warning("a message is stored with its text and itself attached, as it was refused: %s", error)
    return await _make(mail, wish, Fidelity.BARE)


async def discard(mail: Mail, ref: str) -> bool:
    """Delete a message of our own making for good; tell whether it is gone. If not, the next append tries again."""
    mail.unsettled.leave_behind(ref)
    calls: list[tuple[str, str]] = [("DELETE", message_path(ref))]
    if mail.settings.cloud is Cloud.GLOBAL:
        calls.insert(0, ("POST", f"{message_path(ref)}/permanentDelete"))
    for method, path in calls:
        try:
            await mail.client.call(method, path, effect=Effect.IDEMPOTENT_WRITE)
        except ConnectorError as error:
            if not is_gone(error):
                continue
        mail.unsettled.cleared(ref)
        return True
    return False


async def move_made(mail: Mail, ref: str, mailbox: MailboxRef) -> None:
    """Move a message of our own making to where it belongs.

    Raises:
        OutcomeUnknown: it may be there.
        ConnectorError: it is not there.
    """
    try:
        await mail.client.call(
            "POST", f"{message_path(ref)}/move", body={"destinationId": mailbox}, effect=Effect.WRITE, accept=_CREATED
        )
    except OutcomeUnknown as lost:
        try:
            held = await mail.read_messages([MessageRef(ref)], [("$select", "id,parentFolderId")])
        except ConnectorError:
            raise lost from None
        message = held.get(MessageRef(ref))
        if message is None or message.parent_folder_id != mailbox:
            raise Unavailable(f"a message that was made did not get into its folder: {lost.operator_text}") from lost


async def _clear(mail: Mail) -> None:
    """Delete what earlier appends could not delete."""
    for ref in mail.unsettled.remains()[:4]:
        await discard(mail, ref)


async def _left_open(mail: Mail, wish: Wish) -> Message | None:
    """Return the message if an earlier attempt has stored it after all; delete what is not whole of such attempts.

    Raises:
        ConnectorError: it cannot be seen, so that making it again could double it.
    """
    digest = wish.message.digest
    found: Message | None = None
    for attempt in mail.unsettled.open_for(wish.mailbox, digest, mail.clock.monotonic()):
        message = await find_marked(mail.client, wish.mailbox, attempt.mark, attempt.message_id)
        if message is not None:
            found = message
        elif attempt.folder != wish.mailbox:
            with contextlib.suppress(NotFound):
                begun = await find_marked(mail.client, attempt.folder, attempt.mark, attempt.message_id)
                if begun is not None:
                    await discard(mail, begun.id)
    mail.unsettled.settle(wish.mailbox, digest)
    return found and (await mail.read_messages([MessageRef(found.id)])).get(MessageRef(found.id), found)


async def _make(mail: Mail, wish: Wish, fidelity: Fidelity) -> Message:
    """Make the message, or nothing."""
    mark = new_mark(wish.message.digest)
    marks, properties = _marks(mail, wish, mark)
    large = len(wish.message.buffer) > _AT_ONCE
    rebuilt = await _beside(
        large,
        lambda: rebuild(
            wish.message.buffer,
            marks=marks,
            properties=properties,
            received=wish.received,
            is_draft=wish.is_draft,
            fidelity=fidelity,
        ),
    )
    folder = await _workplace(mail, wish.mailbox) if rebuilt.later else wish.mailbox
    payload = await _beside(large, rebuilt.payload)
    attempt = Attempt(folder, mark, rebuilt.message_id, mail.clock.monotonic())
    try:
        message = await _create(mail, wish, attempt, payload)
        if rebuilt.later:
            await _complete(mail, message.id, rebuilt, wish.mailbox)
    except (OutcomeUnknown, asyncio.CancelledError):
        mail.unsettled.leave_open(wish.mailbox, wish.message.digest, attempt)
        raise
    return await _checked(mail, wish, message, properties)


def _marks(mail: Mail, wish: Wish, mark: str) -> tuple[Mapping[str, object], Mapping[str, str]]:
    """Return the fields and the extended properties that stand for the flags and the attempt."""
    fields = creation_fields(wish.flags, mail.categories)
    listed = fields.pop("singleValueExtendedProperties", [])
    assert isinstance(listed, list)
    return fields, {MARK: mark, **{each["id"]: each["value"] for each in listed}}


async def _beside(is_large: bool, work: Callable[[], T]) -> T:
    """Do what may take a while beside the event loop."""
    return await asyncio.to_thread(work) if is_large else work()


async def _workplace(mail: Mail, mailbox: MailboxRef) -> str:
    """Return the folder in which a message is put together that is to go to the mailbox."""
    trash = await mail.place(WellKnown.TRASH)
    if trash is not None and trash != mailbox:
        return trash
    return await mail.place(WellKnown.DRAFTS) or mailbox


async def _create(mail: Mail, wish: Wish, attempt: Attempt, payload: Mapping[str, object]) -> Message:
    """Create the message, with whatever fits into one request.

    Raises:
        OutcomeUnknown: the answer was lost, and it is not there so far.
    """
    path = f"{folder_path(attempt.folder)}/messages"
    try:
        raw = await mail.client.call(
            "POST", path, body=payload, reply=msgspec.Raw, effect=Effect.WRITE, accept=_CREATED
        )
    except OutcomeUnknown as lost:
        try:
            found = await _look_for(mail, attempt)
        except ConnectorError:
            raise lost from None
        if found is not None:
            return found
        is_large = len(wish.message.buffer) > _NEVER_TOO_LARGE
        if is_large and isinstance(lost, Refused) and lost.refusal.status < 300:
            # Seen with requests that are too large: 200, and nothing is done.
            raise TooLarge(f"nothing was stored: {lost.operator_text}") from lost
        raise
    message = decode_item(bytes(raw), Message)
    if message is None:
        raise OutcomeUnknown(f"Graph does not say which message it made in folder {attempt.folder}")
    return message


async def _look_for(mail: Mail, attempt: Attempt) -> Message | None:
    """Look for what may have been made; what was made just now may take some seconds to be found."""
    for pause_s in _PAUSES_S:
        found = await find_marked(mail.client, attempt.folder, attempt.mark, attempt.message_id)
        if found is not None:
            return found
        await mail.clock.sleep(pause_s)
    return await find_marked(mail.client, attempt.folder, attempt.mark, attempt.message_id)


async def _complete(mail: Mail, ref: str, rebuilt: Rebuilt, mailbox: MailboxRef) -> None:
    """Attach the rest and move the message to its mailbox; delete it if that fails."""
    is_moving = False
    try:
        for part in rebuilt.later:
            await attach(mail.client, ref, part)
        is_moving = True
        await move_made(mail, ref, mailbox)
    except asyncio.CancelledError:
        if not is_moving:
            mail.unsettled.leave_behind(ref)
        raise
    except OutcomeUnknown as error:
        if is_moving:
            raise
        # Whatever became of the attachment: the message is not where it was to be.
        await discard(mail, ref)
        raise Unavailable(f"a message was not stored: {error.operator_text}") from error
    except ConnectorError:
        await discard(mail, ref)
        raise


async def _checked(mail: Mail, wish: Wish, message: Message, properties: Mapping[str, str]) -> Message:
    """Return the message with the properties that it was made with, and see to it that it is as read as it should be.

    That is said twice when it is made, and what counts is not documented.
    """
    fields = creation_fields(wish.flags, mail.categories)
    if message.is_read is not None and message.is_read is not fields["isRead"]:
        with contextlib.suppress(ConnectorError):
            body = {"isRead": fields["isRead"]}
            await mail.client.call("PATCH", message_path(message.id), body=body, effect=Effect.IDEMPOTENT_WRITE)
            message = msgspec.structs.replace(message, is_read=bool(fields["isRead"]))
    if message.is_draft and not wish.is_draft:
        _log.warning("Graph made a draft of a message that was to be none: %s", message.id)
    set_properties = [ExtendedProperty(key, value) for key, value in properties.items()]
    return msgspec.structs.replace(message, single_value_extended_properties=set_properties)
