"""SASL mechanisms, the server's side, without I/O (RFC 4422).

A mechanism is fed the client's responses, decoded from base64, one after the other. It answers with a challenge, with
the credentials it has gathered, or with a failure. Checking the credentials is not its business.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Protocol

from connectors.api.credentials import Secret

_MAX_OCTETS: Final = 4096
"""RFC 4616 asks for at least 255 octets a field; passwords that are tokens are longer."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What to send to the client next, before base64."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Credentials:
    """A login and its password, as the client gave them."""

    login: str
    password: Secret[str]


class FailureKind(enum.Enum):
    """MALFORMED: not in the mechanism's syntax. DENIED: asks to act as somebody else.

    MISMATCH: what it says of the channel is not true of this one.
    """

    MALFORMED = "malformed"
    DENIED = "denied"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Failure:
    """The exchange has ended without credentials; `text` may be shown to the client."""

    kind: FailureKind
    text: str


Step = Challenge | Credentials | Failure


class Mechanism(Protocol):
    """One exchange. Use it once."""

    def step(self, response: bytes | None) -> Step:
        """Take the client's response; None at the beginning, if it sent no initial response."""


class Plain:
    """PLAIN (RFC 4616).

    message = [authzid] UTF8NUL authcid UTF8NUL passwd

    Acting as somebody else is not offered: `authzid` is empty or the same as `authcid`.
    """

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"")
        fields = response.split(b"\0")
        if len(fields) != 3:
            return Failure(FailureKind.MALFORMED, "PLAIN takes three fields separated by NUL.")
        texts = [_text(field) for field in fields]
        authzid, login, password = texts
        if authzid is None or not login or not password:
            return Failure(FailureKind.MALFORMED, "PLAIN takes a login and a password in UTF-8.")
        if authzid and authzid != login:
            return Failure(FailureKind.DENIED, "Acting as another user is not offered.")
        return Credentials(login, Secret(password))


class Login:
    """LOGIN (draft-murchison-sasl-login): login and password in two responses. An initial response is the login."""

    def __init__(self) -> None:
        self._login: str | None = None

    def step(self, response: bytes | None) -> Step:
        if response is None:
            return Challenge(b"Username:")
        text = None if b"\0" in response else _text(response)
        if not text:
            return Failure(FailureKind.MALFORMED, "LOGIN takes a login and a password in UTF-8.")
        if self._login is None:
            self._login = text
            return Challenge(b"Password:")
        return Credentials(self._login, Secret(text))


def _text(field: bytes) -> str | None:
    """Return the field as text; None if it is too long or not UTF-8."""
    if len(field) > _MAX_OCTETS:
        return None
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        return None


MECHANISMS: Final[Mapping[str, Callable[[], Mechanism]]] = MappingProxyType({"PLAIN": Plain, "LOGIN": Login})
"""What can be offered, by the mechanism's name in capitals, best first."""


def start(name: str) -> Mechanism | None:
    """Return a new exchange of the mechanism of that name, in whatever case; None if there is none."""
    make = MECHANISMS.get(name.upper())
    return None if make is None else make()
