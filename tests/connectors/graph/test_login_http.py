"""What MSAL is given to send with: bounded, and silent about what it must not show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from connectors.api.errors import Unavailable
from connectors.graph.login_http import MAX_OCTETS, LoginHttp, plain_origin
from connectors.graph.settings import GraphSettings

URL = "https://login.microsoftonline.com/common/oauth2/v2.0/token"
Handler = Callable[[httpx.Request], httpx.Response]


def http_of(handler: Handler, **settings: object) -> LoginHttp:
    return LoginHttp(GraphSettings(**settings), httpx.MockTransport(handler))  # type: ignore[arg-type]


def test_a_form_is_posted_as_text_whatever_its_values_are() -> None:
    bodies = []

    def handler(request: httpx.Request) -> httpx.Response:
        bodies.append((request.headers["content-type"], request.content))
        return httpx.Response(400, json={"error": "invalid_grant"})

    http = http_of(handler)
    assert http.post(URL, data={"a": "b c"}).status_code == 400
    assert http.post(URL, data={"a": b"b c", "claims": None}).status_code == 400
    assert http.post(URL, data="a=b+c", headers={"X": "y"}).text == '{"error":"invalid_grant"}'
    assert bodies == [("application/x-www-form-urlencoded", b"a=b+c")] * 3
    http.close()


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(429, json={"error": "x"}),
        httpx.Response(500, json={"error": "x"}),
        httpx.Response(200, text="access_token=t0ken"),
        httpx.Response(200, json=["t0ken"]),
        httpx.Response(302, headers={"Location": "https://elsewhere.example/"}),
        httpx.Response(200, json={"a": "x" * MAX_OCTETS}),
    ],
    ids=lambda answer: str(answer.status_code),
)
def test_what_is_no_answer_of_a_login_is_unavailable(answer: httpx.Response) -> None:
    http = http_of(lambda _request: answer)
    with pytest.raises(Unavailable) as caught:
        http.post(URL, data={})
    assert "t0ken" not in caught.value.operator_text
    assert "login.microsoftonline.com" in caught.value.operator_text


def test_a_post_is_sent_once_and_a_get_twice() -> None:
    methods = []

    def handler(request: httpx.Request) -> httpx.Response:
        methods.append(request.method)
        raise httpx.ConnectError("refused")

    http = http_of(handler)
    for send in (http.get, http.post):
        with pytest.raises(Unavailable, match="refused"):
            send(URL)
    assert methods == ["GET", "GET", "POST"]


def test_a_reply_that_breaks_off_is_unavailable() -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield b"{"
            raise httpx.ReadError("cut")

    http = http_of(lambda _request: httpx.Response(200, stream=Broken()))
    with pytest.raises(Unavailable, match="cut"):
        http.post(URL)


def test_an_error_that_msal_has_no_use_for_is_unavailable() -> None:
    reply = http_of(lambda _request: httpx.Response(404, json={})).get(URL)
    with pytest.raises(Unavailable):
        reply.raise_for_status()
    http_of(lambda _request: httpx.Response(200, json={})).get(URL).raise_for_status()


def test_on_the_own_machine_it_may_be_without_tls_which_msal_does_not_see() -> None:
    seen = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(200, json={"token_endpoint": "http://127.0.0.1:8080/common/token"})

    http = http_of(handler, authority="http://127.0.0.1:8080")
    reply = http.get("https://127.0.0.1:8080/common/v2.0/.well-known/openid-configuration")
    assert seen == ["http://127.0.0.1:8080/common/v2.0/.well-known/openid-configuration"]
    assert reply.text == '{"token_endpoint":"https://127.0.0.1:8080/common/token"}'


def test_certificates_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("no certificate")
    with pytest.raises(Unavailable, match="ca_file"):
        LoginHttp(GraphSettings(ca_file=str(ca_file)))


def test_only_an_authority_without_tls_has_a_plain_origin() -> None:
    assert plain_origin("https://login.microsoftonline.com") is None
    assert plain_origin("http://localhost:1/tenant") == "http://localhost:1"
