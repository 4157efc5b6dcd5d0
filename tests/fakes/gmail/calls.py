"""A call of one method on its way from HTTP to its handler, and the answer on its way back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakes.gmail.discovery import Description, Method
from tests.fakes.gmail.mailbox import Mailbox
from tests.fakes.gmail.tokens import Grant
from tests.fakes.gmail.uploads import Media

if TYPE_CHECKING:
    from tests.fakes.gmail.fake import FakeGmail

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request as HTTP brings it: path still percent-encoded, query decoded, header names in lower case."""

    verb: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = b""
    media: Media | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A reply as HTTP carries it away."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that fits the description: parameters typed, body checked, token good for it."""

    fake: FakeGmail
    method: Method
    grant: Grant
    mailbox: Mailbox
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Json
    media: bytes | None


Handler = Callable[[Call], Json | Awaitable[Json | None] | None]
"""Answers a call with the reply's JSON, or None for an empty body. Raises ApiError."""


@dataclass(frozen=True, slots=True)
class Api:
    """One described API and who answers its methods, by method id."""

    description: Description
    handlers: Mapping[str, Handler]
