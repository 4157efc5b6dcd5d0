"""users.messages: list, get, modify, batchModify, trash, delete, insert, import, send and their attachments."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from typing import Any, Final

from tests.fakes.gmail.calls import Call, Handler, Json
from tests.fakes.gmail.content import Content, find_part, part_data, url64, with_crlf
from tests.fakes.gmail.errors import ApiError, invalid, malformed, not_found
from tests.fakes.gmail.labels import PLACES, UNTOUCHABLE
from tests.fakes.gmail.listing import MAX_RESULTS, Listing, page_of
from tests.fakes.gmail.mailbox import Mailbox, Message, parse_id
from tests.fakes.gmail.options import METADATA_SCOPE
from tests.fakes.gmail.tokens import metadata_only, refuse_metadata
from tests.fakes.gmail.views import resource, short, with_labels

MAX_IDS: Final = 1000
MAX_LABELS: Final = 100
# Only the sender's copy keeps the field; it is looked for in the header alone, with its folded lines.
_BCC: Final = re.compile(rb"(?i)(?<=\n)Bcc:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*(?=(?:[^\r\n]+\r\n)*\r\n)")
# The harmless string every filter takes for unwanted mail (Generic Test for Unsolicited Bulk Email).
_GTUBE: Final = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


def handlers() -> dict[str, Handler]:
    """Return the handlers of this module by method id."""
    return {
        "gmail.users.messages.list": list_messages,
        "gmail.users.messages.get": get,
        "gmail.users.messages.modify": modify,
        "gmail.users.messages.batchModify": batch_modify,
        "gmail.users.messages.batchDelete": batch_delete,
        "gmail.users.messages.trash": trash,
        "gmail.users.messages.untrash": untrash,
        "gmail.users.messages.delete": delete,
        "gmail.users.messages.insert": insert,
        "gmail.users.messages.import": insert,
        "gmail.users.messages.send": send,
        "gmail.users.messages.attachments.get": attachment,
    }


def list_messages(call: Call) -> Json:
    """Answer a page of ids, newest first; without `messages` if there are none."""
    search = call.query.get("q", "")
    if search and metadata_only(call.grant, METADATA_SCOPE, call.method.scopes):
        raise refuse_metadata("'q' parameter")
    labels = tuple(call.query.get("labelIds", ()))
    for label in labels:
        if label not in call.mailbox.labels:
            raise invalid(f"Invalid label: {label}")
    listing = Listing(labels, search, call.query["includeSpamTrash"])
    limit = min(call.query["maxResults"] or 100, MAX_RESULTS)
    page = page_of(call.mailbox, listing, limit, call.query.get("pageToken"), call.fake.clock.now())
    reply: Json = {"resultSizeEstimate": page.estimate}
    if page.messages:
        reply["messages"] = [short(message) for message in page.messages]
    if page.token is not None:
        reply["nextPageToken"] = page.token
    return reply


def get(call: Call) -> Json:
    """Answer one message in the format asked for."""
    form = call.query["format"]
    if form in {"full", "raw"} and metadata_only(call.grant, METADATA_SCOPE, call.method.scopes):
        raise refuse_metadata(f"format {form.upper()}")
    message = call.mailbox.message(call.path["id"])
    return resource(call.mailbox, message, form, call.query.get("metadataHeaders"))


def modify(call: Call) -> Json:
    """Add and remove labels of one message."""
    add, remove = _asked_labels(call)
    message = call.mailbox.message(call.path["id"])
    _check_draft(call.mailbox, message, add)
    call.mailbox.relabel(message, add, remove)
    return with_labels(call.mailbox, message)


def batch_modify(call: Call) -> None:
    """Add and remove labels of up to 1,000 messages; ids that are not there are passed over."""
    add, remove = _asked_labels(call)
    messages = _messages(call)
    for message in messages:
        _check_draft(call.mailbox, message, add)
    for message in messages:
        call.mailbox.relabel(message, add, remove)


def batch_delete(call: Call) -> None:
    """Delete for good; nothing is said of ids that were not there."""
    for message in _messages(call):
        call.mailbox.delete(message)


def trash(call: Call) -> Json:
    """Move to Trash."""
    message = call.mailbox.message(call.path["id"])
    call.mailbox.relabel(message, frozenset({"TRASH"}), frozenset({"INBOX", "SPAM"}))
    return with_labels(call.mailbox, message)


def untrash(call: Call) -> Json:
    """Take out of Trash; the message does not return to INBOX by that."""
    message = call.mailbox.message(call.path["id"])
    call.mailbox.relabel(message, frozenset(), frozenset({"TRASH"}))
    return with_labels(call.mailbox, message)


def delete(call: Call) -> None:
    """Delete for good."""
    call.mailbox.delete(call.mailbox.message(call.path["id"]))


def insert(call: Call) -> Json:
    """Store a message (insert, import). One whose Message-ID is there already stays, and gets the labels."""
    raw = octets_of(call, call.body)
    labels = frozenset(call.body.get("labelIds", ()))
    _check_labels(call.mailbox, labels - {"SENT"})
    content = Content(raw)
    if call.query["deleted"]:
        raise ApiError(403, "forbidden", "The 'deleted' parameter is for Google Workspace accounts only.")
    if call.method.id.endswith("import") and not call.query["neverMarkSpam"] and _GTUBE in raw:
        labels = labels - {"INBOX"} | {"SPAM"}
    known = call.mailbox.with_message_id(content.message_id) if content.message_id else []
    known = [message for message in known if "DRAFT" not in message.labels]
    if known and call.mailbox.quirks.deduplicates:
        return with_labels(call.mailbox, _merged(call.mailbox, known[0], labels))
    date: datetime | None = content.date() if call.query["internalDateSource"] == "dateHeader" else None
    thread = asked_thread(call.mailbox, call.body)
    return with_labels(call.mailbox, call.mailbox.add(raw, labels, date=date, thread=thread))


def send(call: Call) -> Json:
    """Send a message: what is stored has SENT, and SENT and INBOX where the user writes to themselves."""
    raw = octets_of(call, call.body)
    return with_labels(call.mailbox, sent(call, raw, asked_thread(call.mailbox, call.body)))


def attachment(call: Call) -> Json:
    """Answer the octets of one part."""
    message = call.mailbox.message(call.path["messageId"])
    part = find_part(message.content().mime, call.path["id"])
    if part is None:
        raise invalid("Invalid attachment token")
    data = part_data(part)
    return {"size": len(data), "data": url64(data)}


def sent(call: Call, raw: bytes, thread: int | None) -> Message:
    """Store what was sent and deliver it to those who are here. Raises ApiError (400) without recipients."""
    content = Content(with_crlf(raw))
    recipients = " ".join(value for name, value in content.fields if name.lower() in {"to", "cc", "bcc"}).lower()
    if "@" not in recipients:
        raise invalid("Recipient address required")
    labels = frozenset({"SENT"})
    if call.mailbox.address.lower() in recipients:
        labels |= {"INBOX", "UNREAD"}
    message = call.mailbox.add(call.fake.stamped(content), labels, thread=thread)
    for address, other in call.fake.mailboxes.items():
        if other is not call.mailbox and address.lower() in recipients:
            other.add(_BCC.sub(b"", message.content().raw, count=1), frozenset({"INBOX", "UNREAD"}))
    return message


def octets_of(call: Call, message: Json) -> bytes:
    """Return the message a call brings, as media or as `raw`. Raises ApiError (400) if there is none."""
    if call.media is not None:
        if "raw" in message:
            raise malformed("Both media and 'raw' are given.")
        raw = call.media
    else:
        raw = _decode(message.get("raw", ""))
    if not raw:
        raise invalid("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
    return raw


def asked_thread(mailbox: Mailbox, message: Json) -> int | None:
    """Return the thread a message is to join, if one is named. Raises ApiError (400, 404)."""
    if "threadId" not in message:
        return None
    number = parse_id(message["threadId"])
    mailbox.thread(message["threadId"])
    return number


def _merged(mailbox: Mailbox, message: Message, labels: frozenset[str]) -> Message:
    revived = frozenset({"TRASH"}) if "TRASH" not in labels else frozenset()
    mailbox.relabel(message, labels, revived)
    return message


def _asked_labels(call: Call) -> tuple[frozenset[str], frozenset[str]]:
    add = frozenset(call.body.get("addLabelIds", ()))
    remove = frozenset(call.body.get("removeLabelIds", ()))
    if not add and not remove:
        raise invalid("No label add or removes specified")
    if max(len(add), len(remove)) > MAX_LABELS:
        raise malformed(f"At most {MAX_LABELS} labels can be added or removed in one request")
    if add & remove:
        raise invalid("Cannot both add and remove the same label")
    if len(add & PLACES) > 1:
        raise invalid("Can only add one of: INBOX, SPAM, TRASH")
    _check_labels(call.mailbox, add | remove)
    return add, remove


def _check_labels(mailbox: Mailbox, labels: frozenset[str]) -> None:
    for label in sorted(labels):
        if label in UNTOUCHABLE:
            raise invalid(f"Invalid label: {label}")
        if label not in mailbox.labels:
            raise invalid("labelId not found")


def _check_draft(mailbox: Mailbox, message: Message, add: frozenset[str]) -> None:
    # A draft has no label but DRAFT (guide "Drafts"); it can be thrown away.
    if "DRAFT" in message.labels and add - {"TRASH"} and not mailbox.quirks.drafts_take_labels:
        raise invalid("Cannot add labels to drafts")


def _messages(call: Call) -> list[Message]:
    ids: list[Any] = call.body.get("ids", [])
    if not ids:
        raise invalid("No message ids specified")
    if len(ids) > MAX_IDS:
        raise malformed(f"Too many message ids: at most {MAX_IDS} are taken")
    numbers = dict.fromkeys(parse_id(each) for each in ids)
    return [call.mailbox.messages[number] for number in numbers if number in call.mailbox.messages]


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise malformed("Invalid value at 'message.raw' (TYPE_BYTES), Base64 decoding failed") from None


def found_draft(mailbox: Mailbox, draft: str) -> Message:
    """Return the message of a draft. Raises ApiError (404)."""
    number = mailbox.drafts.get(draft)
    if number is None:
        raise not_found()
    return mailbox.messages[number]
