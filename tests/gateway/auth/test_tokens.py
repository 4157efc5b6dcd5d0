"""OAUTHBEARER and XOAUTH2, as they are written."""

from __future__ import annotations

import json

import pytest

from connectors.api.credentials import Secret
from gateway.auth.sasl import Failure, FailureKind
from gateway.auth.tokens import BearerRequest, TokenMechanism

OAUTHBEARER, XOAUTH2 = TokenMechanism.OAUTHBEARER, TokenMechanism.XOAUTH2
TOKEN = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="


@pytest.mark.parametrize(
    ("mechanism", "message", "acting", "token"),
    [
        # RFC 7628 section 4.1
        (
            OAUTHBEARER,
            b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer "
            + TOKEN.encode()
            + b"\x01\x01",
            "user@example.com",
            TOKEN,
        ),
        (OAUTHBEARER, b"n,,\x01auth=bearer abc\x01\x01", "", "abc"),
        (OAUTHBEARER, b"y,a=a=2Cb=3Dc,\x01auth=Bearer abc\x01\x01", "a,b=c", "abc"),
        # RFC 7628 section 4.3: asks what would be needed
        (
            OAUTHBEARER,
            b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01",
            "user@example.com",
            "",
        ),
        (OAUTHBEARER, b"n,,\x01\x01", "", ""),
        (OAUTHBEARER, b"n,,\x01auth=MAC abc\x01\x01", "", ""),
        (
            XOAUTH2,
            b"user=someuser@example.com\x01auth=Bearer ya29.vF9dft4\x01\x01",
            "someuser@example.com",
            "ya29.vF9dft4",
        ),
        (XOAUTH2, b"user=jos\xc3\xa9\x01auth=Bearer abc\x01", "jos\u00e9", "abc"),
    ],
)
def test_login_and_token_are_read(mechanism: TokenMechanism, message: bytes, acting: str, token: str) -> None:
    assert mechanism.parse(message) == BearerRequest(acting, Secret(token))


@pytest.mark.parametrize(
    ("mechanism", "message"),
    [
        (OAUTHBEARER, b""),
        (OAUTHBEARER, b"\x01"),
        (OAUTHBEARER, b"n,,"),
        (OAUTHBEARER, b"n\x01auth=Bearer abc\x01\x01"),
        (OAUTHBEARER, b"p=tls-server-end-point,,\x01auth=Bearer abc\x01\x01"),
        (OAUTHBEARER, b"n,user,\x01auth=Bearer abc\x01\x01"),
        (OAUTHBEARER, b"n,a=,\x01auth=Bearer abc\x01\x01"),
        (OAUTHBEARER, b"n,a=x=y,\x01auth=Bearer abc\x01\x01"),
        (OAUTHBEARER, b"n,,x\x01auth=Bearer abc\x01\x01"),
        (OAUTHBEARER, b"n,,\x01auth=Bearer a\xffc\x01\x01"),
        (OAUTHBEARER, b"n,,\x01auth=Bearer a\0c\x01\x01"),
        (XOAUTH2, b"user=\x01auth=Bearer abc\x01\x01"),
        (XOAUTH2, b"n,a=user,\x01auth=Bearer abc\x01\x01"),
        (XOAUTH2, b"user=\xff\x01auth=Bearer abc\x01\x01"),
        (XOAUTH2, b"user=someuser"),
    ],
)
def test_what_is_not_the_syntax_is_malformed(mechanism: TokenMechanism, message: bytes) -> None:
    outcome = mechanism.parse(message)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.MALFORMED


def test_a_refusal_is_told_in_json() -> None:
    url = "https://id.example.org/.well-known/openid-configuration"
    assert json.loads(OAUTHBEARER.refusal(url)) == {"status": "invalid_token", "openid-configuration": url}
    assert json.loads(XOAUTH2.refusal(url)) == {"status": "401", "schemes": "bearer"}
