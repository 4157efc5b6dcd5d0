"""Google's OAuth endpoints: consent, token, revocation. The consent page agrees at once.

Sources: RFC 6749, RFC 7636 (PKCE), RFC 7523 (service accounts), and Google's "OAuth 2.0 for desktop apps".
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.fakes.gmail.faults import TOKEN_ENDPOINT, Cut, Faults
from tests.fakes.gmail.options import CLOUD_SCOPE, PUBSUB_SCOPE, Clock, FakeOptions
from tests.fakes.gmail.service_account import JWT_GRANT, Refused, ServiceAccount
from tests.fakes.gmail.tokens import Grant, TokenBook

_IDENTITY_SCOPES = frozenset({"openid", "email", "profile"})
_IDENTITY_PREFIX = "https://www.googleapis.com/auth/userinfo."
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class OAuth:
    """The endpoints. `users`: the addresses that exist; `delegated`: what the service account may do as any of them.

    The consent page's user is `consenting_user`, says no if `is_declined`, and leaves out `scopes_withheld`.
    `has_no_refresh_token`: as Google answers who has consented before, unless asked to consent again.
    """

    def __init__(
        self, options: FakeOptions, clock: Clock, tokens: TokenBook, faults: Faults, mail_scopes: frozenset[str]
    ) -> None:
        self.account = ServiceAccount(options.project)
        self.users: set[str] = {options.address}
        self.delegated = mail_scopes
        self.consenting_user = options.address
        self.has_no_refresh_token = False
        self.is_declined = False
        self.scopes_withheld: frozenset[str] = frozenset()
        self.refusals: list[str] = []
        self._faults = faults
        self._options = options
        self._clock = clock
        self._tokens = tokens
        self._mail_scopes = mail_scopes

    def routes(self) -> list[Route]:
        """Return the routes, below the root."""
        return [
            Route("/o/oauth2/v2/auth", self._authorise, methods=["GET"]),
            Route("/token", self._token, methods=["POST"]),
            Route("/revoke", self._revoke, methods=["POST"]),
            Route("/device/code", self._device, methods=["POST"]),
        ]

    async def _authorise(self, request: Request) -> Response:
        asked = request.query_params
        redirect = asked.get("redirect_uri", "")
        fault = self._authorisation_fault(asked, redirect)
        if fault is not None:
            return PlainTextResponse(f"Error 400: {fault}", 400)
        answer = {"state": asked["state"]} if "state" in asked else {}
        if self.is_declined:
            answer["error"] = "access_denied"
        else:
            scopes = frozenset(asked["scope"].split()) - self.scopes_withheld
            grant = Grant(asked.get("login_hint") or self.consenting_user, scopes)
            is_offline = asked.get("access_type", "online") == "offline"
            answer["code"] = self._tokens.give_code(grant, redirect, asked.get("code_challenge"), is_offline)
            answer["scope"] = " ".join(sorted(scopes))
        return RedirectResponse(f"{redirect}{'&' if '?' in redirect else '?'}{urlencode(answer)}", 302)

    def _authorisation_fault(self, asked: Mapping[str, str], redirect: str) -> str | None:
        if asked.get("client_id") != self._options.client_id:
            return "invalid_client"
        if urlsplit(redirect).hostname not in _LOOPBACK or urlsplit(redirect).scheme != "http":
            return "redirect_uri_mismatch"
        if asked.get("response_type") != "code":
            return "unsupported_response_type"
        scopes = frozenset(asked.get("scope", "").split())
        if not scopes or not all(self._is_known(scope) for scope in scopes):
            return "invalid_scope"
        if asked.get("code_challenge_method", "S256") != "S256":
            return "invalid_request: only S256 is played here"
        return None

    def _is_known(self, scope: str) -> bool:
        own = self._mail_scopes | _IDENTITY_SCOPES | {PUBSUB_SCOPE, CLOUD_SCOPE}
        return scope in own or scope.startswith(_IDENTITY_PREFIX)

    async def _token(self, request: Request) -> Response:
        if (fault := self._faults.take(TOKEN_ENDPOINT)) is not None:
            await asyncio.sleep(fault.delay_s)
            if fault.is_cut:
                raise Cut
            if not fault.is_only_late:
                return JSONResponse({"error": "internal_failure"}, fault.status)
        form = await _form(request)
        try:
            match form.get("grant_type"):
                case "authorization_code":
                    return self._from_code(form)
                case "refresh_token":
                    return self._from_refresh_token(form)
                case value if value == JWT_GRANT:
                    return self._from_assertion(form, str(request.url))
                case None:
                    raise Refused("invalid_request", "Required parameter is missing: grant_type")
                case other:
                    raise Refused("unsupported_grant_type", f"Invalid grant_type: {other}")
        except Refused as refused:
            self.refusals.append(f"{refused.error}: {refused.description}")
            status = 401 if refused.error in {"invalid_client", "unauthorized_client"} else 400
            return JSONResponse({"error": refused.error, "error_description": refused.description}, status)

    def _from_code(self, form: Mapping[str, str]) -> Response:
        self._check_client(form)
        code = self._tokens.take_code(form.get("code", ""))
        if code is None:
            raise Refused("invalid_grant", "Malformed auth code.")
        if form.get("redirect_uri") != code.redirect_uri:
            raise Refused("redirect_uri_mismatch", "Bad Request")
        if code.challenge is not None:
            verifier = form.get("code_verifier")
            if verifier is None:
                raise Refused("invalid_grant", "Missing code verifier.")
            if _challenge(verifier) != code.challenge.rstrip("="):
                raise Refused("invalid_grant", "Invalid code verifier.")
        if not code.is_offline or self.has_no_refresh_token:
            return self._tokens_reply(code.grant, None, {})
        refresh_token = self._tokens.consent(code.grant)
        return self._tokens_reply(code.grant, refresh_token, {"refresh_token": refresh_token})

    def _from_refresh_token(self, form: Mapping[str, str]) -> Response:
        self._check_client(form)
        if "refresh_token" not in form:
            raise Refused("invalid_request", "Missing required parameter: refresh_token")
        grant = self._tokens.refreshed(form["refresh_token"])
        if grant is None:
            raise Refused("invalid_grant", "Token has been expired or revoked.")
        if "scope" in form:
            wanted = frozenset(form["scope"].split())
            if not wanted <= grant.scopes:
                raise Refused("invalid_scope", "Bad Request")
            grant = Grant(grant.user, wanted)
        return self._tokens_reply(grant, form["refresh_token"], {})

    def _from_assertion(self, form: Mapping[str, str], token_uri: str) -> Response:
        claims = self.account.check(form.get("assertion", ""), token_uri, self._clock.now().timestamp())
        scopes = frozenset(str(claims.get("scope", "")).split())
        user = str(claims.get("sub", ""))
        if not scopes or not all(self._is_known(scope) for scope in scopes):
            raise Refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        if user and user not in self.users:
            raise Refused("invalid_grant", "Invalid email or User ID")
        if user and not scopes <= self.delegated:
            text = (
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any "
                "of the scopes requested."
            )
            raise Refused("unauthorized_client", text)
        return self._tokens_reply(Grant(user, scopes), None, {})

    def _check_client(self, form: Mapping[str, str]) -> None:
        if form.get("client_id") != self._options.client_id:
            raise Refused("invalid_client", "The OAuth client was not found.")
        if form.get("client_secret") != self._options.client_secret:
            raise Refused("invalid_client", "Unauthorized")

    def _tokens_reply(self, grant: Grant, refresh_token: str | None, more: dict[str, str]) -> Response:
        reply: dict[str, Any] = {
            "access_token": self._tokens.access(grant, refresh_token),
            "expires_in": self._tokens.lifetime_s - 1,
            "scope": " ".join(sorted(grant.scopes)),
            "token_type": "Bearer",
            **more,
        }
        return JSONResponse(reply, headers={"Cache-Control": "no-cache, no-store, max-age=0, must-revalidate"})

    async def _revoke(self, request: Request) -> Response:
        token = (await _form(request)).get("token") or request.query_params.get("token", "")
        if self._tokens.revoke(token):
            return JSONResponse({})
        return JSONResponse({"error": "invalid_token", "error_description": "Token expired or revoked"}, 400)

    async def _device(self, request: Request) -> Response:
        # The device flow refuses every scope of Gmail.
        return JSONResponse({"error": "invalid_scope", "error_description": "Invalid device flow scope"}, 400)


async def _form(request: Request) -> dict[str, str]:
    form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        name, _, secret = base64.b64decode(credentials).decode().partition(":")
        form |= {"client_id": unquote(name), "client_secret": unquote(secret)}
    return form


def _challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
