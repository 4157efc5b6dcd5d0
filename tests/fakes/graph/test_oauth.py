"""The login, as msal uses it, over https."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import msal
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.connectors.graph.certificate import self_signed
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.options import GraphOptions
from tests.fakes.graph.server import running_graph

_SCOPES = ["https://graph.microsoft.com/Mail.ReadWrite"]
_APP = ["https://graph.microsoft.com/.default"]


@pytest.fixture
async def served() -> AsyncIterator[FakeGraph]:
    async with running_graph(GraphOptions(tls=True, device_interval_s=0)) as fake:
        yield fake


class _Http(httpx.Client):
    """Sends the octets msal signs as text; httpx would send how Python prints them."""

    def post(self, url: Any, *, data: Any = None, **more: Any) -> httpx.Response:
        form = {name: each.decode() if isinstance(each, bytes) else each for name, each in (data or {}).items()}
        return super().post(url, data=form, **more)


def _http(fake: FakeGraph) -> _Http:
    return _Http(verify=ssl.create_default_context(cafile=fake.ca_file), trust_env=False, timeout=20)


def _public(fake: FakeGraph, http: httpx.Client) -> Any:
    return msal.PublicClientApplication(
        fake.options.client_id, authority=fake.authority(), instance_discovery=False, http_client=http
    )


def _confidential(fake: FakeGraph, http: httpx.Client, credential: object) -> Any:
    authority = fake.authority(fake.options.tenant)
    return msal.ConfidentialClientApplication(
        fake.options.client_id,
        client_credential=credential,
        authority=authority,
        instance_discovery=False,
        http_client=http,
    )


async def _works(fake: FakeGraph, token: str, where: str = "me") -> int:
    async with httpx.AsyncClient(trust_env=False) as http:
        url = f"{fake.api_root}/{where}/mailFolders"
        return (await http.get(url, headers={"Authorization": f"Bearer {token}"})).status_code


async def test_an_approved_device_code_gives_tokens_that_rotate() -> None:
    async with running_graph(GraphOptions(device_interval_s=0)) as fake, httpx.AsyncClient(trust_env=False) as http:
        root = f"{fake.authority()}/oauth2/v2.0"
        form = {"client_id": fake.options.client_id, "scope": f"{_SCOPES[0]} offline_access"}
        device = (await http.post(f"{root}/devicecode", data=form)).json()
        fake.oauth.approve(device["user_code"])
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        asked = {"grant_type": grant, "client_id": form["client_id"], "device_code": device["device_code"]}
        got = (await http.post(f"{root}/token", data=asked)).json()
        assert await _works(fake, got["access_token"]) == 200
        renewal = {**form, "grant_type": "refresh_token", "refresh_token": got["refresh_token"]}
        again = (await http.post(f"{root}/token", data=renewal)).json()
        assert again["refresh_token"] != got["refresh_token"]


async def test_a_code_is_redeemed_with_its_verifier(served: FakeGraph) -> None:
    def sign_in() -> dict[str, Any]:
        with _http(served) as http:
            app = _public(served, http)
            flow = app.initiate_auth_code_flow(
                _SCOPES, redirect_uri="http://localhost:1/", response_mode="form_post", login_hint="user@example.com"
            )
            answer = http.get(flow["auth_uri"])
            query = {name: value[0] for name, value in parse_qs(urlsplit(answer.headers["location"]).query).items()}
            found: dict[str, Any] = app.acquire_token_by_auth_code_flow(flow, query)
            return found

    got = await asyncio.to_thread(sign_in)
    assert await _works(served, got["access_token"]) == 200
    assert "refresh_token" in got


async def test_a_revoked_refresh_token_is_an_invalid_grant(served: FakeGraph) -> None:
    def refresh(token: str) -> dict[str, Any]:
        with _http(served) as http:
            found: dict[str, Any] = _public(served, http).acquire_token_by_refresh_token(token, _SCOPES)
            return found

    token = served.refresh_token()
    assert "access_token" in await asyncio.to_thread(refresh, token)
    served.revoke_tokens()
    refused = await asyncio.to_thread(refresh, token)
    assert refused["error"] == "invalid_grant"
    assert refused["error_codes"] == [70043]
    assert refused["error_description"].startswith("AADSTS70043: ")


async def test_an_application_proves_itself_by_secret(served: FakeGraph) -> None:
    def acquire(secret: str) -> dict[str, Any]:
        with _http(served) as http:
            found: dict[str, Any] = _confidential(served, http, secret).acquire_token_for_client(_APP)
            return found

    got = await asyncio.to_thread(acquire, served.options.client_secret)
    assert await _works(served, got["access_token"], "users/user@example.com") == 200
    refused = await asyncio.to_thread(acquire, "wrong")
    assert (refused["error"], refused["error_codes"]) == ("invalid_client", [7000215])


async def test_an_application_proves_itself_by_certificate(served: FakeGraph) -> None:
    key, certificate = self_signed()
    public = certificate.public_bytes(Encoding.PEM)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def acquire() -> dict[str, Any]:
        with _http(served) as http:
            credential = {"private_key": private, "public_certificate": public.decode()}
            found: dict[str, Any] = _confidential(served, http, credential).acquire_token_for_client(_APP)
            return found

    refused = await asyncio.to_thread(acquire)
    assert refused["error_codes"] == [700027]
    served.oauth.certificates.register(public)
    assert "access_token" in await asyncio.to_thread(acquire)
    assert served.oauth.certificates.algorithms == ["PS256"]


async def test_device_codes_run_out_and_can_be_declined() -> None:
    async with running_graph(GraphOptions(device_code_lifetime_s=0)) as fake, httpx.AsyncClient() as http:
        root = f"{fake.authority()}/oauth2/v2.0"
        form = {"client_id": fake.options.client_id, "scope": " ".join(_SCOPES)}
        device = (await http.post(f"{root}/devicecode", data=form)).json()
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        asked = {"grant_type": grant, "client_id": form["client_id"], "device_code": device["device_code"]}
        assert (await http.post(f"{root}/token", data=asked)).json()["error"] == "expired_token"
        assert fake.oauth.refusals[-1].startswith("expired_token: AADSTS70020")


async def test_polling_too_often_is_told_and_no_is_no() -> None:
    async with running_graph() as fake, httpx.AsyncClient() as http:
        root = f"{fake.authority()}/oauth2/v2.0"
        form = {"client_id": fake.options.client_id, "scope": " ".join(_SCOPES)}
        device = (await http.post(f"{root}/devicecode", data=form)).json()
        grant = "urn:ietf:params:oauth:grant-type:device_code"
        asked = {"grant_type": grant, "client_id": form["client_id"], "device_code": device["device_code"]}
        errors = [(await http.post(f"{root}/token", data=asked)).json()["error"] for _ in range(2)]
        fake.oauth.decline(device["user_code"])
        errors.append((await http.post(f"{root}/token", data=asked)).json()["error"])
        assert errors == ["authorization_pending", "slow_down", "authorization_declined"]


@pytest.mark.parametrize(
    ("change", "error", "code"),
    [
        ({"client_id": "other"}, "unauthorized_client", 700016),
        ({"grant_type": "password"}, "unsupported_grant_type", 70003),
        ({"scope": "https://graph.microsoft.com/Mail.Read"}, "invalid_scope", 1002012),
    ],
)
async def test_refusals_have_microsofts_numbers(change: dict[str, str], error: str, code: int) -> None:
    async with running_graph() as fake, httpx.AsyncClient() as http:
        form = {
            "grant_type": "client_credentials",
            "client_id": fake.options.client_id,
            "client_secret": fake.options.client_secret,
            "scope": _APP[0],
        }
        where = f"{fake.authority(fake.options.tenant)}/oauth2/v2.0/token"
        refused = (await http.post(where, data=form | change)).json()
        assert (refused["error"], refused["error_codes"]) == (error, [code])
