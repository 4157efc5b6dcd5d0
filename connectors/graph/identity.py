"""One application at Microsoft's login, asked through MSAL. Everything here blocks: call it in a thread.

Each use has an application object of its own: MSAL keeps what went wrong with one and answers with it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msal
import msgspec

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired, ConnectorError, Unavailable
from connectors.graph.aadsts import AGAIN, refusal_of
from connectors.graph.login_http import LoginHttp, plain_origin
from connectors.graph.settings import GraphSettings
from connectors.transport.origins import Origin

COMMON: Final = "common"
"""The tenant of whoever logs in, be it an organisation's account or one of Outlook.com."""

_TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
_NOT_YET: Final = frozenset({"authorization_pending", "slow_down"})


@dataclass(frozen=True, slots=True)
class Certificate:
    """A private key without passphrase and its certificate, both as PEM."""

    private_key: Secret[str]
    certificate: str


@dataclass(frozen=True, slots=True)
class AppIdentity:
    """An app registration: its id, the tenant to log in to, and what it proves itself with, if it does."""

    client_id: str
    tenant: str = COMMON
    credential: Secret[str] | Certificate | None = None


@dataclass(frozen=True, slots=True)
class TokenReply:
    """An access token, how long it is good for in seconds, and what the token cache has become; None if unchanged.

    `username` is whose it is, mostly a mail address; empty if that is not known.
    """

    access_token: Secret[str]
    expires_in_s: float
    token_cache: Secret[str] | None = None
    username: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFlow:
    """A login by a code. `message` tells the person what to do; `state` is MSAL's, and changes while it is polled."""

    message: str
    state: dict[str, Any]

    @property
    def interval_s(self) -> float:
        """Seconds between looks."""
        return float(self.state["interval"])

    @property
    def lifetime_s(self) -> float:
        """For how many seconds from its beginning the code can be used."""
        return float(self.state["expires_in"])


class Identity:
    """An application in use. Made by `identity`."""

    def __init__(self, app: Any, tenant: str, cache: msal.SerializableTokenCache, plain: str | None) -> None:
        self._app = app
        self._tenant = tenant
        self._cache = cache
        self._plain = plain

    def silent(self, scopes: list[str], *, is_forced: bool, claims: str | None) -> TokenReply:
        """Return a token of the cache's account, by its refresh token if need be.

        `is_forced` passes over an access token that is still in the cache.

        Raises:
            AuthExpired: a person has to log in; the text says why.
            Unavailable: the login service cannot be reached or is failing.
        """
        with _translated(self._tenant):
            accounts = self._app.get_accounts()
            if not accounts:
                raise AuthExpired(f"the token cache holds no account: {AGAIN}")
            return self._reply(
                self._app.acquire_token_silent_with_error(
                    scopes, account=accounts[0], force_refresh=is_forced, claims_challenge=claims
                )
            )

    def for_client(self, scopes: list[str], *, claims: str | None) -> TokenReply:
        """Return a token of the application itself.

        Raises:
            as `silent`.
        """
        with _translated(self._tenant):
            return self._reply(self._app.acquire_token_for_client(scopes, claims_challenge=claims))

    def begin_device(self, scopes: list[str]) -> DeviceFlow:
        """Ask for a code to log in with.

        Raises:
            as `silent`.
        """
        with _translated(self._tenant):
            flow = self._app.initiate_device_flow(scopes=scopes)
            if "user_code" not in flow or "device_code" not in flow:
                raise refusal_of(flow)
        # Without a pause MSAL would ask for ever, and not return.
        flow["interval"] = max(flow["interval"], 1)
        return DeviceFlow(str(flow.get("message") or _device_message(flow)), flow)

    def poll_device(self, flow: DeviceFlow) -> TokenReply | None:
        """Look once whether the code was used; None if it was not yet.

        Raises:
            Denied: it was refused, or has expired.
            as `silent`.
        """
        # MSAL warns if it is asked too soon by its own clock; who waits does so by another.
        flow.state.pop("latest_attempt_at", None)
        with _translated(self._tenant):
            result = self._app.acquire_token_by_device_flow(flow.state, exit_condition=lambda _flow: True)
            return None if result.get("error") in _NOT_YET else self._reply(result)

    def begin_browser(self, scopes: list[str], redirect_uri: str) -> dict[str, Any]:
        """Return MSAL's state of a login by browser; `auth_uri` in it is the page to open. Nothing is sent."""
        # MSAL warns of any other mode than this; a browser that is sent to the loopback interface can bring the answer
        # in the address only. The code is of no use without the verifier (RFC 7636).
        with _translated(self._tenant):
            flow: dict[str, Any] = self._app.initiate_auth_code_flow(
                scopes=scopes, redirect_uri=redirect_uri, prompt="select_account", response_mode="form_post"
            )
        uri = flow["auth_uri"].replace("response_mode=form_post", "response_mode=query")
        if self._plain is not None:
            uri = uri.replace("https" + self._plain[self._plain.index("://") :], self._plain, 1)
        return {**flow, "auth_uri": uri}

    def finish_browser(self, flow: dict[str, Any], answer: Mapping[str, str], scopes: list[str]) -> TokenReply:
        """Exchange the code in the browser's answer for tokens; `scopes` are those of one resource.

        Raises:
            Denied: the consent was refused.
            as `silent`.
        """
        with _translated(self._tenant):
            return self._reply(self._app.acquire_token_by_auth_code_flow(flow, dict(answer), scopes=scopes))

    def usernames(self) -> frozenset[str]:
        """Return who is in the token cache."""
        return frozenset(str(account.get("username") or "") for account in self._app.get_accounts())

    def _reply(self, result: Mapping[str, Any] | None) -> TokenReply:
        if result is None:
            raise AuthExpired(f"the token cache holds no refresh token: {AGAIN}")
        if "access_token" not in result:
            raise refusal_of(result)
        cache = Secret(self._cache.serialize()) if self._cache.has_state_changed else None
        accounts = self._app.get_accounts()
        name = str(accounts[0].get("username") or "") if accounts else ""
        return TokenReply(Secret(str(result["access_token"])), _seconds(result.get("expires_in")), cache, name)


