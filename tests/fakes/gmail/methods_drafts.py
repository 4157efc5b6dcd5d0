"""users.drafts. The draft's id stays; the message in it is another one after each change."""

from __future__ import annotations

from tests.fakes.gmail.calls import Call, Handler, Json
from tests.fakes.gmail.content import Content, with_crlf
from tests.fakes.gmail.errors import invalid
from tests.fakes.gmail.listing import MAX_RESULTS, Listing, page_of
from tests.fakes.gmail.methods_messages import asked_thread, found_draft, octets_of, sent
from tests.fakes.gmail.views import resource, short, with_labels


def handlers() -> dict[str, Handler]:
    """Return the handlers of this module by method id."""
    return {
        "gmail.users.drafts.list": list_drafts,
        "gmail.users.drafts.get": get,
        "gmail.users.drafts.create": create,
        "gmail.users.drafts.update": update,
        "gmail.users.drafts.delete": delete,
        "gmail.users.drafts.send": send,
    }


def list_drafts(call: Call) -> Json:
    """Answer a page of drafts, newest first, each with id and threadId of its message."""
    listing = Listing(("DRAFT",), call.query.get("q", ""), call.query["includeSpamTrash"])
    limit = min(call.query["maxResults"] or 100, MAX_RESULTS)
    page = page_of(call.mailbox, listing, limit, call.query.get("pageToken"), call.fake.clock.now())
    ids = {number: draft for draft, number in call.mailbox.drafts.items()}
    reply: Json = {"resultSizeEstimate": page.estimate}
    drafts = [{"id": ids[each.number], "message": short(each)} for each in page.messages if each.number in ids]
    if drafts:
        reply["drafts"] = drafts
    if page.token is not None:
        reply["nextPageToken"] = page.token
    return reply


def get(call: Call) -> Json:
    """Answer one draft."""
    message = found_draft(call.mailbox, call.path["id"])
    return {"id": call.path["id"], "message": resource(call.mailbox, message, call.query["format"])}


def create(call: Call) -> Json:
    """Make a draft. One without Message-ID is given one."""
    asked = call.body.get("message", {})
    raw = call.fake.stamped(Content(with_crlf(octets_of(call, asked))))
    draft = call.mailbox.add_draft(raw, asked_thread(call.mailbox, asked))
    return {"id": draft, "message": with_labels(call.mailbox, found_draft(call.mailbox, draft))}


def update(call: Call) -> Json:
    """Give a draft another content, and so another message id."""
    draft = call.path["id"]
    found_draft(call.mailbox, draft)
    asked = call.body.get("message", {})
    raw = call.fake.stamped(Content(with_crlf(octets_of(call, asked))))
    message = call.mailbox.revise_draft(draft, raw, asked_thread(call.mailbox, asked))
    return {"id": draft, "message": with_labels(call.mailbox, message)}


def delete(call: Call) -> None:
    """Delete a draft for good; it does not go to Trash."""
    call.mailbox.delete(found_draft(call.mailbox, call.path["id"]))


def send(call: Call) -> Json:
    """Send a draft: it goes, and a message with SENT comes under a new id."""
    if "id" not in call.body:
        raise invalid("Missing draft id")
    old = found_draft(call.mailbox, call.body["id"])
    asked = call.body.get("message", {})
    raw = octets_of(call, asked) if call.media is not None or "raw" in asked else old.content().raw
    message = sent(call, raw, old.thread)
    call.mailbox.delete(old)
    return with_labels(call.mailbox, message)
