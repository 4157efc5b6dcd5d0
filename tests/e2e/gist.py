"""What a message says, whatever its octets: for servers that compose their messages anew."""

from __future__ import annotations

import email
import email.policy
from email.headerregistry import AddressHeader

_FIELDS = ("From", "To", "Cc", "Subject", "Message-ID", "In-Reply-To")


def gist_of(octets: bytes) -> bytes:
    """Return who wrote to whom, about what, when, and the text; equal for messages that say the same."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    said = [_value(message[name]) for name in _FIELDS]
    date = message["Date"]
    said.append(str(date.datetime.timestamp()) if date is not None and date.datetime is not None else "")
    body = message.get_body(("plain", "html"))
    said.append(" ".join(str(body.get_content()).split()) if body is not None else "")
    return "\n".join(said).encode("utf-8", "surrogateescape")


def _value(field: object) -> str:
    """Return what a field says; an address without a name may have got itself as name."""
    if not isinstance(field, AddressHeader):
        return " ".join(str(field or "").split())
    return ", ".join(
        f"{each.display_name} <{each.addr_spec}>" if each.display_name not in ("", each.addr_spec) else each.addr_spec
        for each in field.addresses
    )
