"""Flags, COPY and MOVE, twenty messages in a request.

A message is altered wherever it is, since its id stays when it is moved. So what is to be moved or expunged is looked
at first: what is no longer in the mailbox it is taken from is missing there, and stays where somebody else has put it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from connectors.api.errors import ConnectorError, NotFound, OutcomeUnknown, Unsupported
from connectors.api.types import BatchResult, MailboxRef, MessageRef, MessageState
from connectors.graph.batching import MAX_ITEMS
from connectors.graph.client import BatchItem
from connectors.graph.errors import RefusedConflict
from connectors.graph.flags import changes_for, needs_present
from connectors.graph.folders import Folder, folder_path
from connectors.graph.items import decode_item
from connectors.graph.listing import read_by_list
from connectors.graph.mail import STATE_QUERY, Mail, is_gone, message_path
from connectors.graph.structs import ExtendedProperty, Message, NoReply
from connectors.transport.messages import Effect

CONFLICTS: Final = 2
"""As often is a change repeated that something else has come in between (412)."""

READ_FIRST: Final = 100
"""Up to so many messages are read before their flags are changed, even if that is not needed for the change.

Then no change is asked for that is none, and all flags are known after it; of more the gateway works them out.
"""

_WHERE: Final = (("$select", "id,parentFolderId"),)


@dataclass(slots=True)
class Course:
    """What became of the messages of one write."""

    done: dict[MessageRef, MessageState | None] = field(default_factory=dict)
    missing: set[MessageRef] = field(default_factory=set)
    failed: dict[MessageRef, ConnectorError] = field(default_factory=dict)

    def result(self) -> BatchResult:
        """Return it as the contract wants it."""
        return BatchResult(self.done, frozenset(self.missing), self.failed)


# -- flags ------------------------------------------------------------------------------------------------------------


async def store_flags(
    mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef], add: frozenset[str], remove: frozenset[str]
) -> BatchResult:
    """Add and remove flags: a request for twenty messages, and one more where their present flags have to be known.

    Raises:
        NotFound: no such mailbox.
    """
    folder = await mail.require(mailbox)
    course = Course()
    todo = unique(refs)
    reads = needs_present(add, remove) or len(todo) <= READ_FIRST
    for _ in range(CONFLICTS + 1):
        if not todo:
            break
        present: dict[MessageRef, Message] = {}
        if reads:
            present = await _told(mail, folder, todo, course)
            todo = list(present)
        todo = await _patch(mail, course, {ref: present.get(ref) for ref in todo}, add, remove)
        reads = True
    return course.result()


async def _told(mail: Mail, folder: Folder, refs: Sequence[MessageRef], course: Course) -> dict[MessageRef, Message]:
    """Return those of the messages that are in the folder with all their flags; the others are missing.

    By name each counts as a request. So of many messages most are read from the list, where that has fewer pages than
    twenty messages each would make batches.
    """
    found: dict[MessageRef, Message] = {}
    pages = math.ceil((folder.count or 0) / mail.page)
    if len(refs) > READ_FIRST and not folder.is_search and 0 < pages * MAX_ITEMS < len(refs):
        # What is amiss with the list shows again below, or it was the list alone.
        with contextlib.suppress(ConnectorError):
            listed = await read_by_list(mail, folder.info.ref, refs)
            found = {ref: each for ref, each in listed.items() if each.parent_folder_id in (folder.info.ref, None)}
    left = [ref for ref in refs if ref not in found]
    return found | (await _present(mail, folder, left, course, STATE_QUERY) if left else {})


async def _patch(
    mail: Mail,
    course: Course,
    messages: dict[MessageRef, Message | None],
    add: frozenset[str],
    remove: frozenset[str],
) -> list[MessageRef]:
    """Alter the messages, which are told as they are now if that is known; return those with which it is to be retried.

    Their refusals stand in the course until then.
    """
    bodies = {ref: changes_for(add, remove, present, mail.categories) for ref, present in messages.items()}
    for ref, body in bodies.items():
        if not body:
            present = messages[ref]
            course.done[ref] = mail.state(present) if present is not None else MessageState(ref)
    altered = [ref for ref, body in bodies.items() if body]
    again: list[MessageRef] = []
    items = [BatchItem("PATCH", message_path(ref), body=bodies[ref], effect=Effect.IDEMPOTENT_WRITE) for ref in altered]
    for ref, result in zip(altered, await _batch(mail, items, course), strict=True):
        course.failed.pop(ref, None)
        if not isinstance(result, ConnectorError):
            course.done[ref] = _state_after(mail, ref, result, messages[ref], bodies[ref])
        elif is_gone(result):
            course.missing.add(ref)
        else:
            course.failed[ref] = result
            again += [ref] if isinstance(result, RefusedConflict) else []
    return again


def _state_after(
    mail: Mail, ref: MessageRef, reply: msgspec.Raw, before: Message | None, body: dict[str, object]
) -> MessageState:
    """Return what a message is like, which the reply tells but for the properties that have to be asked for by name."""
    after = decode_item(bytes(reply), Message)
    if after is None or after.is_read is None or before is None:
        return MessageState(ref)
    written = body.get("singleValueExtendedProperties", [])
    assert isinstance(written, list)
    told = [ExtendedProperty(each["id"], each["value"]) for each in written]
    told += before.single_value_extended_properties or []
    return mail.state(msgspec.structs.replace(after, single_value_extended_properties=told))


# -- copy and move ----------------------------------------------------------------------------------------------------


async def copy(mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Make copies in another folder, or the same; they have ids of their own.

    Raises:
        NotFound: no such source or destination.
    """
    await _both(mail, source, destination)
    course = Course()
    wanted = unique(refs)
    items = [_transfer(ref, "copy", destination) for ref in wanted]
    for ref, result in zip(wanted, await _batch(mail, items, course), strict=True):
        _take(course, ref, result)
    await _check_destination(mail, course, destination, frozenset())
    return course.result()


