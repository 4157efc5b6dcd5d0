"""Which servers get the account's credential.

Always: the server of the operator's `url`, or the hosts at and below his `domain`. Beyond those
* where `allowed_hosts` is given, just the hosts it names;
* where it is not, also those that the session document names: it comes from a server that has been shown the
  credential anyway, over a connection that nobody else can write to.
A redirect, and a name in DNS, never make a host trusted: the one may be somebody's open redirector, the other is not
signed. TLS is required of every other server, and of the operator's own unless he wrote http himself.
"""

from __future__ import annotations

from connectors.api.errors import Rejected
from connectors.jmap.settings import JmapSettings
from connectors.transport.authorise import CredentialAuthoriser
from connectors.transport.origins import MalformedUrl, Origin

_HANDSHAKE = {"wss:": "https:", "ws:": "http:"}


class Trust:
    """Decides for one account, and tells its authoriser."""

    def __init__(self, settings: JmapSettings, authoriser: CredentialAuthoriser) -> None:
        """Allow what the operator has named.

        Raises:
            MalformedUrl: a setting names no server.
        """
        self._authoriser = authoriser
        self._trusts_session = settings.allowed_hosts is None
        self._plain_host: str | None = None
        if settings.url is not None:
            origin = Origin.of(settings.url)
            self._plain_host = origin.host if origin.scheme == "http" else None
            authoriser.allow(str(origin))
        if settings.domain is not None:
            domain = settings.domain.rstrip(".")
            authoriser.allow(domain, *([f"*.{domain}"] if "." in domain else []))
        authoriser.allow(*(settings.allowed_hosts or ()))

    def check(self, url: str) -> None:
        """Return if the credential may go to `url` (of http or a WebSocket).

        Raises:
            Rejected: it may not; the text says what to set if it should.
        """
        address = handshake_url(url)
        try:
            where = Origin.of(address)
        except MalformedUrl as exc:
            raise Rejected(f"the JMAP server leads to {exc}") from exc
        if self._authoriser.allows(address):
            return
        if where.is_private and where.host == self._plain_host:
            raise Rejected(f"the JMAP server leads to {where}: begin url with https")
        reason = f"unless allowed_hosts names {where.host}" if where.is_private else "as it is without TLS"
        raise Rejected(f"the JMAP server leads to {where}, which gets no credentials {reason}")

    def admit(self, url: str) -> None:
        """Allow the server of an address out of the session document, if those are trusted.

        Raises:
            Rejected: see `check`.
        """
        if self._trusts_session:
            try:
                self._authoriser.trust(handshake_url(url))
            except MalformedUrl as exc:
                raise Rejected(f"the session of the JMAP server names {exc}") from exc
        self.check(url)

    def admit_service(self, host: str, port: int) -> None:
        """Allow a port that DNS names, of a host that gets the credential already: its certificate vouches for it.

        Raises:
            Rejected: the host does not.
        """
        self.check(f"https://{host}/")
        self._authoriser.allow(f"{host}:{port}")


def handshake_url(url: str) -> str:
    """Return the http or https address of a WebSocket's opening handshake; other addresses as they are."""
    scheme, colon, rest = url.partition(":")
    return _HANDSHAKE.get(f"{scheme.lower()}:", scheme + colon) + rest
