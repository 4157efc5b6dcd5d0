"""Where access tokens come from: a user's consent, or the application itself, by its secret or its certificate.

A token is asked for once, whoever waits for it, and kept until shortly before it expires. MSAL does the asking, in a
thread. What it learns is sealed and on disk before it is used.

A token is good for one of Microsoft's services. Where messages are stored by IMAP, Exchange wants one of its own, which
comes of the same login.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, runtime_checkable

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
from connectors.graph.settings import OWN_MAILBOX, AppendBy, GraphSettings, parse_settings
from connectors.graph.threads import in_own_thread
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

    credential: BearerCredential
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
        self._flight: asyncio.Task[BearerCredential] | None = None
        self._failure: tuple[AuthExpired | Denied, float] | None = None

    async def get(self) -> Credential | None:
        """Return the token in use, or a new one.

        Raises:
            AuthExpired, Denied: no token is given; the text says what a person has to do.
            Unavailable: the login service cannot be reached, or a changed token cache cannot be kept.
        """
        held, now = self._held, self.clock.monotonic()
        if held is not None and now < held.until:
            return held.credential
        if self._flight is None:
            # A task of its own: who gives up waiting must not cut off what may change the refresh token.
            self._flight = asyncio.get_running_loop().create_task(self._replace(), name="graph token")
            self._flight.add_done_callback(self._landed)
        try:
            return await asyncio.shield(self._flight)
        except Unavailable as exc:
            if held is None or self._held is not held or now >= held.at_last:
                raise
            _log.warning("the access token is used to its end, as there is no other: %s", exc.operator_text)
            return held.credential

    async def refused(self, credential: Credential) -> None:
        """Drop the token if it is the one in use; the next is a new one."""
        held = self._held
        if isinstance(credential, BearerCredential) and held is not None and held.credential.token == credential.token:
            self._held = None
            self.is_forced = True

    def challenge(self, claims: str) -> None:
        """Take note of what the next token has to claim."""
        self.claims = claims

    @abstractmethod
    async def ask(self) -> TokenReply:
        """Ask for a token."""

    def credential(self, reply: TokenReply) -> BearerCredential:
        """Return what the token is used as."""
        return BearerCredential("", reply.access_token)

    async def _replace(self) -> BearerCredential:
        if self._failure is not None and self.clock.monotonic() < self._failure[1]:
            # An error of its own for each who asks: one that is raised again would gather their tracebacks.
            raise type(self._failure[0])(self._failure[0].operator_text)
        claims = self.claims
        try:
            reply = await self.ask()
            credential = self.credential(reply)
        except (AuthExpired, Denied) as exc:
            self._failure = (exc, self.clock.monotonic() + _REFUSED_S)
            raise
        self._failure = None
        self.is_forced = False
        self.claims = None if self.claims == claims else self.claims
        lifetime_s, now = reply.expires_in_s, self.clock.monotonic()
        self._held = _Held(credential, now + max(lifetime_s - _LEEWAY_S, lifetime_s / 2), now + lifetime_s - _LAST_S)
        return credential

    def _landed(self, flight: asyncio.Task[BearerCredential]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()


@runtime_checkable
class ImapTokenGiver(Protocol):
    """A source of credentials for Graph that has some for Exchange's IMAP server as well."""

    def imap(self) -> CredentialSource:
        """Return where those come from. Their user name is the address of the mailbox."""


