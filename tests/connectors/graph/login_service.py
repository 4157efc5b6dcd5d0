"""A stand-in of Microsoft's login as a transport for threads, and records of credentials as the gateway makes them."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

import httpx
import msal

from connectors.api.credentials import CredentialRecord, Secret
from connectors.api.errors import Unavailable
from connectors.api.settings import SettingValue
from connectors.graph.identity import AppIdentity, identity
from connectors.graph.settings import GraphSettings

TENANTS = ("common", "consumers", "organizations", "tenant-1")
SCOPE = "https://graph.microsoft.com/Mail.ReadWrite"


def encoded(claims: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()


class LoginService(httpx.BaseTransport):
    """Gives out tokens. Refresh tokens are replaced each time; those in `good` are taken.

    `refusals` are answered to the next requests for a token, one each, in place of one: statuses and bodies, or
    exceptions. `forms` are the forms that came to the token endpoint.
    """

    def __init__(self, base: str = "https://login.microsoftonline.com") -> None:
        self.base = base
        self.forms: list[dict[str, str]] = []
        self.urls: list[str] = []
        self.good: set[str] = set()
        self.refusals: list[tuple[int, object] | Exception] = []
        self.codes: dict[str, str] = {}
        """Authorisation codes and the challenges they came of."""
        self.nonces: dict[str, str] = {}
        """And the nonces that a token has to repeat."""
        self.device_answers: list[str] = []
        self.device_scopes: list[str] = []
        """What codes were asked for with."""
        self.username = "alex@example.org"
        self.refuses_scopes: set[str] = set()
        """What a refresh token gives no access to, since nobody has consented."""
        self.expires_in = 3600
        self.threads: set[str] = set()
        self._number = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.threads.add(threading.current_thread().name)
        self.urls.append(str(request.url))
        path = request.url.path
        tenant = path.split("/")[1]
        if path.endswith("/.well-known/openid-configuration"):
            return self._configuration(tenant)
        form = {name: found[0] for name, found in parse_qs(request.read().decode()).items()}
        assert "None" not in form.values()
        if path.endswith("/devicecode"):
            self.device_scopes.append(form["scope"])
            return httpx.Response(200, json=self._device_code())
        self.forms.append(form)
        if self.refusals:
            refusal = self.refusals.pop(0)
            if isinstance(refusal, Exception):
                raise refusal
            return httpx.Response(refusal[0], json=refusal[1])
        return self._token(form)

    def _configuration(self, tenant: str) -> httpx.Response:
        if tenant not in TENANTS:
            return httpx.Response(400, json=refused("invalid_tenant", 90002))
        root = f"{self.base}/{tenant}"
        return httpx.Response(
            200,
            json={
                "issuer": f"{root}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
            },
        )

    def _device_code(self) -> dict[str, object]:
        page = "https://microsoft.com/devicelogin"
        return {
            "device_code": "device-1",
            "user_code": "ABCD-EFGH",
            "verification_uri": page,
            "expires_in": 900,
            "interval": 5,
            "message": f"Open {page} and enter ABCD-EFGH.",
        }

    def _token(self, form: Mapping[str, str]) -> httpx.Response:
        match form["grant_type"]:
            case "refresh_token" if not self.refuses_scopes.isdisjoint(form["scope"].split()):
                return httpx.Response(400, json=refused("invalid_grant", 65001))
            case "refresh_token" if form["refresh_token"] not in self.good:
                return httpx.Response(400, json=refused("invalid_grant", 70043))
            case "authorization_code" if not self._is_code(form):
                return httpx.Response(400, json=refused("invalid_grant", 70008))
            case "urn:ietf:params:oauth:grant-type:device_code":
                answer = self.device_answers.pop(0)
                if answer != "ok":
                    return httpx.Response(400, json=refused(answer, 70016))
        self._number += 1
        reply: dict[str, object] = {
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            "access_token": f"access-{self._number}",
        }
        if form["grant_type"] != "client_credentials":
            self.good.add(f"refresh-{self._number}")
            reply |= {
                "scope": self._scope(form),
                "refresh_token": f"refresh-{self._number}",
                "client_info": encoded({"uid": f"u-{self.username}", "utid": "t"}),
                "id_token": f"{encoded({'alg': 'none'})}.{encoded(self._claims(form))}.",
            }
        return httpx.Response(200, json=reply)

    def _claims(self, form: Mapping[str, str]) -> dict[str, object]:
        now = int(time.time())
        claims: dict[str, object] = {"aud": form["client_id"], "iss": "i", "sub": "s", "oid": "u", "iat": now}
        nonce = self.nonces.get(form.get("code", ""))
        return claims | {"exp": now + 3600, "preferred_username": self.username} | ({"nonce": nonce} if nonce else {})

    def _scope(self, form: Mapping[str, str]) -> str:
        """Return what a token is for; a code by itself is for what it was asked for with."""
        asked = form.get("scope") or self.device_scopes[-1]
        return " ".join(each for each in asked.split() if "://" in each)

    def _is_code(self, form: Mapping[str, str]) -> bool:
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=")
        return self.codes.pop(form["code"], None) == challenge.decode()

    def consent(self, address: str) -> str:
        """Agree at the page of consent; return where the browser is sent to."""
        query = {name: found[0] for name, found in parse_qs(urlsplit(address).query).items()}
        assert query["response_mode"] == "query"
        assert query["code_challenge_method"] == "S256"
        self.codes["code-1"] = query["code_challenge"]
        self.nonces["code-1"] = query["nonce"]
        return f"{query['redirect_uri']}/?code=code-1&state={query['state']}&session_state=x"

    def token_cache(self, app: AppIdentity) -> Secret[str]:
        """Return a token cache as a login leaves it, its access token used up; its refresh token is in `good`."""
        expires_in, self.expires_in = self.expires_in, 0
        self.device_answers.append("ok")
        with identity(GraphSettings(), app, transport=self) as asked:
            reply = asked.poll_device(asked.begin_device([SCOPE]))
        self.expires_in = expires_in
        self.forms.clear()
        assert reply is not None
        assert reply.token_cache is not None
        return reply.token_cache


def refused(word: str, code: int) -> dict[str, object]:
    """Return a refusal as Microsoft sends it."""
    return {
        "error": word,
        "error_description": f"AADSTS{code}: It is refused. Trace ID: t-1 Correlation ID: c-1 Timestamp: now",
        "error_codes": [code],
        "correlation_id": "c-1",
    }


def refresh_token_of(token_cache: Secret[str]) -> str:
    cache = msal.SerializableTokenCache()
    cache.deserialize(token_cache.reveal())
    [found] = cache.search(cache.CredentialType.REFRESH_TOKEN)
    return str(found["secret"])


class Keeper:
    """The credentials of one account. `on_disk` is what is saved; `is_full` keeps anything from being saved."""

    def __init__(self, **values: str | Secret[str]) -> None:
        self.on_disk = {key: value if isinstance(value, Secret) else Secret(value) for key, value in values.items()}
        self.is_full = False
        self.saves = 0
        self.on_save: Callable[[], None] = lambda: None

    def record(self, settings: Mapping[str, SettingValue] | None = None) -> CredentialRecord:
        return CredentialRecord(dict(self.on_disk), settings or {}, self.save, self.read)

    async def save(self, values: Mapping[str, Secret[str]]) -> None:
        self.on_save()
        if self.is_full:
            raise Unavailable("the disk is full")
        self.saves += 1
        self.on_disk |= values

    async def read(self) -> Mapping[str, Secret[str]]:
        return dict(self.on_disk)
