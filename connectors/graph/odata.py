"""Requests and replies as Graph wants and gives them: query strings, preferences, challenges, JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec

from connectors.api.errors import OutcomeUnknown, Unavailable
from connectors.graph.structs import NoReply
from connectors.transport.messages import Effect, Headers

T = TypeVar("T")

IMMUTABLE_IDS: Final = 'IdType="ImmutableId"'
"""The preference under which a message keeps its id when it is moved; it goes with every request."""

_CLAIMS: Final = re.compile(r'\bclaims="([A-Za-z0-9+/=_-]+)"')


def claims_of(headers: Headers) -> str | None:
    """Return the claims challenge of a 401, as JSON; None if there is none (Microsoft, "Claims challenges")."""
    match = _CLAIMS.search(headers.get("www-authenticate", ""))
    if match is None:
        return None
    text = match[1].replace("-", "+").replace("_", "/")
    try:
        decoded = msgspec.json.decode(f'"{text}{"=" * (-len(text) % 4)}"', type=bytes)
        msgspec.json.decode(decoded, type=dict[str, object])
    except (msgspec.MsgspecError, ValueError):
        return None
    return decoded.decode("utf-8")


def query_string(query: Sequence[tuple[str, str]]) -> str:
    """Return `?name=value&...`, or "" without any: OData wants a space as %20."""
    pairs = (f"{quote(name, safe='$')}={quote(value, safe='$,/:()@')}" for name, value in query)
    text = "&".join(pairs)
    return f"?{text}" if text else ""


def with_preference(headers: Mapping[str, str], *preferences: str) -> dict[str, str]:
    """Return the headers with immutable ids, and these, beside what they prefer already."""
    given = [value for name, value in headers.items() if name.lower() == "prefer"]
    rest = {name: value for name, value in headers.items() if name.lower() != "prefer"}
    return {**rest, "Prefer": ", ".join((IMMUTABLE_IDS, *preferences, *given))}


def decode(body: bytes, reply: type[T], what: str, effect: Effect) -> T:
    """Return a reply's body as a struct.

    Raises:
        Unavailable: it is none (OutcomeUnknown after a WRITE).
    """
    if reply is NoReply:
        return reply()
    try:
        return msgspec.json.decode(body, type=reply)
    except (msgspec.MsgspecError, ValueError) as exc:
        text = f"{what} gave a reply that cannot be read: {exc}"
        raise (OutcomeUnknown(text) if effect is Effect.WRITE else Unavailable(text)) from exc
