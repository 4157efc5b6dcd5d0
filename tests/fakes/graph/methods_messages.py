"""Messages: get, create from MIME or JSON, change, move, copy, delete, send, and their MIME."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from tests.fakes.graph import mapi
from tests.fakes.graph.calls import Call, Json, Reply
from tests.fakes.graph.content import Body, Content, Envelope, envelope_with
from tests.fakes.graph.errors import ApiError, cannot_delete, conflict, misuse, too_large
from tests.fakes.graph.listing import context, message_resource
from tests.fakes.graph.mailbox import flag_of, starts_as_draft
from tests.fakes.graph.methods_attachments import attachment_of
from tests.fakes.graph.odata import Expansion, parse_expand, parse_select
from tests.fakes.graph.rebuild import rebuilt
from tests.fakes.graph.records import Folder, Message

_ALWAYS: Final = frozenset({
    "isRead", "flag", "categories", "importance", "inferenceClassification", "toRecipients", "ccRecipients",
    "bccRecipients", "singleValueExtendedProperties",
})  # fmt: skip
_WHILE_DRAFT: Final = frozenset({
    "body", "subject", "replyTo", "internetMessageId", "from", "sender", "isDeliveryReceiptRequested",
    "isReadReceiptRequested",
})  # fmt: skip
_OF_CONTENT: Final = frozenset({
    "subject", "replyTo", "internetMessageId", "from", "sender", "isDeliveryReceiptRequested",
    "isReadReceiptRequested", "toRecipients", "ccRecipients", "bccRecipients",
})  # fmt: skip
# What Graph takes without a word at creation, and ignores.
_IGNORED: Final = frozenset({"receivedDateTime", "sentDateTime", "isDraft", "createdDateTime", "lastModifiedDateTime"})
_CREATED_WITH: Final = _ALWAYS | _WHILE_DRAFT | _IGNORED | {"attachments", "internetMessageHeaders"}
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/\r\n]*={0,2}[\r\n]*")


def get(call: Call) -> Reply:
    """Answer one message."""
    message = call.mailbox.message(call.ids["m"])
    if "f" in call.ids and call.mailbox.folder(call.ids["f"]) is not message.folder:
        raise ApiError(404, "ErrorItemNotFound", "The specified object was not found in the store.")
    checker = call.fake.checker
    names = parse_select(call.query["$select"], "Message", checker) if "$select" in call.query else None
    expansion = parse_expand(call.query["$expand"], "Message", checker) if "$expand" in call.query else Expansion()
    body = message_resource(call, message, names, expansion)
    return _entity(call, body, names=names)


def value(call: Call) -> Reply:
    """Answer the MIME of a message, which is made anew."""
    message = call.mailbox.message(call.ids["m"])
    mark = f"{message.number}"
    if call.mailbox.quirks.mime_varies:
        mark += f" {call.fake.next_nonce()}"
    return Reply(stream=rebuilt(message.content, message.received, mark), content_type="text/plain")


def value_in_folder(call: Call) -> Reply:
    """Refuse MIME below a folder, as Graph does though its pages say otherwise."""
    raise ApiError(400, "ErrorInvalidRequest", "The OData request is not supported.", is_misuse=True)


def create(call: Call) -> Reply:
    """Make a message: from MIME always a draft in Drafts, from JSON what its properties say."""
    folder = call.mailbox.folder(call.ids["f"]) if "f" in call.ids else call.mailbox.well_known["drafts"]
    if call.is_mime:
        if "f" in call.ids and not call.mailbox.quirks.mime_into_folders:
            raise misuse("UnableToDeserializePostBody", "MIME is posted to /messages, not to a folder.")
        message = create_from_mime(call, call.http.body)
    else:
        message = create_from_json(call, folder, call.body)
    return _entity(call, call.view.message(message, None), 201)


def create_from_mime(call: Call, data: bytes) -> Message:
    """Make a draft of MIME in base64. Raises ApiError (400, 413)."""
    if not _BASE64.fullmatch(data):
        raise misuse("ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.")
    try:
        raw = base64.b64decode(data, validate=False)
    except binascii.Error:
        raise misuse("ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.") from None
    if not raw.strip():
        raise misuse("ErrorMimeContentInvalid", "Invalid MIME content.")
    if len(raw) > call.fake.options.max_message_octets:
        raise too_large()
    content = with_message_id(call, Content.of_mime(raw))
    return call.mailbox.add(
        content, call.mailbox.well_known["drafts"], is_read=True, is_draft=True, has_transport=False
    )


def create_from_json(call: Call, folder: Folder, given: Json) -> Message:
    """Make a message of a resource. Raises ApiError (400)."""
    _check_writable(given, _CREATED_WITH)
    for header in given.get("internetMessageHeaders") or ():
        if not str(header.get("name", "")).lower().startswith("x-"):
            text = f"The internet message header name '{header.get('name')}' should start with 'x-' or 'X-'."
            raise misuse("InvalidInternetMessageHeader", text)
    properties = extended_given(given)
    is_draft = starts_as_draft(properties)
    flags = int(properties.get(mapi.MESSAGE_FLAGS, mapi.READ_BIT))
    now = call.fake.clock.now()
    body = body_of(call, given.get("body"))
    attachments = tuple(attachment_of(call, each) for each in given.get("attachments") or ())
    envelope = replace(
        envelope_with(Envelope(), given),
        sent=_time(properties.get(mapi.SUBMIT_TIME)),
        references=properties.get(mapi.REFERENCES, ""),
        in_reply_to=properties.get(mapi.IN_REPLY_TO, ""),
    )
    content = with_message_id(call, Content.built(envelope, replace(body, attachments=attachments)))
    if is_draft and content.envelope.author is None:
        own = (call.mailbox.name, call.mailbox.address)
        content = content.changed(replace(content.envelope, author=own, sender=own))
    return call.mailbox.add(
        content,
        folder,
        received=_time(properties.get(mapi.DELIVERY_TIME)) or now,
        is_read=bool(given.get("isRead", flags & mapi.READ_BIT)),
        is_draft=is_draft,
        has_transport=False,
        extended=properties,
        flag=flag_of(given.get("flag")),
        categories=_categories(given),
        importance=given.get("importance"),
        inference=given.get("inferenceClassification") or "focused",
    )


def patch(call: Call) -> Reply:
    """Change a message; what belongs to drafts alone is refused elsewhere."""
    message = call.mailbox.message(call.ids["m"])
    given = call.body
    _check_writable(given, _ALWAYS | _WHILE_DRAFT)
    if not message.is_draft and _WHILE_DRAFT & given.keys():
        raise ApiError(400, "ErrorInvalidPropertySet", "Message is not draft.")
    if call.fake.is_in_conflict():
        raise conflict()
    properties = extended_given(given)
    refused = mapi.COMPUTED & properties.keys()
    if refused:
        raise misuse("ErrorItemSavePropertyError", f"An attempt was made to set {', '.join(refused)}.")
    values = _new_values(call, message, given, properties)
    call.mailbox.change(message, given.keys() - {"@odata.type"}, **values)
    return _entity(call, call.view.message(message, None))


def _new_values(call: Call, message: Message, given: Json, properties: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    if given.get("isRead") is not None:
        values["is_read"] = given["isRead"]
    if "flag" in given:
        values["flag"] = flag_of(given["flag"])
    if "categories" in given:
        values["categories"] = _categories(given)
    if "importance" in given:
        values["importance"] = given["importance"]
    if given.get("inferenceClassification"):
        values["inference"] = given["inferenceClassification"]
    if properties:
        # Whether a message is a draft is settled when it is made.
        values["extended"] = (message.extended or {}) | dict(properties)
    content = message.content
    if given.keys() & _OF_CONTENT:
        content = content.changed(envelope_with(content.envelope, {name: given[name] for name in given}))
    if "body" in given:
        content = content.changed(body=replace(body_of(call, given["body"]), attachments=content.body.attachments))
    if content is not message.content:
        values["content"] = content
    return values


def move(call: Call) -> Reply:
    """Move a message."""
    message = call.mailbox.message(call.ids["m"])
    call.mailbox.move(message, call.mailbox.folder(call.body["destinationId"]))
    return _entity(call, call.view.message(message, None), 201)


def copy(call: Call) -> Reply:
    """Copy a message."""
    message = call.mailbox.message(call.ids["m"])
    made = call.mailbox.copy(message, call.mailbox.folder(call.body["destinationId"]))
    return _entity(call, call.view.message(made, None), 201)


def delete(call: Call) -> Reply:
    """Delete a message; it stays recoverable."""
    message = call.mailbox.to_delete(call.ids["m"], call.prefer.is_immutable)
    if message.folder is call.mailbox.deletions:
        raise cannot_delete()
    call.mailbox.delete(message)
    return Reply(204)


def permanent_delete(call: Call) -> Reply:
    """Delete a message for good."""
    call.mailbox.purge(call.mailbox.to_delete(call.ids["m"], call.prefer.is_immutable))
    return Reply(204)


def send(call: Call) -> Reply:
    """Send a draft: it goes to Sent Items and keeps its immutable id."""
    message = call.mailbox.message(call.ids["m"])
    if not message.is_draft:
        raise ApiError(400, "ErrorInvalidRequest", "The message is not a draft.")
    dispatch_mail(call, message.content)
    call.mailbox.change(message, {"isDraft"}, is_draft=False, is_read=True)
    call.mailbox.move(message, call.mailbox.well_known["sentitems"])
    return Reply(202)


def send_mail(call: Call) -> Reply:
    """Send a message from MIME or JSON; it is kept in Sent Items unless the JSON says otherwise."""
    if call.is_mime:
        draft = create_from_mime(call, call.http.body)
        is_kept = True
    else:
        draft = create_from_json(call, call.mailbox.well_known["drafts"], call.body["message"])
        is_kept = call.body.get("saveToSentItems", True)
    dispatch_mail(call, draft.content)
    call.mailbox.purge(draft)
    if is_kept:
        call.mailbox.add(draft.content, call.mailbox.well_known["sentitems"], is_read=True, has_transport=False)
    return Reply(202)


def dispatch_mail(call: Call, content: Content) -> None:
    """Hand a message over. Raises ApiError (400) if it has no recipients."""
    envelope = content.envelope
    if not (envelope.to or envelope.cc or envelope.bcc):
        raise ApiError(400, "ErrorInvalidRecipients", "At least one recipient isn't valid., There are no recipients.")
    call.fake.sent.append((call.mailbox.address, content))


def with_message_id(call: Call, content: Content) -> Content:
    """Return a content with a Message-ID, which Exchange gives to what has none."""
    if content.envelope.message_id:
        return content
    stamp = f"<FAKE{call.fake.next_nonce():010d}@namprd00.prod.outlook.com>"
    content.envelope = replace(content.envelope, message_id=stamp)
    return content


def extended_given(given: Json) -> dict[str, str]:
    """Return the extended properties of a request, by canonical id. Raises ApiError (400)."""
    found = {}
    for each in given.get("singleValueExtendedProperties") or ():
        if "id" not in each or not isinstance(each.get("value"), str):
            raise misuse("ErrorInvalidExtendedProperty", "An extended property has an id and a value, both text.")
        name = mapi.canonical(each["id"])
        found[name] = mapi.check_value(name, each["value"])
    return found


def body_of(call: Call, given: Json | None) -> Body:
    """Return the body of a request."""
    given = given or {}
    return Body("html" if given.get("contentType") == "html" else "text", given.get("content") or "")


def _categories(given: Json) -> tuple[str, ...]:
    names = given.get("categories") or ()
    return tuple(dict.fromkeys(names))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None


def _check_writable(given: Json, allowed: frozenset[str]) -> None:
    unknown = given.keys() - allowed - {"@odata.type"}
    if unknown:
        text = f"The property '{', '.join(sorted(unknown))}' is read-only and cannot be set."
        raise misuse("ErrorInvalidPropertySet", text)


def _entity(call: Call, body: Json, status: int = 200, names: tuple[str, ...] | None = None) -> Reply:
    shown = {"@odata.context": context(call, "messages", names) + "/$entity", **body}
    headers = {"Location": f"{call.root}/messages('{body['id']}')"} if status == 201 else {}
    return Reply(status, shown, "Message", headers=headers)
