"""Requests and replies, as connectors see them."""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from connectors.api.priority import Priority

SUCCESS = frozenset(range(200, 300))

Content = bytes | Callable[[], AsyncIterator[bytes]] | None
"""A request's body: octets, or a function that begins to yield them anew each time it is called."""


class Effect(enum.Enum):
    """What sending a request twice would do."""

    READ = "read"
    """Nothing is changed; it is repeated at will."""

    IDEMPOTENT_WRITE = "idempotent write"
    """Done twice is as done once; it is repeated like a read."""

    WRITE = "write"
    """Done twice would be wrong; once it may have been processed it is not repeated, but ends with `OutcomeUnknown`."""


class Headers(Mapping[str, str]):
    """The header fields of a reply. Names match in any case; fields of one name are joined by a comma and a space."""

    __slots__ = ("_fields",)

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: dict[str, str] = {}
        for name, value in fields:
            key = name.lower()
            self._fields[key] = f"{self._fields[key]}, {value}" if key in self._fields else value

    def __getitem__(self, name: str) -> str:
        return self._fields[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def __repr__(self) -> str:
        return f"<Headers {', '.join(self._fields)}>"


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request. It prints as its method, host and path, never its query string, header or body.

    `url` is absolute, http or https, without user name or password.
    `headers` must not hold a credential: that is the authoriser's business, as it depends on where the request goes.
    `content` that is a function is called for each attempt anew; `content_octets` is then its length where known
    (without it the body goes out in chunks).
    `accept` are the statuses handed back; any other is raised as an error of the contract.
    `max_reply_octets` bounds the body of a reply that is read whole, after decompression.
    `timeout_s` replaces `TransportOptions.timeout_s`. `cost` is in the units of the client's quota budget.
    `permits` is how many requests it counts for among those under way, if it holds several; at least 1.
    `is_authorised` false sends no credential wherever it goes (upload addresses that are secrets themselves).
    `is_long_lived` marks a stream that is meant to stay open: it takes nobody's turn, see `HttpClient.stream`.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    content: Content = field(default=None, kw_only=True)
    effect: Effect = field(kw_only=True)
    priority: Priority = field(default=Priority.CURRENT, kw_only=True)
    accept: frozenset[int] = field(default=SUCCESS, kw_only=True)
    max_reply_octets: int = field(default=16 * 1024 * 1024, kw_only=True)
    timeout_s: float | None = field(default=None, kw_only=True)
    cost: int = field(default=0, kw_only=True)
    permits: int = field(default=1, kw_only=True)
    content_octets: int | None = field(default=None, kw_only=True)
    is_authorised: bool = field(default=True, kw_only=True)
    is_long_lived: bool = field(default=False, kw_only=True)

    def __repr__(self) -> str:
        return f"<Request {self.method} {shown(self.url)}>"


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """A reply whose body has been read whole and decompressed. `url` is the address that gave it, after redirects."""

    status: int
    headers: Headers
    body: bytes
    url: str

    def __repr__(self) -> str:
        return f"<Reply {self.status} of {shown(self.url)}, {len(self.body)} octets>"


def shown(url: str) -> str:
    """Return host and path of an address, fit for logs: no user name, query string or fragment, on one line."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "(malformed address)"
    if ":" in host:
        host = f"[{host}]"
    text = f"{host}:{port}{parts.path}" if port is not None else f"{host}{parts.path}"
    return "".join(char if char.isprintable() else "?" for char in text)[:300]
