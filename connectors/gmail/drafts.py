"""Drafts, which have an id of their own: the message in a draft is another one, with another id, after each change.

So an edited draft is a new message with a new UID, as IMAP wants it.
Source: Google, "Create drafts".
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from connectors.api.errors import Denied, OutcomeUnknown
from connectors.api.types import MessageContent, MessageRef, MessageState
from connectors.gmail.batch import BatchCall
from connectors.gmail.labels import DRAFTS, Tree
from connectors.gmail.mail import MAX_RESULTS, Mail, is_gone
from connectors.gmail.methods import DRAFTS_CREATE, DRAFTS_DELETE, DRAFTS_LIST, MESSAGES_DELETE
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
    """Delete drafts for good, as Gmail does with those that are discarded; one that was changed meanwhile is not.

    A draft's id stays while its content changes, and the id of its message does not: so it is the message that is
    deleted, which is no longer there if the draft was changed. For that the login must include deleting for good.
    Without, it is the draft, right after a look whether the message is still its content: what somebody saves in the
    instant between is deleted with it, as the API has no way to name both.
    """
    await read_drafts(mail)
    course = Course(missing={ref for ref in refs if ref not in mail.drafts})
    there = [ref for ref in refs if ref in mail.drafts]
    if mail.deletes_for_good:
        calls = [BatchCall(MESSAGES_DELETE, {"id": ref}) for ref in there]
        there = await _delete(mail, course, there, calls)
        if there:
            mail.deletes_for_good = False
            await read_drafts(mail)
            course.missing |= {ref for ref in there if ref not in mail.drafts}
            there = [ref for ref in there if ref in mail.drafts]
    calls = [BatchCall(DRAFTS_DELETE, {"id": mail.drafts[ref]}) for ref in there]
    denied = await _delete(mail, course, there, calls)
    course.fail(denied, Denied("the login does not include deleting drafts"))
    mail.known.forget(course.done)
    return course


async def _delete(
    mail: Mail, course: Course, refs: Sequence[MessageRef], calls: Sequence[BatchCall]
) -> list[MessageRef]:
    """Delete by one call for each message, and note what became of them; return those for which that is not allowed."""
    denied: list[MessageRef] = []
    for ref, result in zip(refs, await mail.client.batch(calls, NoReply) if calls else (), strict=True):
        if isinstance(result, NoReply):
            course.done[ref] = None
            mail.drafts.pop(ref, None)
        elif is_gone(result):
            course.missing.add(ref)
        elif isinstance(result, Denied):
            denied.append(ref)
        else:
            course.failed[ref] = result
    return denied