@contextmanager
def identity(
    settings: GraphSettings,
    app: AppIdentity,
    token_cache: Secret[str] | None = None,
    *,
    transport: httpx.BaseTransport | None = None,
) -> Iterator[Identity]:
    """Lend an application; `token_cache` is what is known of its tokens.

    Raises:
        AuthExpired: client, tenant or token cache cannot be; the text says what to do.
        Unavailable: the login service cannot be reached or is failing.
    """
    authority = authority_of(settings, app.tenant)
    cache = _cache(token_cache)
    http = LoginHttp(settings, transport)
    try:
        with _translated(app.tenant):
            make = msal.PublicClientApplication if app.credential is None else msal.ConfidentialClientApplication
            made = make(
                app.client_id,
                client_credential=_credential(app),
                authority=authority,
                token_cache=cache,
                http_client=http,
                instance_discovery=False,
                **({} if app.credential is None else {"azure_region": False}),
            )
        yield Identity(made, app.tenant, cache, plain_origin(settings.authority))
    finally:
        http.close()


def authority_of(settings: GraphSettings, tenant: str) -> str:
    """Return the authority for MSAL, which wants to see TLS and a tenant in it.

    Raises:
        AuthExpired: it has no TLS and is not on this machine, or the tenant is no name.
    """
    origin = Origin.of(settings.authority)
    if not origin.is_private:
        raise AuthExpired(f"authority: {origin} is without TLS, and secrets would go there")
    if not _TENANT.fullmatch(tenant):
        raise AuthExpired("tenant: must be the ID of an organisation, one of its domains, or consumers or common")
    address = settings.authority
    if not urlsplit(address).path.strip("/"):
        address = f"{address}/{tenant}"
    return "https" + address[address.index("://") :]


@contextmanager
def _translated(tenant: str) -> Iterator[None]:
    """Let nothing of MSAL's out but errors of the contract."""
    try:
        yield
    except ConnectorError:
        raise
    except msal.exceptions.MsalServiceError as exc:
        raise Unavailable(f"Microsoft's login failed: {exc}") from exc
    except ValueError as exc:
        # Of MSAL's: the tenant has no login, or a browser's answer is none.
        text = f"Microsoft does not know the tenant {tenant!r}: check tenant, cloud and authority"
        raise AuthExpired(text) from exc
    except (KeyError, TypeError, RuntimeError) as exc:
        raise Unavailable(f"Microsoft's login gave an answer that makes no sense: {type(exc).__name__}") from exc


def _cache(text: Secret[str] | None) -> msal.SerializableTokenCache:
    """Return the cache that was serialised so.

    Raises:
        AuthExpired: it is none.
    """
    cache = msal.SerializableTokenCache()
    if text is not None:
        try:
            msgspec.json.decode(text.reveal(), type=dict[str, dict[str, dict[str, object]]])
        except (msgspec.MsgspecError, ValueError):
            # Not chained: the message may show what is in it.
            raise AuthExpired(f"the token cache cannot be read: {AGAIN}") from None
        cache.deserialize(text.reveal())
    return cache


def _credential(app: AppIdentity) -> object | None:
    match app.credential:
        case None:
            return None
        case Certificate(private_key=key, certificate=certificate):
            return {"private_key": key.reveal(), "public_certificate": certificate}
        case secret:
            return secret.reveal()


def _seconds(value: object) -> float:
    try:
        return max(float(str(value)), 0.0)
    except ValueError:
        return 0.0


def _device_message(flow: Mapping[str, object]) -> str:
    page = flow.get("verification_uri") or flow.get("verification_url")
    return f"Open {page} in a browser on any device, and enter the code {flow['user_code']}."