async def move(mail: Mail, source: MailboxRef, refs: Sequence[MessageRef], destination: MailboxRef) -> BatchResult:
    """Move the messages; they keep their ids. What is in the destination already is where it was to go.

    Raises:
        NotFound: no such source or destination.
    """
    folder = await _both(mail, source, destination)
    course = Course()
    wanted = unique(refs)
    found = await _present(mail, folder, wanted, course, _WHERE, also=destination)
    for ref, message in found.items():
        if message.parent_folder_id == destination:
            course.done[ref] = MessageState(ref)
    missing = frozenset(course.missing)
    await move_some(mail, course, [ref for ref in found if ref not in course.done], destination)
    await _check_destination(mail, course, destination, missing)
    return course.result()


async def move_some(mail: Mail, course: Course, refs: Sequence[MessageRef], destination: MailboxRef) -> None:
    """Move messages; of those of which no answer came it is looked up whether they have arrived."""
    items = [_transfer(ref, "move", destination) for ref in refs]
    lost: list[MessageRef] = []
    for ref, result in zip(refs, await _batch(mail, items, course), strict=True):
        _take(course, ref, result)
        lost += [ref] if isinstance(result, OutcomeUnknown) else []
    if not lost:
        return
    looks = [BatchItem("GET", message_path(ref), _WHERE) for ref in lost]
    for ref, result in zip(lost, await _batch(mail, looks, course), strict=True):
        message = decode_item(bytes(result), Message) if not isinstance(result, ConnectorError) else None
        if message is not None and mail.placed(message).parent_folder_id == destination:
            del course.failed[ref]
            course.done[ref] = MessageState(ref)


def _transfer(ref: MessageRef, verb: str, destination: MailboxRef) -> BatchItem:
    return BatchItem("POST", f"{message_path(ref)}/{verb}", body={"destinationId": destination}, effect=Effect.WRITE)


