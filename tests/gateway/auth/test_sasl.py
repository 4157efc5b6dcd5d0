"""SASL mechanisms, step by step."""

from __future__ import annotations

import pytest

from connectors.api.credentials import Secret
from gateway.auth.sasl import MECHANISMS, Challenge, Credentials, Failure, FailureKind, Login, Plain, start


@pytest.mark.parametrize(
    ("response", "login", "password"),
    [
        (b"\0tim\0tanstaaftanstaaf", "tim", "tanstaaftanstaaf"),  # RFC 4616 section 4
        (b"tim\0tim\0secret", "tim", "secret"),
        ("\0jürgen\0pässwörd ☃".encode(), "jürgen", "pässwörd ☃"),
        (b"\0a@example.org\0 leading and trailing ", "a@example.org", " leading and trailing "),
    ],
)
def test_plain_gives_login_and_password(response: bytes, login: str, password: str) -> None:
    assert Plain().step(response) == Credentials(login, Secret(password))


def test_plain_without_initial_response_asks_with_an_empty_challenge() -> None:
    mechanism = Plain()
    assert mechanism.step(None) == Challenge(b"")
    assert mechanism.step(b"\0tim\0secret") == Credentials("tim", Secret("secret"))


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"tim",
        b"\0tim",
        b"\0\0",
        b"\0\0secret",
        b"\0tim\0",
        b"\0tim\0sec\0ret",
        b"\0tim\0\xff\xfe",
        b"\0\xc3\x28\0secret",
        b"\xff\0tim\0secret",
        b"\0" + b"t" * 5000 + b"\0secret",
        b"\0tim\0" + b"s" * 5000,
    ],
)
def test_plain_refuses_what_is_not_its_syntax(response: bytes) -> None:
    outcome = Plain().step(response)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.MALFORMED


def test_plain_does_not_let_anybody_act_as_another_user() -> None:
    outcome = Plain().step(b"Ursel\0Kurt\0xipj3plmq")  # RFC 4616 section 4
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.DENIED


def test_login_asks_for_login_then_password() -> None:
    mechanism = Login()
    assert mechanism.step(None) == Challenge(b"Username:")
    assert mechanism.step(b"tim") == Challenge(b"Password:")
    assert mechanism.step(b"secret") == Credentials("tim", Secret("secret"))


def test_login_takes_the_initial_response_as_the_login() -> None:
    mechanism = Login()
    assert mechanism.step(b"tim") == Challenge(b"Password:")
    assert mechanism.step(b"secret") == Credentials("tim", Secret("secret"))


@pytest.mark.parametrize("response", [b"", b"\xff", b"ti\0m", b"x" * 5000])
def test_login_refuses_what_is_no_text(response: bytes) -> None:
    outcome = Login().step(response)
    assert isinstance(outcome, Failure)
    assert outcome.kind is FailureKind.MALFORMED


def test_an_exchange_is_started_by_name() -> None:
    assert isinstance(start("plain"), Plain)
    assert isinstance(start("LOGIN"), Login)
    assert start("CRAM-MD5") is None
    assert set(MECHANISMS) == {"PLAIN", "LOGIN"}


def test_credentials_do_not_print_the_password() -> None:
    assert "hunter2" not in repr(Plain().step(b"\0tim\0hunter2"))
