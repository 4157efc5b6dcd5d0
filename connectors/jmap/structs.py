"""What a JMAP server sends, decoded: the session, replies and the objects of mail (RFC 8620, RFC 8621, RFC 8887).

Unknown properties are ignored. A property that a request may leave out, or that servers are known to leave out, has a
default; one that may be null is `| None`, to be read as `x or ()`. Ids and states are opaque. Sizes are in octets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, TypeVar

import msgspec

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
QUOTA = "urn:ietf:params:jmap:quota"
WEBSOCKET = "urn:ietf:params:jmap:websocket"

T = TypeVar("T")


# -- session (RFC 8620 section 2) -------------------------------------------------------------------------------------


class Account(msgspec.Struct, frozen=True, rename="camel"):
    """An account that the login can see; `account_capabilities` maps a capability to its details for this account."""

    name: str | None = None
    is_personal: bool = True
    is_read_only: bool = False
    account_capabilities: dict[str, object] = msgspec.field(default_factory=dict)


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """The session document as sent: its URLs may be relative, and its templates may lack variables."""

    api_url: str
    download_url: str
    upload_url: str
    capabilities: dict[str, object] = msgspec.field(default_factory=dict)
    accounts: dict[str, Account] = msgspec.field(default_factory=dict)
    primary_accounts: dict[str, str | None] = msgspec.field(default_factory=dict)
    username: str | None = None
    event_source_url: str | None = None
    state: str | None = None


@dataclass(frozen=True, slots=True)
class CoreCapability:
    """The limits of the server. Each default is the minimum that RFC 8620 section 2 suggests."""

    max_size_upload: int = 50_000_000
    max_concurrent_upload: int = 4
    max_size_request: int = 10_000_000
    max_concurrent_requests: int = 4
    max_calls_in_request: int = 16
    max_objects_in_get: int = 500
    max_objects_in_set: int = 500


@dataclass(frozen=True, slots=True)
class MailCapability:
    """What the server offers for mail in one account (RFC 8621 section 1.3.1). None is: no limit, or none known."""

    max_mailboxes_per_email: int | None = None
    max_mailbox_depth: int | None = None
    max_size_mailbox_name: int | None = None
    max_size_attachments_per_email: int | None = None
    email_query_sort_options: frozenset[str] = frozenset()
    may_create_top_level_mailbox: bool = True


@dataclass(frozen=True, slots=True)
class WebSocketCapability:
    """Where the server takes JMAP over a WebSocket (RFC 8887 section 3)."""

    url: str
    supports_push: bool


def core_capability(details: object) -> CoreCapability:
    """Read the limits; one that is missing, no whole number, or not above zero is taken to be its default."""
    given = details if isinstance(details, Mapping) else {}
    default = CoreCapability()
    return CoreCapability(
        max_size_upload=_limit(given, "maxSizeUpload") or default.max_size_upload,
        max_concurrent_upload=_limit(given, "maxConcurrentUpload", "maxConcurrentUploads")
        or default.max_concurrent_upload,
        max_size_request=_limit(given, "maxSizeRequest") or default.max_size_request,
        # The example in RFC 8620 section 2.1 spells it without the s, and so do servers that followed it.
        max_concurrent_requests=_limit(given, "maxConcurrentRequests", "maxConcurrentRequest")
        or default.max_concurrent_requests,
        max_calls_in_request=_limit(given, "maxCallsInRequest") or default.max_calls_in_request,
        max_objects_in_get=_limit(given, "maxObjectsInGet") or default.max_objects_in_get,
        max_objects_in_set=_limit(given, "maxObjectsInSet") or default.max_objects_in_set,
    )


def mail_capability(details: object) -> MailCapability:
    """Read what is offered for mail in an account, leniently like `core_capability`."""
    given = details if isinstance(details, Mapping) else {}
    # Cyrus 3.6 still has the name from before RFC 8621.
    sort_options = given.get("emailQuerySortOptions", given.get("emailsListSortOptions"))
    may_create = given.get("mayCreateTopLevelMailbox", True)
    return MailCapability(
        max_mailboxes_per_email=_limit(given, "maxMailboxesPerEmail"),
        max_mailbox_depth=_limit(given, "maxMailboxDepth"),
        max_size_mailbox_name=_limit(given, "maxSizeMailboxName"),
        max_size_attachments_per_email=_limit(given, "maxSizeAttachmentsPerEmail"),
        email_query_sort_options=frozenset(option for option in sort_options if isinstance(option, str))
        if isinstance(sort_options, list)
        else frozenset(),
        may_create_top_level_mailbox=may_create is not False,
    )


def websocket_capability(details: object) -> WebSocketCapability | None:
    """Read where the WebSocket is; None if there is none."""
    given = details if isinstance(details, Mapping) else {}
    url = given.get("url")
    if not isinstance(url, str) or not url:
        return None
    return WebSocketCapability(url, given.get("supportsPush") is True)


def _limit(given: Mapping[str, object], *spellings: str) -> int | None:
    for name in spellings:
        value = given.get(name)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 0:
            return value
    return None


# -- replies (RFC 8620 sections 3.4, 5 and 6) -------------------------------------------------------------------------


class Response(msgspec.Struct, frozen=True, rename="camel"):
    """The answer to one request: (method name or "error", arguments, call id) per response."""

    method_responses: list[tuple[str, msgspec.Raw, str]]
    session_state: str | None = None


class Problem(msgspec.Struct, frozen=True, rename="camel"):
    """Why a whole request was refused (RFC 7807, RFC 8620 section 3.6.1)."""

    type: str = "about:blank"
    title: str | None = None
    detail: str | None = None
    status: int | None = None
    limit: str | None = None


class MethodError(msgspec.Struct, frozen=True, rename="camel"):
    """Why one method call was refused (RFC 8620 section 3.6.2)."""

    type: str = "serverFail"
    description: str | None = None
    arguments: object = None


class SetError(msgspec.Struct, frozen=True, rename="camel"):
    """Why one object was not created, changed or destroyed (RFC 8620 section 5.3, RFC 8621 sections 2.5, 4.6, 4.8)."""

    type: str = "serverFail"
    description: str | None = None
    properties: list[str] | None = None
    existing_id: str | None = None
    not_found: list[str] | None = None


class GetReply(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """Foo/get: `items` is the `list` of the reply."""

    state: str = ""
    items: list[T] = msgspec.field(name="list", default_factory=list)
    not_found: list[str] | None = None


class ChangesReply(msgspec.Struct, frozen=True, rename="camel"):
    """Foo/changes."""

    new_state: str
    old_state: str = ""
    has_more_changes: bool = False
    created: list[str] | None = None
    updated: list[str] | None = None
    destroyed: list[str] | None = None


class QueryReply(msgspec.Struct, frozen=True, rename="camel"):
    """Foo/query. `limit` is given where the server lowered what was asked."""

    ids: list[str]
    query_state: str = ""
    position: int = 0
    can_calculate_changes: bool = False
    total: int | None = None
    limit: int | None = None


class SetReply(msgspec.Struct, Generic[T], frozen=True, rename="camel"):
    """Foo/set, and Email/import and Email/copy, which only create. Each map is by creation id or object id."""

    new_state: str | None = None
    old_state: str | None = None
    created: dict[str, T | None] | None = None
    updated: dict[str, T | None] | None = None
    destroyed: list[str] | None = None
    not_created: dict[str, SetError] | None = None
    not_updated: dict[str, SetError] | None = None
    not_destroyed: dict[str, SetError] | None = None


class UploadReply(msgspec.Struct, frozen=True, rename="camel"):
    """What an upload is stored as (RFC 8620 section 6.1)."""

    blob_id: str
    size: int | None = None
    type: str | None = None


# -- mail (RFC 8621, RFC 9425) ----------------------------------------------------------------------------------------


class MailboxRights(msgspec.Struct, frozen=True, rename="camel"):
    """What may be done with a mailbox (RFC 8621 section 2). What is not said is tried: the server may refuse."""

    may_read_items: bool = True
    may_add_items: bool = True
    may_remove_items: bool = True
    may_set_seen: bool = True
    may_set_keywords: bool = True
    may_create_child: bool = True
    may_rename: bool = True
    may_delete: bool = True
    may_submit: bool = True


class Mailbox(msgspec.Struct, frozen=True, rename="camel"):
    """A mailbox, or the properties asked of it (RFC 8621 section 2)."""

    id: str
    name: str = ""
    parent_id: str | None = None
    role: str | None = None
    sort_order: int = 0
    total_emails: int | None = None
    unread_emails: int | None = None
    my_rights: MailboxRights | None = None
    is_subscribed: bool = True


class EmailHeader(msgspec.Struct, frozen=True, rename="camel"):
    """One header field in raw form: the value is what follows the colon, folding included."""

    name: str
    value: str


class Email(msgspec.Struct, frozen=True, rename="camel"):
    """A message, or the properties asked of it (RFC 8621 section 4); None is: not asked or not sent."""

    id: str
    blob_id: str | None = None
    thread_id: str | None = None
    mailbox_ids: dict[str, bool] | None = None
    keywords: dict[str, bool] | None = None
    size: int | None = None
    received_at: str | None = None
    headers: list[EmailHeader] | None = None

    def received(self) -> datetime | None:
        """Return `receivedAt`, aware, in UTC; None if it is missing or is no date that can be told."""
        if self.received_at is None:
            return None
        try:
            moment = datetime.fromisoformat(self.received_at)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            return None


class Quota(msgspec.Struct, frozen=True, rename="camel"):
    """How much of something is used (RFC 9425 section 4.1): `resource_type` is "octets" or "count"."""

    id: str
    resource_type: str = ""
    used: int = 0
    hard_limit: int | None = None
    scope: str = ""
    name: str = ""
    types: list[str] = msgspec.field(default_factory=list)


# -- push (RFC 8620 section 7.1, RFC 8887 section 4.3.5) --------------------------------------------------------------


class StateChange(msgspec.Struct, frozen=True, rename="camel"):
    """What has changed: the new state by type name, by account id. `push_state` comes over WebSockets only."""

    changed: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    push_state: str | None = None
