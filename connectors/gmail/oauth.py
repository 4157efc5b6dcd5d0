"""Where access tokens come from: a user's consent (RFC 6749 section 6), or a service account (RFC 7523).

A token is asked for once, whoever waits for it, and kept until shortly before it expires.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx
import msgspec
from authlib.oauth2.rfc7523.assertion import sign_jwt_bearer_assertion
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import RSAKey

from connectors.api.credentials import BearerCredential, Credential, CredentialRecord, CredentialSource, Secret
from connectors.api.errors import AuthExpired, ConnectorError, Unavailable
from connectors.gmail.settings import GmailSettings, parse_settings
from connectors.gmail.token_endpoint import TokenEndpoint, TokenRefused, TokenReply
from connectors.transport.clock import Clock, LoopClock
from connectors.transport.messages import Effect

MAIL_SCOPE: Final = "https://mail.google.com/"
"""Everything, deleting for good among it."""

MODIFY_SCOPE: Final = "https://www.googleapis.com/auth/gmail.modify"
"""Everything but deleting for good."""

PUBSUB_SCOPE: Final = "https://www.googleapis.com/auth/pubsub"

JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"

_LEEWAY_S: Final = 300.0
"""A token that expires within this time is replaced; Google gives out the same one until then."""

_ASSERTION_S: Final = 3600
_REFUSED_S: Final = 60.0
"""After a refusal nothing is asked for so long: a person has to act, and every session would ask."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A token in use, until that time of the monotonic clock."""

    token: Secret[str]
    until: float


class TokenSource(ABC):
    """Keeps an access token and replaces it in one flight. Used on one event loop."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._held: _Held | None = None
        self._flight: asyncio.Task[Secret[str]] | None = None
        self._failure: tuple[TokenRefused, float] | None = None

    async def get(self) -> Credential | None:
        """Return the token in use, or a new one.

        Raises:
            AuthExpired: no token is given; the text says what a person has to do.
            Unavailable: the endpoint cannot be reached, or a changed refresh token cannot be kept.
        """
        if self._held is not None and self.clock.monotonic() < self._held.until:
            return BearerCredential("", self._held.token)
        if self._flight is None:
            # A task of its own: who gives up waiting must not cut off what may change the refresh token.
            self._flight = asyncio.get_running_loop().create_task(self._replace(), name="gmail token")
            self._flight.add_done_callback(self._landed)
        return BearerCredential("", await asyncio.shield(self._flight))

    async def refused(self, credential: Credential) -> None:
        """Drop the token if it is the one in use."""
        if isinstance(credential, BearerCredential) and self._held is not None:
            self._held = None if self._held.token == credential.token else self._held

    @abstractmethod
    async def ask(self) -> TokenReply:
        """Ask the endpoint for a token."""

    async def _replace(self) -> Secret[str]:
        if self._failure is not None and self.clock.monotonic() < self._failure[1]:
            before = self._failure[0]
            raise TokenRefused(before.operator_text, before.reason)
        try:
            reply = await self.ask()
        except TokenRefused as exc:
            self._failure = (exc, self.clock.monotonic() + _REFUSED_S)
            raise
        self._failure = None
        lifetime_s = max(reply.expires_in - _LEEWAY_S, reply.expires_in / 2)
        token = Secret(reply.access_token)
        self._held = _Held(token, self.clock.monotonic() + lifetime_s)
        return token

    def _landed(self, flight: asyncio.Task[Secret[str]]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()


class ConsentSource(TokenSource):
    """Tokens by a user's refresh token. A new refresh token is on disk before anything is done with the reply.

    Another process may change it too. So before the login counts as ended, what is stored is read once and tried.
    """

    def __init__(self, record: CredentialRecord, endpoint: TokenEndpoint, clock: Clock) -> None:
        super().__init__(clock)
        self._record = record
        self._endpoint = endpoint
        self._values = record.values
        self._unsaved: TokenReply | None = None

    async def ask(self) -> TokenReply:
        try:
            return await self._ask()
        except (TokenRefused, Unavailable):
            if not await self._is_changed():
                raise
        return await self._ask()

    async def _ask(self) -> TokenReply:
        reply = self._unsaved
        if reply is None:
            names = ("client_id", "client_secret", "refresh_token")
            fields = {name: self._values[name] for name in names if name in self._values}
            reply = await self._endpoint.ask("refresh_token", fields, Effect.IDEMPOTENT_WRITE)
        changed = {"refresh_token": Secret(reply.refresh_token)} if reply.refresh_token is not None else {}
        if changed and changed["refresh_token"] != self._values["refresh_token"]:
            # Kept here meanwhile, as the old one may be of no use any more.
            self._unsaved = reply
            await self._record.save(changed)
            self._values = {**self._values, **changed}
        self._unsaved = None
        return reply

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
            # A reply that was not saved was for what is no longer stored.
            self._values, self._unsaved = values, None
        return is_changed


class KeyFile(msgspec.Struct, frozen=True):
    """The key file of a service account, as Google's console hands it out."""

    client_email: str
    private_key: str
    type: str = "service_account"
    private_key_id: str | None = None

    def __repr__(self) -> str:
        return f"<KeyFile of {self.client_email}>"

    @classmethod
    def read(cls, text: Secret[str]) -> KeyFile:
        """Read a key file.

        Raises:
            AuthExpired: it is none.
        """
        try:
            key = msgspec.json.decode(text.reveal().encode(), type=cls)
        except (msgspec.MsgspecError, ValueError):
            # Not chained: the message may show what is in the file.
            key = None
        if key is None or key.type != "service_account" or not _is_rsa_key(key.private_key):
            raise AuthExpired("the key file is not the JSON that Google gives out for a service account")
        return key


