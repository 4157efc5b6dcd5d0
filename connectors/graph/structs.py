"""What Microsoft Graph sends, decoded.

Unknown fields are ignored, and whatever a reply may leave out has a default: `$select` leaves out fields, a delta all
that did not change, and null is sent for what is not set. So None says of a field that nothing is known of it.
Source: the v1.0 metadata of Microsoft Graph.
"""

from __future__ import annotations

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class Entity(msgspec.Struct, frozen=True, rename="camel"):
    """Whatever is told of by fields in camel case."""


class NoReply(Entity, frozen=True):
    """What methods answer with that answer with nothing, or with what is of no interest."""


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a collection: with a `next_link` if there are more, the last one of a delta with a `delta_link`."""

    value: list[T]
    next_link: str | None = msgspec.field(default=None, name="@odata.nextLink")
    delta_link: str | None = msgspec.field(default=None, name="@odata.deltaLink")


# -- errors -----------------------------------------------------------------------------------------------------------


class InnerError(msgspec.Struct, frozen=True):
    """What Microsoft's support asks for."""

    request_id: str | None = msgspec.field(default=None, name="request-id")
    code: str | None = None


class GraphError(msgspec.Struct, frozen=True):
    """A refusal. Compare codes without regard to case."""

    code: str | None = None
    message: str | None = None
    inner_error: InnerError | None = msgspec.field(default=None, name="innerError")


class ErrorReply(msgspec.Struct, frozen=True):
    """The body of a refusal."""

    error: GraphError


# -- batches ----------------------------------------------------------------------------------------------------------


class BatchResponse(msgspec.Struct, frozen=True):
    """The reply to one request of a batch; they come in any order. A body that is no JSON is a string of base64."""

    id: str
    status: int
    headers: dict[str, str | int | float | None] | None = None
    body: msgspec.Raw = msgspec.Raw()


class BatchReply(msgspec.Struct, frozen=True):
    """The replies to the requests of a batch."""

    responses: list[BatchResponse]


# -- folders and messages ---------------------------------------------------------------------------------------------


class Removed(Entity, frozen=True):
    """Stands in a delta with what is gone from the folder, whatever the reason (`deleted`, `changed`)."""

    reason: str | None = None


class ExtendedProperty(Entity, frozen=True):
    """A MAPI property. Its id comes back in another spelling than it was asked for: `Integer 0xe08` for 0x0E08."""

    id: str
    value: str | None = None


class MailFolder(msgspec.Struct, frozen=True, rename="camel"):
    """A folder. The counts are of items of all types. `odata_type` tells search folders."""

    id: str
    display_name: str | None = None
    parent_folder_id: str | None = None
    child_folder_count: int | None = None
    total_item_count: int | None = None
    unread_item_count: int | None = None
    is_hidden: bool | None = None
    odata_type: str | None = msgspec.field(default=None, name="@odata.type")
    single_value_extended_properties: list[ExtendedProperty] | None = None


class Address(Entity, frozen=True):
    """A mail address, or whatever stands in its place: it need not hold an at sign."""

    name: str | None = None
    address: str | None = None


class Recipient(Entity, frozen=True):
    """Somebody whom a message is from or to."""

    email_address: Address | None = None


class FollowupFlag(Entity, frozen=True):
    """`notFlagged`, `flagged` or `complete`."""

    flag_status: str | None = None


class InternetMessageHeader(Entity, frozen=True):
    """One header field as it came over the Internet."""

    name: str | None = None
    value: str | None = None


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """A message, or what was selected of it; in a delta, what changed of it, or `removed` that it is gone."""

    id: str
    parent_folder_id: str | None = None
    change_key: str | None = None
    conversation_id: str | None = None
    is_read: bool | None = None
    is_draft: bool | None = None
    flag: FollowupFlag | None = None
    categories: list[str] | None = None
    received_date_time: datetime | None = None
    created_date_time: datetime | None = None
    sent_date_time: datetime | None = None
    internet_message_id: str | None = None
    subject: str | None = None
    from_: Recipient | None = msgspec.field(default=None, name="from")
    sender: Recipient | None = None
    to_recipients: list[Recipient] | None = None
    cc_recipients: list[Recipient] | None = None
    bcc_recipients: list[Recipient] | None = None
    reply_to: list[Recipient] | None = None
    has_attachments: bool | None = None
    internet_message_headers: list[InternetMessageHeader] | None = None
    single_value_extended_properties: list[ExtendedProperty] | None = None
    removed: Removed | None = msgspec.field(default=None, name="@removed")


class Attachment(Entity, frozen=True):
    """An attachment, without its content."""

    id: str
    name: str | None = None
    size: int | None = None


class UploadSession(Entity, frozen=True):
    """Where the ranges of an attachment go. `next_expected_ranges` are as `0-` or `4194304-8388607`."""

    upload_url: str | None = None
    next_expected_ranges: list[str] | None = None


# -- notifications ----------------------------------------------------------------------------------------------------


class Subscription(Entity, frozen=True):
    """What is told of changes, and until when."""

    id: str
    resource: str | None = None
    notification_url: str | None = None
    expiration_date_time: datetime | None = None


class Notification(Entity, frozen=True):
    """That something changed, or with a `lifecycle_event` that something is the matter with the subscription."""

    subscription_id: str
    client_state: str | None = None
    lifecycle_event: str | None = None


class Notifications(msgspec.Struct, frozen=True):
    """What Graph posts at once."""

    value: list[Notification]
