"""Logging in to Gmail by the user's consent: an authorisation code with PKCE, sent to the loopback interface.

Google takes no other way for programs: codes to copy and the device flow are closed to mail.
Source: RFC 8252 (native apps), RFC 7636 (PKCE); Google, "OAuth 2.0 for desktop apps".
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qs, urlsplit

import httpx
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from connectors.api.credentials import LoginDialog, Secret
from connectors.api.errors import AuthExpired, Denied
from connectors.api.settings import SettingValue
from connectors.gmail.oauth import MAIL_SCOPE, MODIFY_SCOPE
from connectors.gmail.settings import parse_settings
from connectors.gmail.token_endpoint import TokenEndpoint, TokenReply
from connectors.transport.clock import Clock, LoopClock
from connectors.transport.messages import Effect

_SUFFICIENT: Final = frozenset({MAIL_SCOPE, MODIFY_SCOPE})

_INTRODUCTION: Final = (
    "Gmail lets programs in through an OAuth client that you create yourself: in the Google Cloud console enable the "
    "Gmail API, set up the consent screen, and create an OAuth client of the type 'Desktop app'. While the consent "
    "screen is in testing, logins end after seven days; publish it to avoid that."
)


async def log_in(
    values: Mapping[str, Secret[str]],
    settings: Mapping[str, SettingValue],
    dialog: LoginDialog,
    *,
    clock: Clock | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Mapping[str, Secret[str]]:
    """Lead a person through the consent; return `refresh_token`, and `client_id` and `client_secret` if asked for.

    `values` are the fields of the `oauth` form that were given.

    Raises:
        Denied: the consent was refused, or does not cover the mail.
        AuthExpired: Google does not take the client, or the code.
        Unavailable: Google cannot be reached.
        Whatever the dialog raises.
    """
    checked = parse_settings(settings)
    given = dict(values)
    if "client_id" not in given:
        await dialog.tell(_INTRODUCTION)
        given["client_id"] = Secret(await dialog.ask("Client ID"))
    if "client_secret" not in given:
        given["client_secret"] = Secret(await dialog.ask("Client secret (empty if it has none)", is_secret=True))
    verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(24)
    redirect_uris: list[str] = []

    def address(redirect_uri: str) -> str:
        redirect_uris.append(redirect_uri)
        uri: str = prepare_grant_uri(
            checked.auth_uri,
            given["client_id"].reveal(),
            "code",
            redirect_uri=redirect_uri,
            scope=MAIL_SCOPE,
            state=state,
            code_challenge=create_s256_code_challenge(verifier),
            code_challenge_method="S256",
            access_type="offline",
            # Without this Google gives no refresh token to who has consented before.
            prompt="consent",
            login_hint=checked.user if checked.user != "me" else None,
        )
        return uri

    answer = await dialog.authorise(address, lambda url: _state_of(url) == state)
    fields: dict[str, Secret[str] | str] = {
        "client_id": given["client_id"],
        "client_secret": given["client_secret"],
        "code": _code_of(answer),
        "code_verifier": Secret(verifier),
        "redirect_uri": redirect_uris[-1],
    }
    endpoint = TokenEndpoint(checked, clock=clock or LoopClock(), transport=transport)
    reply = await endpoint.ask("authorization_code", fields, Effect.WRITE)
    given["refresh_token"] = _refresh_token_of(reply)
    return {key: value for key, value in given.items() if value.reveal()}


def _parameters(url: str) -> dict[str, str]:
    try:
        return {name: found[-1] for name, found in parse_qs(urlsplit(url.strip()).query).items()}
    except ValueError:
        return {}


def _state_of(url: str) -> str | None:
    return _parameters(url).get("state")


def _code_of(url: str) -> Secret[str]:
    """Return the code in the address that the browser was sent to.

    Raises:
        Denied: there is an error in its place.
    """
    found = _parameters(url)
    if "error" in found or "code" not in found:
        reason = found.get("error", "no code came back")
        text = "the consent was refused" if reason == "access_denied" else "Google has not let the login through"
        raise Denied(f"{text} ({reason[:100]})")
    return Secret(found["code"])


def _refresh_token_of(reply: TokenReply) -> Secret[str]:
    """Return the refresh token.

    Raises:
        Denied: the consent does not cover the mail.
        AuthExpired: there is none.
    """
    if reply.scope is not None and not _SUFFICIENT & set(reply.scope.split()):
        raise Denied("the consent does not cover the mail: log in again and tick the box for Gmail")
    if reply.refresh_token is None:
        text = "Google has given no refresh token: remove the application from the account's connections, and log in"
        raise AuthExpired(f"{text} again")
    return Secret(reply.refresh_token)
