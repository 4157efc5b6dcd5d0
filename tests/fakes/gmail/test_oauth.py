"""OAuth: consent with PKCE, refresh, service accounts, revocation."""

from __future__ import annotations

import base64
import hashlib
import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.fakes.gmail.client import ROOT, Client, refusal
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import MAIL_SCOPE, MODIFY_SCOPE, PUBSUB_SCOPE
from tests.fakes.gmail.tokens import MAX_REFRESH_TOKENS
from tests.manual_clock import ManualClock

TOKEN_URI = f"{ROOT}/token"
REDIRECT = "http://127.0.0.1:5555/done"
VERIFIER = "v" * 64
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def _ask(fake: FakeGmail, **changed: str) -> dict[str, str]:
    return {
        "client_id": fake.options.client_id,
        "redirect_uri": REDIRECT,
        "response_type": "code",
        "scope": MAIL_SCOPE,
        "state": "s1",
        "access_type": "offline",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }


async def _token(fake: FakeGmail, gmail: Client, **form: str) -> httpx.Response:
    client = {"client_id": fake.options.client_id, "client_secret": fake.options.client_secret}
    return await gmail.http.post("/token", data={**client, **form})


async def _code(fake: FakeGmail, gmail: Client, **changed: str) -> str:
    response = await gmail.http.get("/o/oauth2/v2/auth", params=_ask(fake, **changed))
    assert response.status_code == 302, response.text
    target = urlsplit(response.headers["Location"])
    assert target.geturl().startswith(f"{REDIRECT}?")
    answer = parse_qs(target.query)
    assert answer["state"] == ["s1"]
    return answer["code"][0]


def _jwt(key_file: dict[str, str], claims: dict[str, object], key: rsa.RSAPrivateKey | None = None) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).decode().rstrip("=")

    loaded = key or serialization.load_pem_private_key(key_file["private_key"].encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    text = f"{part(json.dumps({'alg': 'RS256', 'typ': 'JWT'}).encode())}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(loaded.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


async def test_a_code_with_pkce_gives_tokens_that_work(fake: FakeGmail, gmail: Client) -> None:
    code = await _code(fake, gmail)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    reply = (await _token(fake, gmail, **form)).json()
    assert reply["token_type"] == "Bearer"
    assert reply["expires_in"] == 3599
    gmail.http.headers["Authorization"] = f"Bearer {reply['access_token']}"
    assert await gmail.get("profile")
    again = await _token(fake, gmail, **form)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    renewed = (await _token(fake, gmail, grant_type="refresh_token", refresh_token=reply["refresh_token"])).json()
    assert renewed["access_token"] != reply["access_token"]
    assert "refresh_token" not in renewed


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"code_verifier": "x" * 64}, "invalid_grant"),
        ({}, "invalid_grant"),
        ({"code_verifier": VERIFIER, "redirect_uri": "http://127.0.0.1:1/"}, "redirect_uri_mismatch"),
        ({"code_verifier": VERIFIER, "client_secret": "guess"}, "invalid_client"),
    ],
)
async def test_a_code_is_refused(fake: FakeGmail, gmail: Client, form: dict[str, str], error: str) -> None:
    code = await _code(fake, gmail)
    whole = {"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT, **form}
    response = await _token(fake, gmail, **whole)
    assert (response.json()["error"], response.status_code) == (error, 401 if error == "invalid_client" else 400)


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "other"},
        {"redirect_uri": "https://example.com/"},
        {"scope": "https://www.googleapis.com/auth/nothing"},
        {"response_type": "token"},
        {"code_challenge_method": "plain"},
    ],
)
async def test_a_wrong_request_for_consent_is_refused(fake: FakeGmail, gmail: Client, changed: dict[str, str]) -> None:
    response = await gmail.http.get("/o/oauth2/v2/auth", params=_ask(fake, **changed))
    assert response.status_code == 400


async def test_only_offline_access_gives_a_refresh_token(fake: FakeGmail, gmail: Client) -> None:
    code = await _code(fake, gmail, access_type="online")
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    assert "refresh_token" not in (await _token(fake, gmail, code=code, **form)).json()


async def test_the_user_may_decline_or_grant_less(fake: FakeGmail, gmail: Client) -> None:
    fake.oauth.scopes_withheld = frozenset({MODIFY_SCOPE})
    code = await _code(fake, gmail, scope=f"{MAIL_SCOPE} {MODIFY_SCOPE}")
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    assert (await _token(fake, gmail, code=code, **form)).json()["scope"] == MAIL_SCOPE
    fake.oauth.is_declined = True
    response = await gmail.http.get("/o/oauth2/v2/auth", params=_ask(fake))
    answer = parse_qs(urlsplit(response.headers["Location"]).query)
    assert answer == {"error": ["access_denied"], "state": ["s1"]}


async def test_an_earlier_consent_gives_no_second_refresh_token(fake: FakeGmail, gmail: Client) -> None:
    fake.oauth.has_no_refresh_token = True
    form = {"grant_type": "authorization_code", "redirect_uri": REDIRECT, "code_verifier": VERIFIER}
    assert "refresh_token" not in (await _token(fake, gmail, code=await _code(fake, gmail), **form)).json()


async def test_client_credentials_may_be_in_the_header(fake: FakeGmail, gmail: Client) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": fake.refresh_token()}
    client = (fake.options.client_id, fake.options.client_secret)
    assert (await gmail.http.post("/token", data=form, auth=client)).status_code == 200