def _take(course: Course, ref: MessageRef, result: msgspec.Raw | ConnectorError) -> None:
    """Take note of what became of a message that was copied or moved.

    The reply tells no extended properties, so of its flags nothing is said: they are those of the original.
    """
    if isinstance(result, ConnectorError):
        if is_gone(result):
            course.missing.add(ref)
        else:
            course.failed[ref] = result
        return
    message = decode_item(bytes(result), Message)
    if message is None:
        course.failed[ref] = OutcomeUnknown(f"Graph does not say where message {ref} has gone")
    else:
        course.done[ref] = MessageState(MessageRef(message.id), internal_date=message.received_date_time)


async def _both(mail: Mail, source: MailboxRef, destination: MailboxRef) -> Folder:
    """Make sure that both folders are there; return the source.

    Raises:
        NotFound: one is not.
        Unsupported: the destination cannot hold messages.
    """
    folder = await mail.require(source)
    if (await mail.require(destination)).is_search:
        text = "Messages cannot be put into a search folder."
        raise Unsupported(f"{destination} is a search folder", client_text=text)
    return folder


async def _check_destination(
    mail: Mail, course: Course, destination: MailboxRef, missing: frozenset[MessageRef]
) -> None:
    """Find out whether it is the destination that is missing and not the messages; both are answered with 404.

    `missing` are messages of which it was known before.

    Raises:
        NotFound: it is, and nothing was done.
    """
    doubtful = course.missing - missing
    if not doubtful:
        return
    try:
        await mail.client.call(
            "GET", folder_path(destination), query=[("$select", "id")], reply=NoReply, effect=Effect.READ
        )
    except ConnectorError as error:
        if isinstance(error, NotFound):
            mail.forget_tree()
        if not course.done:
            raise
        # Taken for missing they would vanish from where they still are.
        course.missing -= doubtful
        course.failed |= dict.fromkeys(doubtful, error)


# -- what all writes share --------------------------------------------------------------------------------------------


async def still_there(mail: Mail, folder: Folder, refs: Sequence[MessageRef], course: Course) -> list[MessageRef]:
    """Return those of the messages that are in the folder now; the others are missing."""
    return list(await _present(mail, folder, refs, course, _WHERE))


async def _present(
    mail: Mail,
    folder: Folder,
    refs: Sequence[MessageRef],
    course: Course,
    query: Sequence[tuple[str, str]],
    *,
    also: MailboxRef | None = None,
) -> dict[MessageRef, Message]:
    """Read the messages and return those that are in the folder, or in `also`; the others are missing."""
    here = {folder.info.ref, also}
    found: dict[MessageRef, Message] = {}
    items = [BatchItem("GET", message_path(ref), query) for ref in refs]
    for ref, result in zip(refs, await _batch(mail, items, course), strict=True):
        course.failed.pop(ref, None)
        if isinstance(result, ConnectorError):
            if is_gone(result):
                course.missing.add(ref)
            else:
                course.failed[ref] = result
            continue
        message = mail.placed(decode_item(bytes(result), Message) or Message(ref))
        where = message.parent_folder_id
        if folder.is_search or where is None or where in here:
            found[ref] = message
        else:
            course.missing.add(ref)
            mail.known.stray(ref, MailboxRef(where))
    return found


async def _batch(mail: Mail, items: Sequence[BatchItem], course: Course) -> Sequence[msgspec.Raw | ConnectorError]:
    """Make the calls. What fails as a whole is raised as long as nothing was done by others before."""
    if not items:
        return ()
    try:
        return await mail.client.batch(items, msgspec.Raw)
    except ConnectorError as error:
        if not course.done:
            raise
        return [error] * len(items)


def unique(refs: Iterable[MessageRef]) -> list[MessageRef]:
    """Return the refs in order, each once."""
    return list(dict.fromkeys(refs))