class ServiceAccountSource(TokenSource):
    """Tokens by a service account's key; `subject` is the user it acts for, None for the account itself.

    Of `scopes` the first is asked for, and the next where the domain has not delegated it.
    """

    def __init__(
        self,
        key_file: Secret[str],
        subject: str | None,
        scopes: tuple[str, ...],
        endpoint: TokenEndpoint,
        clock: Clock,
    ) -> None:
        super().__init__(clock)
        self._key_file = key_file
        self._subject = subject
        self._scopes = list(scopes)
        self._endpoint = endpoint

    async def ask(self) -> TokenReply:
        key = KeyFile.read(self._key_file)
        while True:
            try:
                assertion = self._assertion(key, self._scopes[0])
                return await self._endpoint.ask(JWT_GRANT, {"assertion": assertion}, Effect.READ)
            except TokenRefused as exc:
                if exc.reason != "unauthorized_client" or len(self._scopes) == 1:
                    raise
                self._scopes.pop(0)

    def _assertion(self, key: KeyFile, scope: str) -> Secret[str]:
        signed: str = sign_jwt_bearer_assertion(
            RSAKey.import_key(key.private_key),
            issuer=key.client_email,
            audience=self._endpoint.url,
            subject=self._subject,
            issued_at=int(self.clock.now().timestamp()),
            expires_in=_ASSERTION_S,
            claims={"scope": scope},
            header={"alg": "RS256", "typ": "JWT"} | ({"kid": key.private_key_id} if key.private_key_id else {}),
        )
        return Secret(signed)


class GmailCredentials:
    """The tokens of one account, and those for reading the notifications of its changes, if there is a key for that."""

    def __init__(self, mail: CredentialSource, pubsub: CredentialSource | None) -> None:
        self._mail = mail
        self.pubsub = pubsub

    async def get(self) -> Credential | None:
        return await self._mail.get()

    async def refused(self, credential: Credential) -> None:
        await self._mail.refused(credential)


def pubsub_source(credentials: CredentialSource) -> CredentialSource | None:
    """Return what hands out tokens for Pub/Sub beside those credentials; None if nothing does."""
    return credentials.pubsub if isinstance(credentials, GmailCredentials) else None


def oauth_source(
    record: CredentialRecord, *, clock: Clock | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> CredentialSource:
    """Return the source for a filled-in `oauth` form: `client_id`, `client_secret` if there is one, `refresh_token`."""
    settings, clock = parse_settings(record.settings), clock or LoopClock()
    endpoint = TokenEndpoint(settings, clock=clock, transport=transport)
    mail = ConsentSource(record, endpoint, clock)
    return GmailCredentials(mail, _pubsub(record.values, settings, endpoint, clock))


def service_account_source(
    record: CredentialRecord, *, clock: Clock | None = None, transport: httpx.AsyncBaseTransport | None = None
) -> CredentialSource:
    """Return the source for a filled-in `service-account` form: `service_account`, a key file's text, and `subject`."""
    settings, clock = parse_settings(record.settings), clock or LoopClock()
    endpoint = TokenEndpoint(settings, clock=clock, transport=transport)
    key, subject = record.values["service_account"], record.values["subject"].reveal()
    mail = ServiceAccountSource(key, subject, (MAIL_SCOPE, MODIFY_SCOPE), endpoint, clock)
    return GmailCredentials(mail, _pubsub({"pubsub_service_account": key, **record.values}, settings, endpoint, clock))


def _pubsub(
    values: Mapping[str, Secret[str]], settings: GmailSettings, endpoint: TokenEndpoint, clock: Clock
) -> CredentialSource | None:
    if settings.subscription is None or "pubsub_service_account" not in values:
        return None
    return ServiceAccountSource(values["pubsub_service_account"], None, (PUBSUB_SCOPE,), endpoint, clock)


def _is_rsa_key(pem: str) -> bool:
    try:
        return isinstance(load_pem_private_key(pem.encode(), password=None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return False
