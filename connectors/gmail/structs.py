"""What the Gmail API and Pub/Sub send, decoded.

Unknown fields are ignored, and what a reply may leave out has a default: Google leaves out whatever is empty. 64-bit
integers come as strings. Ids are opaque, but that those of messages and threads are hexadecimal numbers of 64 bits.
Source: the discovery documents gmail.v1 and pubsub.v1.
"""

from __future__ import annotations

import base64
import binascii
import io
from datetime import UTC, datetime, timedelta

import msgspec

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class NoReply(msgspec.Struct, frozen=True, rename="camel"):
    """What methods answer with that answer with nothing."""


class Profile(msgspec.Struct, frozen=True, rename="camel"):
    """The mailbox as such. `history_id` is the newest position in its history."""

    email_address: str = ""
    history_id: str = ""
    messages_total: int = 0
    threads_total: int = 0


# -- messages ---------------------------------------------------------------------------------------------------------


class Header(msgspec.Struct, frozen=True, rename="camel"):
    """One header field, unfolded by Google."""

    name: str = ""
    value: str = ""


class MessagePart(msgspec.Struct, frozen=True, rename="camel"):
    """The top of a message as Google has parsed it; given with the formats `metadata` and `full` only."""

    headers: list[Header] = []
    mime_type: str = ""


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """A message, of which each format of messages.get gives other fields, and messages.list id and thread id only.

    `label_ids` are absent if the message has no label, and often where it stands in history. `internal_date` is in
    milliseconds since 1970. `size_estimate` is an estimate: it must not be taken for the size. `raw` is base64url.
    """

    id: str
    thread_id: str = ""
    label_ids: list[str] | None = None
    history_id: str = ""
    internal_date: str | int | None = None
    size_estimate: int | None = None
    raw: str | None = None
    payload: MessagePart | None = None

    @property
    def labels(self) -> frozenset[str]:
        """The labels; none if the reply does not tell of any."""
        return frozenset(self.label_ids or ())

    @property
    def received(self) -> datetime | None:
        """The internal date, to the millisecond; None if it was not given or is no date."""
        try:
            return _EPOCH + timedelta(milliseconds=int(self.internal_date)) if self.internal_date is not None else None
        except (ValueError, OverflowError):
            return None

    def octets(self) -> bytes:
        """Return the message itself, from `raw`.

        Raises:
            ValueError: it was not given, or is no base64url.
        """
        if self.raw is None:
            raise ValueError("the message came without its octets")
        return decode_base64url(self.raw)


class MessageList(msgspec.Struct, frozen=True, rename="camel"):
    """One page of messages.list, newest first. The last has no `next_page_token`."""

    messages: list[Message] = []
    next_page_token: str | None = None
    result_size_estimate: int = 0


class Draft(msgspec.Struct, frozen=True, rename="camel"):
    """A draft: its id stays, the id of its message changes with each edit."""

    id: str
    message: Message | None = None


class DraftList(msgspec.Struct, frozen=True, rename="camel"):
    """One page of drafts.list; the messages have id and thread id only."""

    drafts: list[Draft] = []
    next_page_token: str | None = None


# -- labels and settings ----------------------------------------------------------------------------------------------


class Label(msgspec.Struct, frozen=True, rename="camel"):
    """A label. `type` is `system` or `user`; labels.list tells no counts."""

    id: str
    name: str = ""
    type: str = "user"
    label_list_visibility: str = "labelShow"
    message_list_visibility: str = "show"
    messages_total: int | None = None
    messages_unread: int | None = None


class LabelList(msgspec.Struct, frozen=True, rename="camel"):
    """All labels of the mailbox."""

    labels: list[Label] = []


class ImapSettings(msgspec.Struct, frozen=True, rename="camel"):
    """What the user has chosen for Gmail's own IMAP; `expunge_behavior` is `archive`, `trash` or `deleteForever`."""

    enabled: bool = False
    auto_expunge: bool = False
    expunge_behavior: str = ""
    max_folder_size: int = 0


# -- history ----------------------------------------------------------------------------------------------------------


class MessageChange(msgspec.Struct, frozen=True, rename="camel"):
    """A message that was added, or deleted for good."""

    message: Message


class LabelChange(msgspec.Struct, frozen=True, rename="camel"):
    """Labels that a message was given, or lost."""

    message: Message
    label_ids: list[str] = []


class History(msgspec.Struct, frozen=True, rename="camel"):
    """One record. It also has `messages`, which says nothing that the four lists do not say, and is not read."""

    id: str = ""
    messages_added: list[MessageChange] = []
    messages_deleted: list[MessageChange] = []
    labels_added: list[LabelChange] = []
    labels_removed: list[LabelChange] = []


class HistoryList(msgspec.Struct, frozen=True, rename="camel"):
    """One page of history, oldest first; it may be empty and not the last. `history_id` is the newest position."""

    history: list[History] = []
    next_page_token: str | None = None
    history_id: str = ""


# -- push -------------------------------------------------------------------------------------------------------------


class WatchReply(msgspec.Struct, frozen=True, rename="camel"):
    """What watch answers with. `expiration` is in milliseconds since 1970."""

    history_id: str = ""
    expiration: str | int = 0


class PubsubMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message of Pub/Sub; `data` is base64 of what Gmail has published, `publish_time` is RFC 3339."""

    data: str = ""
    message_id: str = ""
    publish_time: str = ""


class ReceivedMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message handed out, to be acknowledged by `ack_id`."""

    ack_id: str
    message: PubsubMessage = PubsubMessage()


class PullReply(msgspec.Struct, frozen=True, rename="camel"):
    """What a pull brought, nothing perhaps."""

    received_messages: list[ReceivedMessage] = []


class Notification(msgspec.Struct, frozen=True, rename="camel"):
    """What Gmail publishes: the mailbox of that address has come to that position, a number or a string of digits."""

    email_address: str
    history_id: str | int = ""


# -- errors -----------------------------------------------------------------------------------------------------------


class ErrorItem(msgspec.Struct, frozen=True, rename="camel"):
    """One of the reasons of a refusal."""

    reason: str = ""
    message: str = ""
    domain: str = ""


class ErrorBody(msgspec.Struct, frozen=True, rename="camel"):
    """A refusal. `status` is the name of a gRPC status, given by newer servers."""

    code: int = 0
    message: str = ""
    errors: list[ErrorItem] = []
    status: str = ""
    details: list[dict[str, object]] = []


class ErrorReply(msgspec.Struct, frozen=True, rename="camel"):
    """What comes with a status of 4xx or 5xx."""

    error: ErrorBody


def decode_base64url(text: str) -> bytes:
    """Return what base64url stands for, with or without its padding (RFC 4648 section 5).

    The alphabet of plain base64 is taken too.

    Raises:
        ValueError: it is none.
    """
    decoded = io.BytesIO()
    # In pieces, as each step over the whole would hold a large message once more.
    for start in range(0, len(text), _PIECE):
        data = text[start : start + _PIECE].encode("ascii").translate(_TO_PLAIN)
        if start + _PIECE < len(text) and data.endswith(b"="):
            raise ValueError("not base64url: padding before the end")
        try:
            decoded.write(binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True))
        except binascii.Error as exc:
            raise ValueError(f"not base64url: {exc}") from exc
    return decoded.getvalue()


def encode_base64url(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).decode("ascii").rstrip("=")


_PIECE = 64 * 1024
"""Characters of base64 that are decoded at once; four stand for three octets."""

_TO_PLAIN = bytes.maketrans(b"-_", b"+/")
