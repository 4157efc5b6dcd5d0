"""EXPUNGE: to Deleted Items, deleted, or deleted for good, as the account's setting says.

              Deleted Items, Junk, and below   anywhere else
    trash     deleted                          moved to Deleted Items
    delete    deleted                          deleted
    permanent for good                         for good

What is deleted can be got back by the user for some days from Recoverable Items, what is deleted for good only by an
administrator, if at all (Microsoft, "message: permanentDelete").
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.api.errors import ConnectorError, Denied
from connectors.api.types import BatchResult, MailboxRef, MessageRef
from connectors.graph.client import BatchItem
from connectors.graph.errors import Refused
from connectors.graph.folders import WellKnown
from connectors.graph.mail import Mail, is_gone, message_path
from connectors.graph.settings import ExpungeTo
from connectors.graph.structs import NoReply
from connectors.graph.writing import Course, move_some, still_there, unique
from connectors.transport.messages import Effect

_ASIDE = (WellKnown.TRASH, WellKnown.JUNK)


async def expunge(mail: Mail, mailbox: MailboxRef, refs: Sequence[MessageRef]) -> BatchResult:
    """Take the messages out of the mailbox: two requests for twenty, as what has been moved elsewhere must stay there.

    Raises:
        NotFound: no such mailbox.
    """
    folder = await mail.require(mailbox)
    if folder.is_search:
        raise Denied(f"{mailbox} is a search folder", client_text="Messages cannot be deleted from a search folder.")
    course = Course()
    there = await still_there(mail, folder, unique(refs), course)
    trash = await mail.place(WellKnown.TRASH)
    if mail.settings.expunge is ExpungeTo.TRASH and trash is not None and not await _is_aside(mail, mailbox):
        await move_some(mail, course, there, trash)
        for ref in course.done:
            # Whether its changes will tell of the arrival is not sure.
            mail.known.stray(ref, trash)
    else:
        await _delete(mail, course, there)
    course.done = dict.fromkeys(course.done)
    return course.result()


async def _is_aside(mail: Mail, mailbox: MailboxRef) -> bool:
    """Whether what is expunged there has been thrown away before."""
    tree = await mail.tree()
    places = [tree.places[name] for name in _ASIDE if name in tree.places]
    return any(mailbox == place or tree.is_below(mailbox, place) for place in places)


async def _delete(mail: Mail, course: Course, refs: Sequence[MessageRef]) -> None:
    is_permanent = mail.settings.expunge is ExpungeTo.PERMANENT
    items = [
        BatchItem("POST", f"{message_path(ref)}/permanentDelete", effect=Effect.IDEMPOTENT_WRITE)
        if is_permanent
        else BatchItem("DELETE", message_path(ref), effect=Effect.IDEMPOTENT_WRITE)
        for ref in refs
    ]
    for ref, result in zip(refs, await mail.client.batch(items, NoReply) if items else (), strict=True):
        if not isinstance(result, ConnectorError):
            course.done[ref] = None
        elif is_gone(result) or _is_deleted(result):
            course.missing.add(ref)
        else:
            course.failed[ref] = result


def _is_deleted(error: ConnectorError) -> bool:
    """Whether a message could not be deleted because it is already: under immutable ids that is a 403."""
    return isinstance(error, Refused) and error.refusal.has_code("ErrorCannotDeleteObject")
