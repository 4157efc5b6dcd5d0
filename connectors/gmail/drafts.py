"""Drafts, which have an id of their own: the message in a draft is another one, with another id, after each change.

So an edited draft is a new message with a new UID, as IMAP wants it.
Source: Google, "Create drafts".
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from connectors.api.errors import NotFound, OutcomeUnknown
from connectors.api.types import MessageContent, MessageRef, MessageState
from connectors.gmail.batch import BatchCall
from connectors.gmail.labels import DRAFTS, Tree
from connectors.gmail.mail import MAX_RESULTS, Mail
from connectors.gmail.methods import DRAFTS_CREATE, DRAFTS_DELETE, DRAFTS_LIST
from connectors.gmail.relabel import Course
from connectors.gmail.structs import Draft, DraftList, NoReply
from connectors.transport.paging import pages

_FIELDS = "drafts(id,message(id,threadId)),nextPageToken"


async def create(mail: Mail, tree: Tree, content: MessageContent) -> MessageState:
    """Make a draft of a message. Gmail adds what a draft lacks, as a Message-ID, so its size is another one.

    Raises:
        OutcomeUnknown: the reply was lost, or does not tell which message it is. Gmail has a draft twice that is made
            twice, so it is to be looked for.
    """
    since = mail.known.as_of
    draft = await mail.client.upload(DRAFTS_CREATE, {"message": {}}, content, reply=Draft)
    message = draft.message
    if message is None:
        raise OutcomeUnknown(f"draft {draft.id} was made, and its message not told")
    mail.drafts[MessageRef(message.id)] = draft.id
    labels = message.labels | {DRAFTS}
    mail.known.learn(message.id, labels, since)
    return mail.state(tree, message, labels=labels)


async def read_drafts(mail: Mail) -> None:
    """Learn which message is the present content of which draft (5 units for 500)."""
    query = (("maxResults", str(MAX_RESULTS)), ("fields", _FIELDS))

    async def page(token: str | None) -> tuple[DraftList, str | None]:
        more = [("pageToken", token)] if token is not None else []
        reply = await mail.client.call(DRAFTS_LIST, query=[*query, *more], reply=DraftList)
        return reply, reply.next_page_token

    found: dict[MessageRef, str] = {}
    async with contextlib.aclosing(pages(page)) as replies:
        async for reply in replies:
            found.update({MessageRef(draft.message.id): draft.id for draft in reply.drafts if draft.message})
    mail.drafts = found


async def discard(mail: Mail, refs: Sequence[MessageRef]) -> Course:
    """Delete drafts for good, as Gmail does with those that are discarded; one that was changed meanwhile is not."""
    # A draft's id stays while its content changes: it must still be the content that was to go.
    await read_drafts(mail)
    course = Course(missing={ref for ref in refs if ref not in mail.drafts})
    there = [ref for ref in refs if ref in mail.drafts]
    calls = [BatchCall(DRAFTS_DELETE, {"id": mail.drafts[ref]}) for ref in there]
    for ref, result in zip(there, await mail.client.batch(calls, NoReply) if calls else (), strict=True):
        if isinstance(result, NoReply):
            course.done[ref] = None
        elif isinstance(result, NotFound):
            course.missing.add(ref)
        else:
            course.failed[ref] = result
    for ref in course.done:
        mail.drafts.pop(ref, None)
    mail.known.forget(course.done)
    return course
