"""Folders, messages and attachments as the resources Graph answers with."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from tests.fakes.graph import mapi
from tests.fakes.graph.content import Attachment, Content, recipient
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.records import Folder, Message, iso, to_ms

Json = dict[str, Any]
_SIZE_OVERHEAD: Final = 2048
_TABLE_ONLY: Final = frozenset({"internetMessageHeaders", "uniqueBody"})


@dataclass(frozen=True, slots=True)
class View:
    """How a client wants it. `text_bodies`: bodies as text, not as HTML."""

    mailbox: Mailbox
    is_immutable: bool
    text_bodies: bool = False

    def message_id(self, message: Message) -> str:
        """Return the id in the form that is wanted."""
        ids = self.mailbox.ids
        if self.is_immutable:
            return ids.message(message.number)
        return ids.classic(message.number, message.folder.number, message.moves)

    def message(self, message: Message, names: Iterable[str] | None) -> Json:
        """Return a `message` with the properties named, or with all that come unasked."""
        found: Json = {"@odata.type": message.odata_type} if message.odata_type != "#microsoft.graph.message" else {}
        found["@odata.etag"] = f'W/"{change_key(message.change)}"'
        found["id"] = self.message_id(message)
        for name in names if names is not None else DEFAULT:
            if name != "id":
                found[name] = GETTERS[name](self, message)
        return found

    def folder(self, folder: Folder, names: Iterable[str] | None) -> Json:
        """Return a `mailFolder`."""
        total, unread = self.mailbox.count(folder)
        everything: Json = {
            "id": self.mailbox.ids.folder(folder.number),
            "displayName": folder.name,
            "parentFolderId": self.mailbox.ids.folder(folder.parent.number if folder.parent else folder.number),
            "childFolderCount": sum(not child.is_hidden for child in folder.children.values()),
            "unreadItemCount": unread,
            "totalItemCount": total,
            "isHidden": folder.is_hidden,
        }
        if folder.search_query is not None:
            everything |= {
                "isSupported": True,
                "includeNestedFolders": True,
                "sourceFolderIds": [self.mailbox.ids.folder(self.mailbox.root.number)],
                "filterQuery": folder.search_query,
            }
        chosen = (
            everything
            if names is None
            else {"id": everything["id"]} | {name: everything[name] for name in names if name in everything}
        )
        return chosen if folder.search_query is None else {"@odata.type": "#microsoft.graph.mailSearchFolder"} | chosen

    def attachment(self, message: Message, place: int, names: Iterable[str] | None, *, with_content: bool) -> Json:
        """Return an `attachment`; its content only if it is asked for by itself or not left out by a selection."""
        attachment = message.content.body.attachments[place]
        found: Json = {
            "@odata.type": f"#microsoft.graph.{attachment.kind}Attachment",
            "id": self.mailbox.ids.attachment(message.number, place),
            "lastModifiedDateTime": iso(
                message.created_ms if attachment.modified is None else to_ms(attachment.modified)
            ),
            "name": attachment.name,
            "contentType": attachment.content_type if attachment.kind == "file" else None,
            "size": size_of(attachment),
            "isInline": attachment.is_inline,
        }
        if attachment.kind == "file":
            found["contentId"] = attachment.content_id
            found["contentLocation"] = attachment.content_location
            if with_content:
                found["contentBytes"] = base64.b64encode(attachment.data).decode()
        if names is None:
            return found
        kept = {"@odata.type", "id", *names}
        return {name: value for name, value in found.items() if name in kept}

    def item(self, message: Message, place: int) -> Json:
        """Return the message in an attachment, as `$expand=microsoft.graph.itemAttachment/item` gives it."""
        inner = Content.of_mime(message.content.body.attachments[place].data)
        now = message.received_ms
        nested = Message(message.number, message.folder, inner, now, now, now, message.change, is_read=True)
        skipped = {"parentFolderId", "changeKey", "webLink", "conversationId", "conversationIndex"}
        shown = [name for name in DEFAULT if name not in skipped]
        return {"@odata.type": "#microsoft.graph.message"} | {
            name: value for name, value in self.message(nested, shown).items() if not name.startswith("@odata.etag")
        }


def size_of(attachment: Attachment) -> int:
    """Return the size Graph tells of an attachment, which is more than that of its octets."""
    return len(attachment.data) + 300


def change_key(change: int) -> str:
    """Return the changeKey of a state."""
    return base64.b64encode(b"\x09\0\0\0\x16\0\0\0" + (change * 7919).to_bytes(12, "big")).decode()


def conversation_id(message: Message) -> str:
    """Return the conversation, which a reply shares with what it answers."""
    envelope = message.content.envelope
    first = (envelope.references.split() or [envelope.in_reply_to or envelope.message_id])[0]
    digest = hashlib.blake2b(first.encode("utf-8", "replace"), digest_size=48).digest()
    return "AAQk" + base64.urlsafe_b64encode(digest).decode()


def _body(view: View, message: Message) -> Json:
    body = message.content.body
    if view.text_bodies:
        return {"contentType": "text", "content": body.as_text()}
    return {"contentType": "html", "content": body.as_html()}


def _headers(view: View, message: Message) -> list[Json] | None:
    block = transport_headers(message)
    if block is not None:
        envelope = Content.of_mime(block.encode("utf-8", "replace") + b"\r\n\r\n").envelope
        return [{"name": name, "value": value} for name, value in envelope.fields()]
    custom = message.content.envelope.custom
    return [{"name": name, "value": value} for name, value in custom] if custom else None


def _conversation_index(view: View, message: Message) -> str:
    return base64.b64encode(
        b"\x01" + hashlib.blake2b(conversation_id(message).encode(), digest_size=21).digest()
    ).decode()


GETTERS: Final[Mapping[str, Callable[[View, Message], Any]]] = {
    "id": lambda view, message: view.message_id(message),
    "createdDateTime": lambda _, message: iso(message.created_ms),
    "lastModifiedDateTime": lambda _, message: iso(message.modified_ms),
    "changeKey": lambda _, message: change_key(message.change),
    "categories": lambda _, message: list(message.categories),
    "receivedDateTime": lambda _, message: iso(message.received_ms),
    "sentDateTime": lambda _, message: iso(sent_ms(message)),
    "hasAttachments": lambda _, message: any(not each.is_inline for each in message.content.body.attachments),
    "internetMessageId": lambda _, message: message.content.envelope.message_id or None,
    "subject": lambda _, message: message.content.envelope.subject,
    "bodyPreview": lambda _, message: message.content.body.preview(),
    "importance": lambda _, message: message.importance or message.content.envelope.importance,
    "parentFolderId": lambda view, message: view.mailbox.ids.folder(message.folder.number),
    "conversationId": lambda _, message: conversation_id(message),
    "conversationIndex": _conversation_index,
    "isDeliveryReceiptRequested": lambda _, message: message.content.envelope.wants_delivery_receipt,
    "isReadReceiptRequested": lambda _, message: message.content.envelope.wants_receipt,
    "isRead": lambda _, message: message.is_read,
    "isDraft": lambda _, message: message.is_draft,
    "webLink": lambda view, message: f"https://outlook.office365.com/owa/?ItemID={quote(view.message_id(message))}",
    "inferenceClassification": lambda _, message: message.inference,
    "body": _body,
    "sender": lambda _, message: recipient(message.content.envelope.sender or message.content.envelope.author),
    "from": lambda _, message: recipient(message.content.envelope.author or message.content.envelope.sender),
    "toRecipients": lambda _, message: [recipient(each) for each in message.content.envelope.to],
    "ccRecipients": lambda _, message: [recipient(each) for each in message.content.envelope.cc],
    "bccRecipients": lambda _, message: [recipient(each) for each in message.content.envelope.bcc],
    "replyTo": lambda _, message: [recipient(each) for each in message.content.envelope.reply_to],
    "flag": lambda _, message: message.flag,
    "internetMessageHeaders": _headers,
    "uniqueBody": _body,
}
DEFAULT: Final = tuple(name for name in GETTERS if name not in _TABLE_ONLY)


def sent_ms(message: Message) -> int:
    """Return when the message was sent, in ms; when it was received if it does not say."""
    sent = message.content.envelope.sent
    return message.received_ms if sent is None else to_ms(sent)


def transport_headers(message: Message) -> str | None:
    """Return 0x007D: the header as it was delivered; None for what never went through transport."""
    told = (message.extended or {}).get(mapi.TRANSPORT_HEADERS)
    if told is not None:
        return told
    block = message.content.envelope.header_block()
    return block + "\r\n" if block and message.has_transport and not message.is_draft else None


def extended(message: Message, name: str) -> str | None:
    """Return the value of an extended property; None where it is not set."""
    envelope = message.content.envelope
    own = (message.extended or {}).get(name)
    match name:
        case mapi.MESSAGE_FLAGS:
            kept = int(own or 0) & ~(mapi.READ_BIT | mapi.UNSENT_BIT)
            return str(kept | mapi.READ_BIT * message.is_read | mapi.UNSENT_BIT * message.is_draft)
        case mapi.SIZE | mapi.LONG_SIZE:
            return str((message.content.octets or len(message.content.body.text)) + _SIZE_OVERHEAD)
        case mapi.ARTICLE:
            return str(message.change)
        case mapi.DELIVERY_TIME:
            return iso(message.received_ms)
        case mapi.SUBMIT_TIME:
            return iso(sent_ms(message))
        case mapi.TRANSPORT_HEADERS:
            return transport_headers(message)
        case mapi.INTERNET_MESSAGE_ID:
            return envelope.message_id or None
        case mapi.REFERENCES:
            return envelope.references or None
        case mapi.IN_REPLY_TO:
            return envelope.in_reply_to or None
        case mapi.MESSAGE_CLASS:
            return own or "IPM.Note"
        case mapi.FLAG_STATUS:
            return {"complete": "1", "flagged": "2"}.get(message.flag["flagStatus"])
    return own


def folder_extended(mailbox: Mailbox, folder: Folder, name: str) -> str | None:
    """Return the value of a folder's extended property; None where it is not set."""
    match name:
        case mapi.FOLDER_CLASS:
            return folder.folder_class
        case mapi.COMMIT_TIME:
            newest = mailbox.messages.get(folder.journal[-1].number) if folder.journal else None
            return iso(newest.modified_ms) if newest is not None else None
        case mapi.NEXT_ARTICLE:
            return str(folder.newest + 1)
    return folder.extended.get(name)