async def test_a_revoked_token_is_an_invalid_grant_and_ends_what_came_of_it(fake: FakeGmail, gmail: Client) -> None:
    refresh = fake.refresh_token()
    reply = (await _token(fake, gmail, grant_type="refresh_token", refresh_token=refresh)).json()
    assert (await gmail.http.post("/revoke", data={"token": reply["access_token"]})).status_code == 200
    response = await _token(fake, gmail, grant_type="refresh_token", refresh_token=refresh)
    assert response.status_code == 400
    assert response.json() == {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    gmail.http.headers["Authorization"] = f"Bearer {reply['access_token']}"
    assert (await gmail.refused("GET", "profile"))[0] == 401


async def test_one_refresh_token_too_many_ends_the_oldest(fake: FakeGmail, gmail: Client) -> None:
    oldest = fake.refresh_token()
    for _ in range(MAX_REFRESH_TOKENS):
        newest = fake.refresh_token()
    assert (await _token(fake, gmail, grant_type="refresh_token", refresh_token=oldest)).status_code == 400
    assert (await _token(fake, gmail, grant_type="refresh_token", refresh_token=newest)).status_code == 200


async def test_a_service_account_acts_for_users_and_for_itself(
    fake: FakeGmail, gmail: Client, clock: ManualClock
) -> None:
    fake.add_user("other@example.com")
    keys = fake.oauth.account.key_file(TOKEN_URI)
    now = int(clock.now().timestamp())
    claims = {"iss": keys["client_email"], "aud": TOKEN_URI, "iat": now, "exp": now + 3600}
    as_user = {**claims, "scope": MODIFY_SCOPE, "sub": "other@example.com"}
    reply = (await gmail.http.post("/token", data={"grant_type": JWT_GRANT, "assertion": _jwt(keys, as_user)})).json()
    gmail.http.headers["Authorization"] = f"Bearer {reply['access_token']}"
    assert (await gmail.get("profile"))["emailAddress"] == "other@example.com"
    itself = {**claims, "scope": f"{PUBSUB_SCOPE} {MAIL_SCOPE}"}
    reply = (await gmail.http.post("/token", data={"grant_type": JWT_GRANT, "assertion": _jwt(keys, itself)})).json()
    gmail.http.headers["Authorization"] = f"Bearer {reply['access_token']}"
    assert (await gmail.refused("GET", "profile"))[:2] == (400, "failedPrecondition")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"sub": "nobody@example.com"}, "invalid_grant"),
        ({"scope": PUBSUB_SCOPE}, "unauthorized_client"),
        ({"scope": ""}, "invalid_scope"),
        ({"aud": "https://else.example/"}, "invalid_grant"),
        ({"iss": "else"}, "invalid_grant"),
        ({"exp": 1}, "invalid_grant"),
        ({"exp": 10**10}, "invalid_grant"),
        ({"iat": None}, "invalid_grant"),
    ],
)
async def test_an_assertion_is_refused(
    fake: FakeGmail, gmail: Client, clock: ManualClock, changed: dict[str, object], error: str
) -> None:
    keys = fake.oauth.account.key_file(TOKEN_URI)
    now = int(clock.now().timestamp())
    claims = {"iss": keys["client_email"], "aud": TOKEN_URI, "iat": now, "exp": now + 3600, "scope": MAIL_SCOPE}
    assertion = _jwt(keys, {**claims, "sub": "user@example.com", **changed})
    response = await gmail.http.post("/token", data={"grant_type": JWT_GRANT, "assertion": assertion})
    assert response.json()["error"] == error


async def test_an_assertion_signed_by_another_key_is_refused(fake: FakeGmail, gmail: Client) -> None:
    keys = fake.oauth.account.key_file(TOKEN_URI)
    other = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    for assertion in (_jwt(keys, {"iss": keys["client_email"]}, other), "a.b", "x.y.z"):
        response = await gmail.http.post("/token", data={"grant_type": JWT_GRANT, "assertion": assertion})
        assert response.status_code == 400
    assert len(fake.oauth.refusals) == 3


async def test_the_token_endpoint_may_fail(fake: FakeGmail, gmail: Client) -> None:
    fake.fail_next("oauth.token", status=503)
    fake.fail_next("oauth.token", status=200, delay_s=0.01)
    fake.fail_next("*")
    form = {"grant_type": "refresh_token", "refresh_token": fake.refresh_token()}
    assert (await _token(fake, gmail, **form)).status_code == 503
    assert (await _token(fake, gmail, **form)).status_code == 200
    assert (await gmail.call("GET", "profile")).status_code == 503


async def test_the_device_flow_refuses_gmail(gmail: Client) -> None:
    response = await gmail.http.post("/device/code", data={"client_id": "x", "scope": MAIL_SCOPE})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_scope")


async def test_unknown_grants_are_refused(fake: FakeGmail, gmail: Client) -> None:
    assert (await _token(fake, gmail, grant_type="password")).json()["error"] == "unsupported_grant_type"
    assert (await _token(fake, gmail)).json()["error"] == "invalid_request"


async def test_all_tokens_of_a_user_end_with_the_password(fake: FakeGmail, gmail: Client) -> None:
    fake.revoke_token()
    assert refusal(await gmail.call("GET", "profile"))[:2] == (401, "authError")
