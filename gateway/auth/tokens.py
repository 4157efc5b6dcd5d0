"""OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's forerunner of it), the server's side, without I/O.

Both carry a bearer token; what it is worth a `TokenChecker` says. When it is worth nothing the client is told why in a
last challenge, in JSON, which it answers with as good as nothing before the exchange fails.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from typing import Protocol

from connectors.api.credentials import Secret
from gateway.auth.sasl import Failure, FailureKind
from gateway.auth.scram import decoded_name

_SEPARATOR = b"\x01"
_BEARER = "bearer "


class TokenRefused(Exception):
    """The token is not valid here; the text says why, for the log."""


class ProviderUnavailable(Exception):
    """The identity provider's keys cannot be had now, so nothing is known of the token; the text says why."""


class TokenChecker(Protocol):
    """Says for whom a token stands."""

    @property
    def discovery_url(self) -> str:
        """Where clients find the provider's configuration (RFC 8414, OpenID Connect Discovery)."""

    async def name_in(self, token: str) -> str:
        """Return the name that the provider gives the owner of the token.

        Raises:
            TokenRefused: it is not valid.
            ProviderUnavailable: that cannot be told now.
        """


@dataclass(frozen=True, slots=True)
class BearerRequest:
    """A token, empty if the client gave none that is understood, and the login it asks for, empty if it gave none."""

    acting: str
    token: Secret[str]


class TokenMechanism(enum.Enum):
    """The two ways to write the same."""

    OAUTHBEARER = "OAUTHBEARER"
    XOAUTH2 = "XOAUTH2"

    def parse(self, message: bytes) -> BearerRequest | Failure:
        """Read the client's first message.

        OAUTHBEARER: client-resp = (gs2-header kvsep *kvpair kvsep) / kvsep
        XOAUTH2:     user=... ^A auth=Bearer ... ^A ^A
        """
        head, separator, rest = message.partition(_SEPARATOR)
        acting = _acting_in_header(head) if self is TokenMechanism.OAUTHBEARER else _acting_in_field(head)
        # Each pair has its separator, and so has the list; some clients of XOAUTH2 leave the last away.
        pairs = rest.removesuffix(_SEPARATOR).removesuffix(_SEPARATOR).split(_SEPARATOR)
        fields = dict(pair.partition(b"=")[::2] for pair in pairs)
        try:
            value = fields.get(b"auth", b"").decode("ascii")
        except UnicodeDecodeError:
            value = "\0"
        if acting is None or not separator or not value.isprintable():
            return Failure(FailureKind.MALFORMED, f"This is not the syntax of {self.value}.")
        is_bearer = value.lower().startswith(_BEARER)
        return BearerRequest(acting, Secret(value[len(_BEARER) :].strip() if is_bearer else ""))

    def refusal(self, discovery_url: str) -> bytes:
        """Return the challenge that tells the client that its token is not valid."""
        if self is TokenMechanism.XOAUTH2:
            return json.dumps({"status": "401", "schemes": "bearer"}).encode("ascii")
        return json.dumps({"status": "invalid_token", "openid-configuration": discovery_url}).encode("ascii")


def _acting_in_header(header: bytes) -> str | None:
    """Return the authzid of a gs2-header, empty if there is none; None if it is no header, or binds a channel."""
    flag, comma, rest = header.partition(b",")
    authzid, last, nothing = rest.partition(b",")
    if flag not in (b"n", b"y") or not comma or not last or nothing:
        return None
    if not authzid:
        return ""
    return decoded_name(authzid[2:]) or None if authzid.startswith(b"a=") else None


def _acting_in_field(field: bytes) -> str | None:
    name, _, value = field.partition(b"=")
    try:
        return value.decode("utf-8") or None if name == b"user" and b"\0" not in value else None
    except UnicodeDecodeError:
        return None
