"""Attachments: list, get, their octets, add, delete, and the sessions by which large ones are uploaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.fakes.graph.calls import Call, Json, Reply
from tests.fakes.graph.content import Attachment, Body, Envelope, attachment_from, envelope_with
from tests.fakes.graph.errors import ApiError, malformed_id, misuse, not_found, too_large
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.odata import parse_expand, parse_select
from tests.fakes.graph.rebuild import generated
from tests.fakes.graph.records import Message, iso, to_ms

SMALLEST_UPLOAD = 3 * 1024 * 1024
LARGEST_UPLOAD = 150 * 1024 * 1024


def attachment_of(call: Call, given: Json) -> Attachment:
    """Return what a resource in a request says; a message in it becomes MIME. Raises ApiError (400)."""
    now = call.fake.clock.now()
    match given.get("@odata.type"):
        case "#microsoft.graph.fileAttachment":
            if not given.get("name"):
                raise misuse("ErrorInvalidRequest", "An attachment has a name.")
            return attachment_from(given, now)
        case "#microsoft.graph.itemAttachment":
            item = given.get("item") or {}
            if item.get("@odata.type") != "#microsoft.graph.message":
                raise misuse("UnableToDeserializePostBody", "were unable to deserialize item: it has no @odata.type")
            body = item.get("body") or {}
            inner = Body(
                "html" if body.get("contentType") == "html" else "text",
                body.get("content") or "",
                tuple(attachment_of(call, each) for each in item.get("attachments") or ()),
            )
            data = generated(envelope_with(Envelope(), item), inner, now, f"item {given.get('name')}")
            return Attachment("item", given.get("name") or "", "message/rfc822", data, modified=now)
        case other:
            raise misuse("UnableToDeserializePostBody", f"were unable to deserialize an attachment of type {other}")


def list_all(call: Call) -> Reply:
    """Answer the attachments of a message."""
    message = call.mailbox.message(call.ids["m"])
    names, expands_item = _asked(call)
    count = len(message.content.body.attachments)
    found = [_resource(call, message, place, names, expands_item) for place in range(count)]
    body = {"@odata.context": _context(call), "value": found}
    return Reply(body=body, type_name="Attachment", is_collection=True)


def get(call: Call) -> Reply:
    """Answer one attachment."""
    message, place = _find(call)
    names, expands_item = _asked(call)
    body = {"@odata.context": _context(call) + "/$entity", **_resource(call, message, place, names, expands_item)}
    return Reply(body=body, type_name="Attachment")


def value(call: Call) -> Reply:
    """Answer the octets of a file, or the MIME of a message."""
    message, place = _find(call)
    found = message.content.body.attachments[place]
    return Reply(stream=found.data, content_type="text/plain" if found.kind == "item" else found.content_type)


def create(call: Call) -> Reply:
    """Add an attachment, small enough for a request."""
    message = call.mailbox.message(call.ids["m"])
    place = add(call.mailbox, message, attachment_of(call, call.body))
    body = {
        "@odata.context": _context(call) + "/$entity",
        **call.view.attachment(message, place, None, with_content=True),
    }
    return Reply(201, body, "Attachment")


def add(mailbox: Mailbox, message: Message, attachment: Attachment) -> int:
    """Put an attachment on a message; return its place."""
    body = message.content.body
    attachments = (*body.attachments, attachment)
    content = message.content.changed(body=replace(body, attachments=attachments))
    mailbox.change(message, {"hasAttachments", "attachments"}, content=content)
    return len(attachments) - 1


def delete(call: Call) -> Reply:
    """Take an attachment off a message."""
    message, place = _find(call)
    body = message.content.body
    kept = tuple(each for number, each in enumerate(body.attachments) if number != place)
    content = message.content.changed(body=replace(body, attachments=kept))
    call.mailbox.change(message, {"hasAttachments", "attachments"}, content=content)
    return Reply(204)


def create_session(call: Call) -> Reply:
    """Begin an upload. Below 3 MB that is refused."""
    message = call.mailbox.message(call.ids["m"])
    item = call.body["AttachmentItem"]
    if item.get("attachmentType") != "file" or not item.get("name") or not isinstance(item.get("size"), int):
        raise misuse("ErrorInvalidRequest", "An AttachmentItem has attachmentType file, a name and a size.")
    if call.mailbox.address != call.grant.user and not call.grant.is_app:
        raise ApiError(403, "ErrorAccessDenied", "Upload sessions do not work in a shared mailbox.")
    if item["size"] < SMALLEST_UPLOAD:
        text = "Attachment size must be greater than the minimum size."
        raise misuse("ErrorAttachmentSizeShouldNotBeLessThanMinimumSize", text)
    if item["size"] > LARGEST_UPLOAD:
        raise too_large()
    session = call.fake.uploads.start(call.mailbox, message, item, call.http.origin)
    body: dict[str, Any] = {
        "@odata.context": f"{call.http.origin}/v1.0/$metadata#microsoft.graph.uploadSession",
        "uploadUrl": session.url,
        "expirationDateTime": iso(to_ms(session.expires)),
        "nextExpectedRanges": ["0-"],
    }
    return Reply(201, body, "UploadSession")


def _find(call: Call) -> tuple[Message, int]:
    message = call.mailbox.message(call.ids["m"])
    said = call.mailbox.ids.read_attachment(call.ids["a"])
    if said is None:
        raise malformed_id()
    number, place = said
    if number != message.number or place >= len(message.content.body.attachments):
        raise not_found()
    return message, place


def _asked(call: Call) -> tuple[tuple[str, ...] | None, bool]:
    checker = call.fake.checker
    names = parse_select(call.query["$select"], "Attachment", checker) if "$select" in call.query else None
    has_item = "$expand" in call.query and parse_expand(call.query["$expand"], "Attachment", checker).has_item
    return names, has_item


def _resource(call: Call, message: Message, place: int, names: tuple[str, ...] | None, expands_item: bool) -> Json:
    found = call.view.attachment(message, place, names, with_content=names is None or "contentBytes" in names)
    if expands_item and message.content.body.attachments[place].kind == "item":
        found["item"] = call.view.item(message, place)
    return found


def _context(call: Call) -> str:
    return f"{call.http.origin}/v1.0/$metadata#users('{call.mailbox.address}')/messages('x')/attachments"
