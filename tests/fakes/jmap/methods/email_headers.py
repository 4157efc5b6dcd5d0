"""The header of a message as Email properties (RFC 8621 sections 4.1.2 and 4.1.3)."""

from __future__ import annotations

import email.policy
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.headerregistry import AddressHeader
from email.utils import getaddresses, parsedate_to_datetime
from typing import cast

from tests.fakes.jmap.content import MESSAGE_ID, Content, decoded_text, raw_text

HEADER_PROPERTY = re.compile(r"header:([!-9;-~]+?)(?::as([A-Za-z]+))?(:all)?")
URL = re.compile(rb"<([^<>]*)>")

ADDRESS_FIELDS = frozenset(
    {"from", "sender", "reply-to", "to", "cc", "bcc"}
    | {f"resent-{name}" for name in ("from", "sender", "reply-to", "to", "cc", "bcc")}
)
TEXT_FIELDS = frozenset({"subject", "comments", "keywords", "list-id"})
ID_FIELDS = frozenset({"message-id", "in-reply-to", "references", "resent-message-id"})
DATE_FIELDS = frozenset({"date", "resent-date"})
URL_FIELDS = frozenset(
    {"list-help", "list-unsubscribe", "list-subscribe", "list-post", "list-owner", "list-archive"},
)
# Fields that RFC 5322 and RFC 2369 define may be had only in the forms that fit them.
FORMS = {
    "Raw": None,
    "Text": TEXT_FIELDS,
    "Addresses": ADDRESS_FIELDS,
    "GroupedAddresses": ADDRESS_FIELDS,
    "MessageIds": ID_FIELDS,
    "Date": DATE_FIELDS,
    "URLs": URL_FIELDS,
}
DEFINED = ADDRESS_FIELDS | TEXT_FIELDS | ID_FIELDS | DATE_FIELDS | URL_FIELDS | {"return-path", "received"}

CONVENIENCE = {
    "messageId": ("message-id", "MessageIds"),
    "inReplyTo": ("in-reply-to", "MessageIds"),
    "references": ("references", "MessageIds"),
    "sender": ("sender", "Addresses"),
    "from": ("from", "Addresses"),
    "to": ("to", "Addresses"),
    "cc": ("cc", "Addresses"),
    "bcc": ("bcc", "Addresses"),
    "replyTo": ("reply-to", "Addresses"),
    "subject": ("subject", "Text"),
    "sentAt": ("date", "Date"),
}


def is_header_property(name: str) -> bool:
    """Tell whether a property is a convenience one, or a well-formed `header:` one with a form the field may have."""
    if name in CONVENIENCE or name == "headers":
        return True
    match = HEADER_PROPERTY.fullmatch(name)
    if match is None:
        return False
    field, form = match[1].lower(), match[2] or "Raw"
    if form not in FORMS:
        return False
    allowed = FORMS[form]
    return allowed is None or field in allowed or field not in DEFINED


def header_value(content: Content, name: str) -> object:
    """Return the value of a header property."""
    if name == "headers":
        return [{"name": field, "value": raw_text(value)} for field, value in content.fields()]
    if name in CONVENIENCE:
        field, form = CONVENIENCE[name]
        value = content.field(field)
        return None if value is None else READERS[form](value)
    match = HEADER_PROPERTY.fullmatch(name)
    if match is None:
        raise ValueError(name)
    reader = READERS[match[2] or "Raw"]
    values = [value for field, value in content.fields() if field.lower() == match[1].lower()]
    if match[3]:
        return [reader(value) for value in values]
    return reader(values[-1]) if values else None


def addresses(value: bytes) -> list[dict[str, object]]:
    """Return the addresses of a field, groups dissolved (RFC 8621 section 4.1.2.3)."""
    return [address for group in grouped(value) for address in cast(list[dict[str, object]], group["addresses"])]


def grouped(value: bytes) -> list[dict[str, object]]:
    """Return the addresses of a field by group; those outside any group have a group of name null."""
    text = re.sub(r"\r?\n", "", raw_text(value)).strip()
    try:
        header = cast(AddressHeader, email.policy.default.header_factory("to", text))
        found = [
            (group.display_name, [(each.display_name, each.addr_spec) for each in group.addresses])
            for group in header.groups
        ]
    except (ValueError, LookupError, AttributeError, TypeError):
        # The parser of the standard library fails in many ways on addresses that are not valid.
        found = [(None, getaddresses([text]))]
    groups: list[dict[str, object]] = []
    for name, members in found:
        listed = [{"name": display or None, "email": spec} for display, spec in members]
        if name is None and groups and groups[-1]["name"] is None:
            cast(list[object], groups[-1]["addresses"]).extend(listed)
        else:
            groups.append({"name": name, "addresses": listed})
    return groups


def message_ids(value: bytes) -> list[str] | None:
    found = [raw_text(message_id)[1:-1] for message_id in MESSAGE_ID.findall(value)]
    return found or None


def date(value: bytes) -> str | None:
    """Return a date with its own offset (RFC 8621 section 4.1.2.5)."""
    try:
        moment = parsedate_to_datetime(decoded_text(value))
    except (ValueError, TypeError, IndexError):
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).isoformat(timespec="seconds")


def urls(value: bytes) -> list[str] | None:
    found = [raw_text(url).strip() for url in URL.findall(value)]
    return found or None


def first_name(content: Content, field: str) -> str:
    """Return the name or address to sort a message by."""
    value = content.field(field)
    found: Iterable[dict[str, object]] = addresses(value) if value is not None else ()
    first = next(iter(found), {})
    return str(first.get("name") or first.get("email") or "")


def sent_at(content: Content) -> datetime:
    """Return the date of a message to sort it by; the epoch where it has none."""
    value = content.field("date")
    text = date(value) if value is not None else None
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)


READERS: dict[str, Callable[[bytes], object]] = {
    "Raw": raw_text,
    "Text": decoded_text,
    "Addresses": addresses,
    "GroupedAddresses": grouped,
    "MessageIds": message_ids,
    "Date": date,
    "URLs": urls,
}
