"""The login: tokens by code with PKCE, device code, refresh token, client credentials; and what leads a client there.

Source: "Microsoft identity platform and the OAuth 2.0 authorization code flow", "... device authorization grant flow",
"... client credentials flow", and "Microsoft Entra authentication and authorization error codes" (AADSTS).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.graph.assertions import ASSERTION_TYPE, Certificates
from tests.fakes.graph.faults import TOKEN_ENDPOINT, Cut
from tests.fakes.graph.login_errors import Refused
from tests.fakes.graph.options import APP_ROLES
from tests.fakes.graph.tokens import Code, DeviceCode, Grant

if TYPE_CHECKING:
    from tests.fakes.graph.fake import FakeGraph

_RESOURCE: Final = "https://graph.microsoft.com/"
_IDENTITY: Final = frozenset({"openid", "profile", "offline_access", "email"})
_NAMED_TENANTS: Final = frozenset({"common", "organizations", "consumers"})
_DEVICE_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_NATIVE: Final = "https://login.microsoftonline.com/common/oauth2/nativeclient"


class OAuth:
    """The endpoints. `certificates`: those that are registered for the application.

    The consent page's user is `signing_in`; it says no if `is_declined`. `is_public`: the application may do without a
    secret. `withheld`: scopes an administrator has not consented to. `rotates`: each refresh token comes back another
    one, and `retires`: the old one is of no use then. `refuses`: the AADSTS code that every token request is answered.
    """

    def __init__(self, fake: FakeGraph) -> None:
        self.certificates = Certificates()
        self.signing_in = fake.options.address
        self.is_declined = False
        self.is_public = True
        self.withheld: frozenset[str] = frozenset()
        self.rotates = True
        self.retires = False
        self.refuses: int | None = None
        self.refusals: list[str] = []
        self._fake = fake

    def routes(self) -> list[Route]:
        """Return the routes; the first step of each is the tenant."""
        return [
            Route("/common/discovery/instance", self._instance, methods=["GET"]),
            Route("/{tenant}/v2.0/.well-known/openid-configuration", self._configuration, methods=["GET"]),
            Route("/{tenant}/oauth2/v2.0/authorize", self._authorise, methods=["GET"]),
            Route("/{tenant}/oauth2/v2.0/devicecode", self._device, methods=["POST"]),
            Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
            Route("/common/userrealm/{user}", self._realm, methods=["GET"]),
        ]

    # -- what a user does --------------------------------------------------------------------------------------

    def approve(self, user_code: str, user: str | None = None) -> None:
        """Let a user sign in on the page of the device flow. Raises KeyError for an unknown code."""
        device = self._device_of(user_code)
        device.grant = Grant(user or self.signing_in, device.grant.scopes)
        device.state = "approved"

    def decline(self, user_code: str) -> None:
        """Let a user say no there. Raises KeyError for an unknown code."""
        self._device_of(user_code).state = "declined"

    def _device_of(self, user_code: str) -> DeviceCode:
        for device in self._fake.tokens.devices.values():
            if device.user_code == user_code:
                return device
        raise KeyError(user_code)

    # -- endpoints ---------------------------------------------------------------------------------------------

    async def _instance(self, request: Request) -> Response:
        host = urlsplit(str(request.url)).netloc
        return JSONResponse(
            {
                "tenant_discovery_endpoint": f"https://{host}/common/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def _realm(self, request: Request) -> Response:
        return JSONResponse({"ver": "1.0", "account_type": "Managed", "cloud_instance_name": "microsoftonline.com"})

    async def _configuration(self, request: Request) -> Response:
        try:
            tenant = self._tenant(request)
        except Refused as refused:
            return self._refusal(refused)
        root = f"{_origin(request)}/{tenant}"
        issuer = self._fake.options.tenant if tenant not in _NAMED_TENANTS else "{tenantid}"
        return JSONResponse(
            {
                "issuer": f"{_origin(request)}/{issuer}/v2.0",
                "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                "token_endpoint": f"{root}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "cloud_instance_name": "microsoftonline.com",
            }
        )

    async def _authorise(self, request: Request) -> Response:
        asked = request.query_params
        redirect = asked.get("redirect_uri", "")
        if (fault := self._authorisation_fault(asked, redirect)) is not None:
            return PlainTextResponse(fault, 400)
        answer = {"state": asked["state"]} if "state" in asked else {}
        scopes = short_scopes(asked["scope"])
        if self.is_declined:
            answer |= {"error": "access_denied", "error_description": "AADSTS65004: User declined to consent."}
        elif scopes & self.withheld:
            text = "AADSTS65001: The user or administrator has not consented to use the application."
            answer |= {"error": "consent_required", "error_description": text}
        else:
            user = asked.get("login_hint") or self.signing_in
            code = f"1.{self._fake.tokens.secret(32)}"
            self._fake.tokens.codes[code] = Code(
                Grant(user, scopes), asked["client_id"], redirect, asked.get("code_challenge"), asked.get("nonce")
            )
            answer |= {"code": code, "client_info": self._client_info(user)}
        return RedirectResponse(f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(answer)}", 302)

    def _authorisation_fault(self, asked: Mapping[str, str], redirect: str) -> str | None:
        if asked.get("client_id") != self._fake.options.client_id:
            return "AADSTS700016: Application was not found in the directory."
        parts = urlsplit(redirect)
        if not (parts.scheme == "http" and parts.hostname in _LOOPBACK) and redirect != _NATIVE:
            return "AADSTS50011: The redirect URI specified in the request does not match those of the application."
        if asked.get("response_type") != "code":
            return "AADSTS700054: response_type is not enabled for the application."
        if asked.get("response_mode", "query") not in {"query", "form_post"}:
            return "AADSTS70007: response_mode is not a supported value."
        if not asked.get("scope"):
            return "AADSTS900144: The request body must contain the following parameter: 'scope'."
        if asked.get("code_challenge_method", "S256") != "S256":
            return "AADSTS501481: only S256 is played here."
        return None

    async def _device(self, request: Request) -> Response:
        form = await _form(request)
        fake = self._fake
        try:
            self._tenant(request)
            self._check_client_id(form)
            if not form.get("scope"):
                raise Refused(900144, "invalid_request", "The request body must contain the parameter: 'scope'.")
        except Refused as refused:
            return self._refusal(refused)
        options, number = fake.options, fake.next_nonce()
        user_code = f"FAKE{number:05d}"
        made = f"DAQAB{fake.tokens.secret(32)}"
        fake.tokens.devices[made] = DeviceCode(
            Grant("", short_scopes(form["scope"])), form["client_id"], user_code,
            fake.clock.monotonic() + options.device_code_lifetime_s, options.device_interval_s, float("-inf"),
        )  # fmt: skip
        where = f"{_origin(request)}/device"
        return JSONResponse(
            {
                "user_code": user_code,
                "device_code": made,
                "verification_uri": where,
                "expires_in": options.device_code_lifetime_s,
                "interval": options.device_interval_s,
                "message": f"To sign in, use a web browser to open the page {where} and enter the code {user_code}.",
            }
        )

    async def _token(self, request: Request) -> Response:
        form = await _form(request)
        fake = self._fake
        fake.stats.tokens[form.get("grant_type", "none").rpartition(":")[2]] += 1
        if (fault := fake.faults.take(TOKEN_ENDPOINT)) is not None:
            await asyncio.sleep(fault.delay_s)
            if fault.is_cut:
                raise Cut
            if not fault.is_only_late:
                headers = {} if fault.retry_after_s is None else {"Retry-After": str(fault.retry_after_s)}
                body = {"error": fault.code or "temporarily_unavailable", "error_description": fault.message}
                return JSONResponse(body, fault.status, headers)
        try:
            tenant = self._tenant(request)
            if self.refuses is not None:
                raise Refused(self.refuses, "invalid_grant", "As it was ordered.")
            self._check_client_id(form)
            match form.get("grant_type"):
                case "authorization_code":
                    return self._from_code(form, str(request.url))
                case "refresh_token":
                    return self._from_refresh_token(form, str(request.url))
                case value if value == _DEVICE_GRANT:
                    return self._from_device_code(form)
                case "client_credentials":
                    return self._from_credentials(form, tenant, str(request.url))
                case other:
                    raise Refused(70003, "unsupported_grant_type", f"The grant type '{other}' is not supported.")
        except Refused as refused:
            return self._refusal(refused)

    # -- grants ------------------------------------------------------------------------------------------------

    def _from_code(self, form: Mapping[str, str], url: str) -> Response:
        self._check_client(form, url)
        code = self._fake.tokens.codes.pop(form.get("code", ""), None)
        if code is None:
            raise Refused(54005, "invalid_grant", "OAuth2 Authorization code was already redeemed, or is unknown.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise Refused(500112, "invalid_client", "The reply address does not match that of the authorisation.")
        if code.challenge is not None and _challenge(form.get("code_verifier", "")) != code.challenge.rstrip("="):
            raise Refused(50148, "invalid_grant", "The code_verifier does not match the code_challenge.")
        return self._tokens_reply(code.grant, nonce=code.nonce)

    def _from_refresh_token(self, form: Mapping[str, str], url: str) -> Response:
        self._check_client(form, url)
        tokens, given = self._fake.tokens, form.get("refresh_token", "")
        grant = tokens.refresh.get(given)
        if grant is None:
            raise Refused(70043, "invalid_grant", "The refresh token has expired, or was revoked.")
        wanted = short_scopes(form.get("scope", ""))
        if missing := (wanted - _IDENTITY - grant.scopes) | (wanted & self.withheld):
            raise Refused(65001, "invalid_grant", f"There is no consent to {', '.join(sorted(missing))}.")
        if self.retires:
            del tokens.refresh[given]
        return self._tokens_reply(grant, None if self.rotates else given)

    def _from_device_code(self, form: Mapping[str, str]) -> Response:
        tokens, now = self._fake.tokens, self._fake.clock.monotonic()
        device = tokens.devices.get(form.get("device_code", ""))
        if device is None:
            raise Refused(7000014, "bad_verification_code", "The device_code is not known.")
        if device.expires_s <= now:
            raise Refused(70020, "expired_token", "The provided value for 'device_code' has expired.")
        if device.state == "declined":
            raise Refused(70000, "authorization_declined", "The end user denied the authorization request.")
        is_hasty = now < device.polled_s + device.interval_s
        device.polled_s = now
        if device.state == "pending" and is_hasty:
            raise Refused(70018, "slow_down", "The client polls too often.")
        if device.state == "pending":
            raise Refused(70016, "authorization_pending", "The user has not entered the code yet.")
        del tokens.devices[form["device_code"]]
        return self._tokens_reply(device.grant)

    def _from_credentials(self, form: Mapping[str, str], tenant: str, url: str) -> Response:
        if tenant in _NAMED_TENANTS:
            text = "Applications sign in to a tenant, not to /common or /organizations."
            raise Refused(90023 if tenant == "consumers" else 53003, "unauthorized_client", text)
        self._check_client(form, url, must_prove=True)
        scope = form.get("scope", "")
        if not scope.endswith("/.default") or " " in scope.strip():
            raise Refused(
                1002012, "invalid_scope", f"The scope {scope} is not valid; client credentials take /.default."
            )
        return JSONResponse(
            {
                "token_type": "Bearer",
                "expires_in": self._fake.tokens.lifetime_s,
                "ext_expires_in": self._fake.tokens.lifetime_s,
                "access_token": self._fake.tokens.access(Grant("", frozenset(APP_ROLES) - self.withheld)),
            }
        )

    # -- checks and replies ------------------------------------------------------------------------------------

    def _tenant(self, request: Request) -> str:
        tenant = str(request.path_params["tenant"])
        known = {self._fake.options.tenant, self._fake.options.address.partition("@")[2]}
        if tenant not in known | _NAMED_TENANTS:
            raise Refused(90002, "invalid_request", f"Tenant '{tenant}' not found.")
        return tenant

    def _check_client_id(self, form: Mapping[str, str]) -> None:
        if not form.get("client_id"):
            raise Refused(900144, "invalid_request", "The request body must contain the parameter: 'client_id'.")
        if form["client_id"] != self._fake.options.client_id:
            raise Refused(700016, "unauthorized_client", "Application was not found in the directory.")

    def _check_client(self, form: Mapping[str, str], url: str, *, must_prove: bool = False) -> None:
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise Refused(700027, "invalid_client", "The client_assertion_type is not known.")
            now = self._fake.clock.now().timestamp()
            self.certificates.check(form["client_assertion"], self._fake.options.client_id, url, now)
        elif "client_secret" in form:
            if form["client_secret"] != self._fake.options.client_secret:
                raise Refused(7000215, "invalid_client", "Invalid client secret provided.")
        elif must_prove or not self.is_public:
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise Refused(7000218, "invalid_client", text)

    def _tokens_reply(self, grant: Grant, refresh_token: str | None = None, nonce: str | None = None) -> Response:
        fake = self._fake
        scopes = grant.scopes - _IDENTITY
        reply: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(f"{_RESOURCE}{scope}" for scope in sorted(scopes)),
            "expires_in": fake.tokens.lifetime_s,
            "ext_expires_in": fake.tokens.lifetime_s,
            "access_token": fake.tokens.access(Grant(grant.user, scopes)),
            "client_info": self._client_info(grant.user),
            "id_token": self._id_token(grant.user, nonce),
        }
        if "offline_access" in grant.scopes or grant in fake.tokens.refresh.values():
            reply["refresh_token"] = refresh_token or fake.tokens.new_refresh(grant)
        return JSONResponse(reply, headers={"Cache-Control": "no-store, no-cache"})

    def _client_info(self, user: str) -> str:
        return _b64({"uid": self._fake.user_id(user), "utid": self._fake.options.tenant})

    def _id_token(self, user: str, nonce: str | None) -> str:
        fake = self._fake
        now = int(fake.clock.now().timestamp())
        claims = {
            "aud": fake.options.client_id,
            "iss": f"{fake.login_origin or fake.origin}/{fake.options.tenant}/v2.0",
            "iat": now,
            "nbf": now,
            "exp": now + 3600,
            "oid": fake.user_id(user),
            "sub": hashlib.sha256(user.encode()).hexdigest(),
            "tid": fake.options.tenant,
            "preferred_username": user,
            "name": user.partition("@")[0],
            "ver": "2.0",
            **({"nonce": nonce} if nonce else {}),
        }
        # Nobody checks the signature of a token that comes from the token endpoint (OpenID Connect Core 3.1.3.7).
        return f"{_b64({'typ': 'JWT', 'alg': 'RS256', 'kid': 'fake'})}.{_b64(claims)}.{fake.tokens.secret(16)}"

    def _refusal(self, refused: Refused) -> Response:
        self.refusals.append(f"{refused.error}: AADSTS{refused.code}: {refused.text}")
        number = f"{self._fake.next_nonce():08x}-0000-4000-8000-000000000000"
        stamp = self._fake.clock.now().strftime("%Y-%m-%d %H:%M:%SZ")
        body = {
            "error": refused.error,
            "error_description": f"AADSTS{refused.code}: {refused.text} Trace ID: {number} Correlation ID: {number} "
            f"Timestamp: {stamp}",
            "error_codes": [refused.code],
            "timestamp": stamp,
            "trace_id": number,
            "correlation_id": number,
            **({"suberror": refused.suberror} if refused.suberror else {}),
        }
        return JSONResponse(body, 401 if refused.error == "invalid_client" else 400)


def short_scopes(text: str) -> frozenset[str]:
    """Return scopes without the resource they are of."""
    return frozenset(each.removeprefix(_RESOURCE) for each in text.split())


async def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl((await request.body()).decode("utf-8", "replace")))


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.headers.get('host', '')}"


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")


def _b64(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
