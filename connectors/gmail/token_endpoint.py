"""The token endpoint of Google (RFC 6749 section 3.2): what is asked of it, and what its refusals mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
import msgspec
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired, ConnectorError, Denied, NotFound, Rejected, Unavailable
from connectors.gmail.settings import GmailSettings
from connectors.transport.authorise import NoAuthoriser
from connectors.transport.client import HttpClient
from connectors.transport.clock import Clock
from connectors.transport.messages import SUCCESS, Effect, Request
from connectors.transport.options import TransportOptions
from connectors.transport.redaction import excerpt

_TIMEOUT_S: Final = 20.0
_REFUSALS: Final = frozenset({400, 401, 403})
_PASSING: Final = frozenset({"temporarily_unavailable", "server_error", "internal_failure", "rate_limit_exceeded"})

_ADVICE: Final = {
    "invalid_grant": "the login has ended or was revoked; log in anew",
    "invalid_client": "Google does not know this client_id and client_secret; check them in the Google Cloud console",
    "unauthorized_client": "it may not do this: check the type of the client, or for a service account the delegation "
    "of its scopes in the admin console of the domain",
    "invalid_scope": "a scope is not known or not allowed for this client",
    "access_denied": "the consent was refused",
    "admin_policy_enforced": "the administrators of the domain do not allow this application",
    "org_internal": "the application is for users of its own organisation only",
    "redirect_uri_mismatch": "the OAuth client is not one for desktop applications; create one of that type",
}
_CLOCK_ADVICE: Final = "the clock of this machine, or the key, is wrong"


class TokenReply(msgspec.Struct, frozen=True):
    """Tokens. `expires_in` is in seconds; `scope` is a list with spaces between, or None for what was asked for."""

    access_token: str
    expires_in: float = 3600.0
    refresh_token: str | None = None
    scope: str | None = None

    def __repr__(self) -> str:
        return "<TokenReply>"


class TokenError(msgspec.Struct, frozen=True):
    """A refusal (RFC 6749 section 5.2)."""

    error: str
    error_description: str = ""
    error_subtype: str = ""


class TokenRefused(AuthExpired):
    """No token is given; `reason` is the endpoint's word for why."""

    def __init__(self, operator_text: str, reason: str) -> None:
        super().__init__(operator_text)
        self.reason = reason


class TokenEndpoint:
    """Asks for tokens. Each request has a connection of its own, as there is one in an hour."""

    def __init__(
        self, settings: GmailSettings, *, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = settings.token_uri
        self._clock = clock
        self._transport = transport
        self._options = TransportOptions(
            timeout_s=min(settings.timeout_s, _TIMEOUT_S),
            reply_timeout_s=_TIMEOUT_S,
            connect_timeout_s=min(settings.timeout_s, _TIMEOUT_S),
            max_wait_s=_TIMEOUT_S,
            attempts=3,
            max_concurrent=1,
            ca_file=settings.ca_file,
            verify=settings.verify,
        )

    async def ask(self, grant_type: str, fields: Mapping[str, Secret[str] | str], effect: Effect) -> TokenReply:
        """Ask for a token. `effect` is that of asking twice.

        Raises:
            TokenRefused: a person must do something; the text says what.
            Unavailable: the endpoint cannot be reached or is failing, or what answers is none.
        """
        plain = {key: value.reveal() if isinstance(value, Secret) else value for key, value in fields.items()}
        request = Request(
            "POST",
            self.url,
            headers={"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"},
            content=prepare_token_request(grant_type, **plain).encode("ascii"),
            effect=effect,
            accept=SUCCESS | _REFUSALS,
            max_reply_octets=1024 * 1024,
            is_authorised=False,
        )
        http = HttpClient("gmail tokens", NoAuthoriser(), self._options, clock=self._clock, transport=self._transport)
        try:
            reply = await http.request(request)
        except (NotFound, Rejected, Denied) as exc:
            raise Unavailable(f"{exc.operator_text}; is token_uri right?") from exc
        except ConnectorError as exc:
            raise Unavailable(exc.operator_text) from exc
        finally:
            await http.close()
        if reply.status in SUCCESS:
            return self._decoded(reply.body)
        raise self._refusal(reply.status, reply.body, plain)

    def _decoded(self, body: bytes) -> TokenReply:
        try:
            return msgspec.json.decode(body, type=TokenReply, strict=False)
        except (msgspec.MsgspecError, ValueError):
            # Not chained, and not shown: it may hold a token.
            raise Unavailable(f"{self.url} gave a reply that holds no token") from None

    def _refusal(self, status: int, body: bytes, sent: Mapping[str, str]) -> ConnectorError:
        try:
            error = msgspec.json.decode(body, type=TokenError)
        except (msgspec.MsgspecError, ValueError):
            return Unavailable(f"{self.url} was answered {status} by what is no token endpoint")
        said = excerpt(error.error_description.encode(), sent.values())
        text = f"no access token from {self.url}: {excerpt(error.error.encode())}" + (f" ({said})" if said else "")
        if error.error in _PASSING:
            return Unavailable(text)
        advice = _CLOCK_ADVICE if "JWT" in error.error_description else _ADVICE.get(error.error)
        if error.error_subtype == "invalid_rapt":
            advice = "the domain asks its users to log in again at intervals; log in anew"
        return TokenRefused(f"{text}: {advice}" if advice else text, error.error)
