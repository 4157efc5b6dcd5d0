"""Where access tokens come from: a user's consent, or the application itself, by its secret or its certificate.

A token is asked for once, whoever waits for it, and kept until shortly before it expires. MSAL does the asking, in a
thread. What it learns is sealed and on disk before it is used.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from connectors.api.credentials import (
    BearerCredential,
    Credential,
    CredentialRecord,
    CredentialSource,
    FixedCredential,
    Secret,
)
from connectors.api.errors import AuthExpired, ConnectorError, Denied, Unavailable
from connectors.graph.certificates import read_certificate
from connectors.graph.identity import COMMON, AppIdentity, TokenReply, identity
from connectors.graph.settings import GraphSettings, parse_settings
from connectors.transport.clock import Clock, LoopClock

_LEEWAY_S: Final = 300.0
"""A token that expires within this time is replaced; MSAL gives out the same one until then."""

_LAST_S: Final = 15.0
"""Until so long before its end a token is used if no other is to be had."""

_REFUSED_S: Final = 60.0
"""After a refusal nothing is asked for so long: a person has to act, and every session would ask."""

_SHARED_TENANTS: Final = frozenset({"common", "organizations", "consumers"})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Held:
    """A token in use, to be replaced from one time of the monotonic clock on, and of no use from another."""

    token: Secret[str]
    until: float
    at_last: float


class TokenSource(ABC):
    """Keeps an access token and replaces it in one flight. Used on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.claims: str | None = None
        """What the next token has to claim, as JSON."""
        self.is_forced = False
        """Whether the last token was refused before its time."""
        self._held: _Held | None = None
        self._flight: asyncio.Task[Secret[str]] | None = None
        self._failure: tuple[AuthExpired | Denied, float] | None = None

    async def get(self) -> Credential | None:
        """Return the token in use, or a new one.

        Raises:
            AuthExpired, Denied: no token is given; the text says what a person has to do.
            Unavailable: the login service cannot be reached, or a changed token cache cannot be kept.
        """
        held, now = self._held, self.clock.monotonic()
        if held is not None and now < held.until:
            return BearerCredential("", held.token)
        if self._flight is None:
            # A task of its own: who gives up waiting must not cut off what may change the refresh token.
            self._flight = asyncio.get_running_loop().create_task(self._replace(), name="graph token")
            self._flight.add_done_callback(self._landed)
        try:
            return BearerCredential("", await asyncio.shield(self._flight))
        except Unavailable as exc:
            if held is None or self._held is not held or now >= held.at_last:
                raise
            _log.warning("the access token is used to its end, as there is no other: %s", exc.operator_text)
            return BearerCredential("", held.token)

    async def refused(self, credential: Credential) -> None:
        """Drop the token if it is the one in use; the next is a new one."""
        if isinstance(credential, BearerCredential) and self._held is not None and self._held.token == credential.token:
            self._held = None
            self.is_forced = True

    def challenge(self, claims: str) -> None:
        """Take note of what the next token has to claim."""
        self.claims = claims

    @abstractmethod
    async def ask(self) -> TokenReply:
        """Ask for a token."""

    async def _replace(self) -> Secret[str]:
        if self._failure is not None and self.clock.monotonic() < self._failure[1]:
            # An error of its own for each who asks: one that is raised again would gather their tracebacks.
            raise type(self._failure[0])(self._failure[0].operator_text)
        claims = self.claims
        try:
            reply = await self.ask()
        except (AuthExpired, Denied) as exc:
            self._failure = (exc, self.clock.monotonic() + _REFUSED_S)
            raise
        self._failure = None
        self.is_forced = False
        self.claims = None if self.claims == claims else self.claims
        lifetime_s, now = reply.expires_in_s, self.clock.monotonic()
        self._held = _Held(
            reply.access_token, now + max(lifetime_s - _LEEWAY_S, lifetime_s / 2), now + lifetime_s - _LAST_S
        )
        return reply.access_token

    def _landed(self, flight: asyncio.Task[Secret[str]]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()


class ConsentSource(TokenSource):
    """Tokens by what a user consented to. A changed token cache is on disk before anything is done with the token.

    Another process may change it too. So before the login counts as ended, what is stored is read once and tried.
    """

    def __init__(
        self,
        record: CredentialRecord,
        settings: GraphSettings,
        clock: Clock,
        transport: httpx.BaseTransport | None,
    ) -> None:
        super().__init__(clock)
        self._record = record
        self._settings = settings
        self._transport = transport
        self._values = record.values
        self._unsaved: TokenReply | None = None

    async def ask(self) -> TokenReply:
        try:
            return await self._ask()
        except (AuthExpired, Unavailable):
            if not await self._is_changed():
                raise
        return await self._ask()

    async def _ask(self) -> TokenReply:
        reply = self._unsaved
        if reply is None:
            reply = await asyncio.to_thread(self._silent, self._values, self.is_forced, self.claims)
        if reply.token_cache is not None:
            # Kept here meanwhile, as what was before it may be of no use any more.
            self._unsaved = reply
            await self._record.save({"token_cache": reply.token_cache})
            self._values = {**self._values, "token_cache": reply.token_cache}
        self._unsaved = None
        return reply

    def _silent(self, values: Mapping[str, Secret[str]], is_forced: bool, claims: str | None) -> TokenReply:
        """Ask MSAL, in a thread."""
        app = consenting_app(values)
        with identity(self._settings, app, values["token_cache"], transport=self._transport) as asked:
            return asked.silent(mail_scopes(self._settings), is_forced=is_forced, claims=claims)

    async def _is_changed(self) -> bool:
        """Read what is stored and use it from now on; tell whether it is something else."""
        if self._record.read is None:
            return False
        try:
            values = await self._record.read()
        except ConnectorError:
            return False
        is_changed = dict(values) != dict(self._values)
        if is_changed:
            # A token cache that was not saved came of what is no longer stored.
            self._values, self._unsaved = values, None
        return is_changed


class AppSource(TokenSource):
    """Tokens of the application itself, which may read mailboxes of its tenant without their users."""

    def __init__(
        self,
        record: CredentialRecord,
        settings: GraphSettings,
        clock: Clock,
        transport: httpx.BaseTransport | None,
    ) -> None:
        super().__init__(clock)
        self._values = record.values
        self._settings = settings
        self._transport = transport

    async def ask(self) -> TokenReply:
        tenant = self._values["tenant"].reveal().strip()
        if tenant.lower() in _SHARED_TENANTS:
            raise Denied(f"tenant: an application by itself needs the ID or a domain of its organisation, not {tenant}")
        if self._settings.is_own_mailbox:
            raise Denied("mailbox: an application by itself has none of its own; set it to the address of the user")
        return await asyncio.to_thread(self._for_client, tenant, self.claims)

    def _for_client(self, tenant: str, claims: str | None) -> TokenReply:
        """Ask MSAL, in a thread."""
        credential = self._values.get("client_secret") or read_certificate(
            self._values["certificate"], self._values.get("passphrase")
        )
        app = AppIdentity(self._values["client_id"].reveal(), tenant, credential)
        scope = f"{self._settings.addresses.audience}/.default"
        with identity(self._settings, app, transport=self._transport) as asked:
            return asked.for_client([scope], claims=claims)


def consenting_app(values: Mapping[str, Secret[str]]) -> AppIdentity:
    """Return the application of a `consent` form, which may lack tenant and secret."""
    tenant = values["tenant"].reveal().strip() if "tenant" in values else ""
    secret = values.get("client_secret")
    return AppIdentity(
        values["client_id"].reveal().strip(),
        tenant or COMMON,
        secret if secret is not None and secret.reveal() else None,
    )


def mail_scopes(settings: GraphSettings) -> list[str]:
    """Return the permissions that a user is asked for; MSAL adds those that a refresh token takes."""
    names = ["Mail.ReadWrite"] if settings.is_own_mailbox else ["Mail.ReadWrite", "Mail.ReadWrite.Shared"]
    return [f"{settings.addresses.audience}/{name}" for name in names]


def consent_source(
    record: CredentialRecord, *, clock: Clock | None = None, transport: httpx.BaseTransport | None = None
) -> CredentialSource:
    """Return the source for a filled-in `consent` form."""
    return ConsentSource(record, parse_settings(record.settings), clock or LoopClock(), transport)


def app_secret_source(
    record: CredentialRecord, *, clock: Clock | None = None, transport: httpx.BaseTransport | None = None
) -> CredentialSource:
    """Return the source for a filled-in `app-secret` form."""
    return AppSource(record, parse_settings(record.settings), clock or LoopClock(), transport)


def app_certificate_source(
    record: CredentialRecord, *, clock: Clock | None = None, transport: httpx.BaseTransport | None = None
) -> CredentialSource:
    """Return the source for a filled-in `app-certificate` form."""
    return AppSource(record, parse_settings(record.settings), clock or LoopClock(), transport)


def fixed_source(record: CredentialRecord) -> CredentialSource:
    """Return the source for a filled-in `token` form."""
    return FixedCredential(BearerCredential("", record.values["access_token"]))
