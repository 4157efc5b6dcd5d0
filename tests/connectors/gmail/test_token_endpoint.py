from __future__ import annotations

import httpx
import pytest

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired, ConnectorError, Unavailable
from connectors.gmail.settings import GmailSettings
from connectors.gmail.token_endpoint import TokenEndpoint, TokenRefused
from connectors.transport.messages import Effect
from tests.connectors.transport.jumping_clock import JumpingClock

SETTINGS = GmailSettings(token_uri="https://tokens.example/token")


def endpoint(clock: JumpingClock, status: int, reply: object) -> TokenEndpoint:
    network = httpx.MockTransport(lambda request: httpx.Response(status, json=reply))
    return TokenEndpoint(SETTINGS, clock=clock, transport=network)


async def test_fields_are_sent_as_a_form_without_a_credential_in_the_header(clock: JumpingClock) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        assert "Authorization" not in request.headers
        assert dict(httpx.QueryParams(request.content.decode())) == {"grant_type": "g", "a": "1&2", "b": "3 4"}
        return httpx.Response(200, json={"access_token": "t", "expires_in": "60", "token_type": "Bearer"})

    made = TokenEndpoint(SETTINGS, clock=clock, transport=httpx.MockTransport(answer))
    reply = await made.ask("g", {"a": Secret("1&2"), "b": "3 4"}, Effect.READ)
    assert (reply.access_token, reply.expires_in, reply.refresh_token, reply.scope) == ("t", 60, None, None)
    assert "t" not in repr(reply).split()


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        ({"error": "invalid_grant"}, AuthExpired, "log in anew"),
        ({"error": "invalid_grant", "error_subtype": "invalid_rapt"}, AuthExpired, "log in again at intervals"),
        ({"error": "admin_policy_enforced"}, AuthExpired, "administrators of the domain"),
        ({"error": "something_new", "error_description": "no idea"}, AuthExpired, r"something_new \(no idea\)"),
        ({"error": "temporarily_unavailable"}, Unavailable, "temporarily_unavailable"),
        ({"error": "internal_failure"}, Unavailable, "internal_failure"),
        ({"fault": "x"}, Unavailable, "no token endpoint"),
        ([], Unavailable, "no token endpoint"),
    ],
)
@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_says_who_has_to_do_what(
    clock: JumpingClock, status: int, error: object, kind: type[ConnectorError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        await endpoint(clock, status, error).ask("g", {}, Effect.READ)


async def test_a_refusal_shows_nothing_that_was_sent(clock: JumpingClock) -> None:
    echo = {"error": "invalid_grant", "error_description": "bad code 4/abcdef"}
    with pytest.raises(TokenRefused) as caught:
        await endpoint(clock, 400, echo).ask("g", {"code": Secret("4/abcdef")}, Effect.WRITE)
    assert caught.value.reason == "invalid_grant"
    assert "4/abcdef" not in caught.value.operator_text


@pytest.mark.parametrize("status", [404, 405, 410, 418])
async def test_an_address_that_is_wrong_is_suspected(clock: JumpingClock, status: int) -> None:
    with pytest.raises(Unavailable, match="is token_uri right"):
        await endpoint(clock, status, {}).ask("g", {}, Effect.READ)