class ImapTokens(TokenSource):
    """Tokens for IMAP, by the login of another source, of which `ask` is told whether one was refused, and claims."""

    def __init__(self, clock: Clock, mailbox: str, ask: Callable[[bool, str | None], Awaitable[TokenReply]]) -> None:
        super().__init__(clock)
        self._mailbox = mailbox
        self._ask = ask

    async def ask(self) -> TokenReply:
        return await self._ask(self.is_forced, self.claims)

    def credential(self, reply: TokenReply) -> BearerCredential:
        username = reply.username if self._mailbox == OWN_MAILBOX else self._mailbox
        if "@" not in username:
            raise Denied("mailbox: Microsoft does not say whose login it is; set it to the address of the mailbox")
        return BearerCredential(username, reply.access_token)


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
        self._unsaved: tuple[list[str], TokenReply] | None = None
        self._asking = asyncio.Lock()

    async def ask(self) -> TokenReply:
        return await self._ask_for(mail_scopes(self._settings), self.is_forced, self.claims)

    def imap(self) -> CredentialSource:
        """Return the source of tokens for IMAP, by the same consent and the same token cache."""
        return ImapTokens(self.clock, self._settings.mailbox, partial(self._ask_for, imap_scopes(self._settings)))

    async def _ask_for(self, scopes: list[str], is_forced: bool, claims: str | None) -> TokenReply:
        # One at a time: what two have made of one token cache could not both be kept.
        async with self._asking:
            try:
                return await self._ask(scopes, is_forced, claims)
            except (AuthExpired, Unavailable):
                if not await self._is_changed():
                    raise
            return await self._ask(scopes, is_forced, claims)

    async def _ask(self, scopes: list[str], is_forced: bool, claims: str | None) -> TokenReply:
        if self._unsaved is not None:
            unsaved, reply = self._unsaved
            await self._keep(reply)
            if unsaved == scopes:
                return reply
        reply = await in_own_thread(partial(self._silent, self._values, scopes, is_forced, claims))
        # Kept here meanwhile, as what was before it may be of no use any more.
        self._unsaved = (scopes, reply)
        await self._keep(reply)
        return reply

    async def _keep(self, reply: TokenReply) -> None:
        if reply.token_cache is not None:
            await self._record.save({"token_cache": reply.token_cache})
            self._values = {**self._values, "token_cache": reply.token_cache}
        self._unsaved = None

    def _silent(
        self, values: Mapping[str, Secret[str]], scopes: list[str], is_forced: bool, claims: str | None
    ) -> TokenReply:
        """Ask MSAL, in a thread."""
        app = consenting_app(values)
        with identity(self._settings, app, values["token_cache"], transport=self._transport) as asked:
            return asked.silent(scopes, is_forced=is_forced, claims=claims)

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
        return await self._ask_at(self._settings.addresses.audience, self.is_forced, self.claims)

    def imap(self) -> CredentialSource:
        """Return the source of tokens for IMAP, of the same application."""
        # The permission is for the server itself, wherever a user's is asked for.
        audience = f"https://{self._settings.addresses.imap_host}"
        return ImapTokens(self.clock, self._settings.mailbox, partial(self._ask_at, audience))

    async def _ask_at(self, audience: str, _is_forced: bool, claims: str | None) -> TokenReply:
        tenant = self._values["tenant"].reveal().strip()
        if tenant.lower() in _SHARED_TENANTS:
            raise AuthExpired(
                f"tenant: an application by itself needs the ID or a domain of its organisation, not {tenant}"
            )
        if self._settings.is_own_mailbox:
            raise AuthExpired(
                "mailbox: an application by itself has none of its own; set it to the address of the user"
            )
        return await in_own_thread(partial(self._for_client, tenant, audience, claims))

    def _for_client(self, tenant: str, audience: str, claims: str | None) -> TokenReply:
        """Ask MSAL, in a thread."""
        credential = self._values.get("client_secret") or read_certificate(
            self._values["certificate"], self._values.get("passphrase")
        )
        app = AppIdentity(self._values["client_id"].reveal(), tenant, credential)
        with identity(self._settings, app, transport=self._transport) as asked:
            return asked.for_client([f"{audience}/.default"], claims=claims)


@dataclass(frozen=True, slots=True)
class FixedTokens:
    """Tokens from elsewhere: one for Graph, and one for IMAP perhaps."""

    settings: GraphSettings
    graph: BearerCredential
    imap_token: Secret[str] | None

    async def get(self) -> Credential | None:
        return self.graph

    async def refused(self, credential: Credential) -> None:
        return None

    def imap(self) -> CredentialSource:
        """Return the source of the token for IMAP."""
        if self.imap_token is None or self.settings.is_own_mailbox:
            return FixedCredential(None)
        return FixedCredential(BearerCredential(self.settings.mailbox, self.imap_token))


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


def imap_scopes(settings: GraphSettings) -> list[str]:
    """Return the permissions that a user is asked for where messages are stored by IMAP; none otherwise.

    It is another resource than Graph: both can be consented to at once, but a token is for one of them.
    """
    is_used = settings.append is AppendBy.IMAP
    return [f"{settings.addresses.imap_audience}/IMAP.AccessAsUser.All"] if is_used else []


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
    token = BearerCredential("", record.values["access_token"])
    return FixedTokens(parse_settings(record.settings), token, record.values.get("imap_access_token"))
