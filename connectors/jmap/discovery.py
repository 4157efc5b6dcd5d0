"""Finding the session document of a JMAP server (RFC 8620 section 2.2)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import dns.asyncresolver
import dns.exception
import dns.rdatatype
import dns.resolver
import msgspec
from dns.rdtypes.IN.SRV import SRV

from connectors.api.errors import ConnectorError, NotFound, Rejected, Unavailable
from connectors.jmap.settings import JmapSettings
from connectors.jmap.structs import Session
from connectors.jmap.trust import Trust
from connectors.transport.client import HttpClient
from connectors.transport.messages import Effect, Request, shown
from connectors.transport.redirects import MAX_REDIRECTS, STATUSES

_log = logging.getLogger(__name__)

WELL_KNOWN = "/.well-known/jmap"
MAX_SERVICES = 8
MAX_SESSION_OCTETS = 8 * 1024 * 1024
_ADVICE = f"url must be that of the session document, or of a server that has it at {WELL_KNOWN}"
_ADVICE_ON_DOMAIN = "if the domain has JMAP elsewhere, set url instead"


@dataclass(frozen=True, slots=True)
class Service:
    """A host and port that DNS names for a service."""

    host: str
    port: int


class ServiceResolver(Protocol):
    """Asks DNS."""

    async def services(self, name: str) -> Sequence[Service]:
        """Return what the SRV records of `name` lead to, in the order to be tried; none if there are none.

        Raises:
            Unavailable: DNS does not answer.
        """


@dataclass(frozen=True, slots=True)
class DnsResolver:
    """The resolver of the machine; `timeout_s` bounds one question with all its repetitions."""

    timeout_s: float = 10.0

    async def services(self, name: str) -> Sequence[Service]:
        try:
            answer = await dns.asyncresolver.resolve(
                name, dns.rdatatype.SRV, raise_on_no_answer=False, lifetime=self.timeout_s, search=False
            )
        except dns.resolver.NXDOMAIN:
            return ()
        except (dns.exception.DNSException, OSError) as exc:
            raise Unavailable(f"DNS does not tell the SRV records of {name}: {exc}") from exc
        if answer.rrset is None:
            return ()
        # By priority, and within it at random by weight (RFC 2782).
        records = [record for record in answer.rrset.processing_order() if isinstance(record, SRV)]
        found = [(record.target.to_text(omit_final_dot=True), record.port) for record in records]
        # A target of "." says that there is no such service here.
        return tuple(Service(host.lower(), port) for host, port in found if host and host != ".")


class NoDocument(Unavailable):
    """What a server has at a URL is no session document."""


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session document, and the URL it was read from, to which its relative URLs belong."""

    url: str
    session: Session


class Discovery:
    """Finds and reads the session document of one account."""

    def __init__(self, settings: JmapSettings, http: HttpClient, trust: Trust, resolver: ServiceResolver) -> None:
        self._settings = settings
        self._http = http
        self._trust = trust
        self._resolver = resolver

    async def find(self) -> FoundSession:
        """Read the document from `url`, or from where `domain` leads: the hosts in DNS first, then the domain itself.

        Where a server has something else at `url`, or nothing, it is asked at the well-known path.

        Raises:
            AuthExpired, RateLimited, Denied.
            Rejected: every server that was found is one that gets no credentials.
            Unavailable: no server has answered with a session document.
        """
        failures: list[ConnectorError] = []
        for url in await self._candidates(failures):
            try:
                return await self.read(url)
            except (NotFound, Rejected, Unavailable) as exc:
                failures.append(exc)
                if self._settings.url is not None and not isinstance(exc, (NotFound, NoDocument)):
                    break
        reasons = "; ".join(error.operator_text for error in failures)
        if failures and all(isinstance(error, Rejected) for error in failures):
            raise Rejected(reasons) from failures[-1]
        if any(isinstance(error, (NotFound, NoDocument)) for error in failures):
            # Something is there, so it is rather the setting that is wrong than the server.
            reasons += f"; {_ADVICE}" if self._settings.url is not None else f"; {_ADVICE_ON_DOMAIN}"
        raise Unavailable(f"no JMAP session was found: {reasons}") from (failures[-1] if failures else None)

    async def read(self, url: str) -> FoundSession:
        """Read the document at `url`, following redirects as far as the credential may go.

        Raises:
            AuthExpired, RateLimited, Denied.
            NotFound: there is nothing at this URL.
            Rejected: it leads to a server that gets no credentials.
            Unavailable: what is there is no session document, or the server does not answer.
        """
        for _ in range(MAX_REDIRECTS + 1):
            self._trust.check(url)
            reply = await self._http.request(
                Request(
                    "GET",
                    url,
                    headers={"Accept": "application/json", "Cache-Control": "no-cache"},
                    effect=Effect.READ,
                    accept=frozenset({200}) | STATUSES,
                    max_reply_octets=MAX_SESSION_OCTETS,
                )
            )
            if reply.status == 200:
                return FoundSession(url, _decoded(reply.body, url))
            location = reply.headers.get("Location")
            if location is None:
                raise Unavailable(f"{shown(url)} redirects without saying where to")
            url = urljoin(url, location.strip()).partition("#")[0]
        raise Unavailable(f"{shown(url)} is the last of more than {MAX_REDIRECTS} redirects")

    async def _candidates(self, failures: list[ConnectorError]) -> list[str]:
        if self._settings.url is not None:
            url = with_well_known(self._settings.url)
            return list(dict.fromkeys([url, with_well_known(urljoin(url, "/"))]))
        domain = (self._settings.domain or "").rstrip(".").lower()
        urls = []
        for service in await self._services(domain, failures):
            try:
                self._trust.admit_service(service.host, service.port)
            except Rejected as exc:
                failures.append(exc)
                continue
            port = "" if service.port == 443 else f":{service.port}"
            urls.append(f"https://{service.host}{port}{WELL_KNOWN}")
        fallback = f"https://{domain}{WELL_KNOWN}"
        return urls if fallback in urls else [*urls, fallback]

    async def _services(self, domain: str, failures: list[ConnectorError]) -> Sequence[Service]:
        try:
            return (await self._resolver.services(f"_jmap._tcp.{domain}"))[:MAX_SERVICES]
        except Unavailable as exc:
            _log.info("%s", exc.operator_text)
            failures.append(exc)
            return ()


def with_well_known(url: str) -> str:
    """Return where to ask for the session: a URL that names just a server is completed with the well-known path."""
    parts = urlsplit(url)
    if parts.path in {"", "/"} and not parts.query:
        return f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}"
    return url.partition("#")[0]


def _decoded(body: bytes, url: str) -> Session:
    try:
        return msgspec.json.decode(body, type=Session)
    except (msgspec.MsgspecError, ValueError) as exc:
        raise NoDocument(f"{shown(url)} has no JMAP session document: {exc}") from exc
