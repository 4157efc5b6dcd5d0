"""The credential in an HTTP request: Basic (RFC 7617) or Bearer (RFC 6750), and only where it may go."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable, Mapping
from typing import Protocol

from connectors.api.credentials import BearerCredential, Credential, CredentialSource, PasswordCredential, Secret
from connectors.api.errors import AuthExpired
from connectors.transport.origins import MalformedUrl, Origin, OriginPattern

_TOKEN = re.compile(r"[\x21-\x7e]+", re.ASCII)
_UNSENDABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and octets of an environment variable that are no UTF-8."""


class Authoriser(Protocol):
    """Says with which header fields a request is authorised."""

    async def headers_for(self, url: str) -> Mapping[str, str]:
        """Return the fields for a request to `url`; none if no credential may go there or none is needed.

        Raises:
            AuthExpired: a person must log in again.
            Unavailable: the issuer of tokens cannot be reached.
        """

    async def refused(self, sent: Mapping[str, str]) -> bool:
        """Take note that the server refused the fields `sent` that `headers_for` gave; tell whether others may work."""


class NoAuthoriser:
    """For servers that want no credential."""

    async def headers_for(self, url: str) -> Mapping[str, str]:
        return {}

    async def refused(self, sent: Mapping[str, str]) -> bool:
        return False


class CredentialAuthoriser:
    """Sends the credential of a source, to allowed origins only.

    `allowed` are the operator's words, see `OriginPattern`. Origins that a server names are added by `trust`.
    """

    def __init__(self, source: CredentialSource, allowed: Iterable[str] = ()) -> None:
        self._source = source
        self._allowed: set[OriginPattern] = set()
        self._trusted: set[Origin] = set()
        self._lock = asyncio.Lock()
        self._last_refused: Secret[str] | None = None
        self.allow(*allowed)

    def allow(self, *entries: str) -> None:
        """Allow what the operator has named.

        Raises:
            MalformedUrl: an entry is neither a host, a pattern nor an address.
        """
        self._allowed.update([OriginPattern.parse(entry) for entry in entries])

    def trust(self, *urls: str) -> None:
        """Allow the origins of addresses that a trusted server has named, but none that can be read along.

        Raises:
            MalformedUrl: one is no address, or goes over plain http to another machine that is not allowed already.
        """
        origins = [Origin.of(url) for url in urls]
        for origin in origins:
            if not origin.is_private and not self._is_allowed(origin):
                raise MalformedUrl(f"{origin} is without TLS")
        self._trusted.update(origins)

    def allows(self, url: str) -> bool:
        """Tell whether the credential may go to `url`."""
        try:
            return self._is_allowed(Origin.of(url))
        except MalformedUrl:
            return False

    async def headers_for(self, url: str) -> Mapping[str, str]:
        if not self.allows(url):
            return {}
        return _fields(await self._source.get())

    async def refused(self, sent: Mapping[str, str]) -> bool:
        """Get another credential; of many requests refused together only the first makes the source do so."""
        value = sent.get("Authorization")
        if value is None:
            return False
        async with self._lock:
            credential = await self._source.get()
            if _fields(credential).get("Authorization") != value:
                return True
            if credential is None or self._last_refused == Secret(value):
                return False
            await self._source.refused(credential)
            self._last_refused = Secret(value)
            return _fields(await self._source.get()).get("Authorization") != value

    def _is_allowed(self, origin: Origin) -> bool:
        return origin in self._trusted or any(pattern.matches(origin) for pattern in self._allowed)


def _fields(credential: Credential | None) -> Mapping[str, str]:
    match credential:
        case None:
            return {}
        case BearerCredential(token=token):
            value = token.reveal()
            if not _TOKEN.fullmatch(value):
                raise AuthExpired("the access token is empty or holds characters that no token has")
            return {"Authorization": f"Bearer {value}"}
        case PasswordCredential(username=username, password=password):
            if ":" in username or _UNSENDABLE.search(username + password.reveal()):
                raise AuthExpired(
                    "HTTP Basic takes no colon in a user name, and UTF-8 without control characters (RFC 7617)"
                )
            pair = f"{username}:{password.reveal()}".encode()
            return {"Authorization": f"Basic {base64.b64encode(pair).decode('ascii')}"}
