"""What is said to log in."""

from __future__ import annotations

import pytest

from connectors.api.credentials import BearerCredential, Credential, PasswordCredential, Secret
from connectors.api.errors import AuthExpired, Unsupported
from connectors.imap.sasl import Mechanism, choose, decoded_challenge, error_answer, initial_response
from connectors.imap.settings import Auth

PASSWORD = PasswordCredential("ann", Secret("päss"))
TOKEN = BearerCredential("ann=,@example.org", Secret("tok"))


@pytest.mark.parametrize(
    ("credential", "offered", "chosen"),
    [
        (PASSWORD, {"AUTH=PLAIN"}, Mechanism.PLAIN),
        (PASSWORD, {"AUTH=PLAIN", "LOGINDISABLED"}, Mechanism.PLAIN),
        (PASSWORD, {"AUTH=XOAUTH2"}, Mechanism.LOGIN),
        (TOKEN, {"AUTH=PLAIN", "AUTH=XOAUTH2"}, Mechanism.XOAUTH2),
        (TOKEN, {"AUTH=OAUTHBEARER", "AUTH=XOAUTH2"}, Mechanism.OAUTHBEARER),
        (PASSWORD, {"LOGINDISABLED"}, None),
        (TOKEN, {"AUTH=PLAIN"}, None),
    ],
)
def test_auto_takes_the_best_that_fits(credential: Credential, offered: set[str], chosen: Mechanism | None) -> None:
    if chosen is None:
        with pytest.raises(Unsupported):
            choose(Auth.AUTO, credential, frozenset(offered))
    else:
        assert choose(Auth.AUTO, credential, frozenset(offered)) is chosen


def test_a_forced_way_needs_its_kind_of_credential() -> None:
    assert choose(Auth.LOGIN, PASSWORD, frozenset({"AUTH=PLAIN"})) is Mechanism.LOGIN
    for auth, credential in ((Auth.XOAUTH2, PASSWORD), (Auth.PLAIN, TOKEN)):
        with pytest.raises(AuthExpired):
            choose(auth, credential, frozenset())


@pytest.mark.parametrize(
    ("mechanism", "credential", "message"),
    [
        (Mechanism.PLAIN, PASSWORD, "\0ann\0päss"),
        (Mechanism.XOAUTH2, TOKEN, "user=ann=,@example.org\1auth=Bearer tok\1\1"),
        (Mechanism.OAUTHBEARER, TOKEN, "n,a=ann=3D=2C@example.org,\1host=h\1port=993\1auth=Bearer tok\1\1"),
    ],
)
def test_messages_are_as_the_mechanisms_want_them(mechanism: Mechanism, credential: Credential, message: str) -> None:
    assert initial_response(mechanism, credential, "h", 993) == message.encode()


@pytest.mark.parametrize("secret", ["a\0b", "a\1b", "a\r\nb"])
def test_control_characters_are_refused(secret: str) -> None:
    with pytest.raises(AuthExpired):
        initial_response(Mechanism.XOAUTH2, BearerCredential("ann", Secret(secret)), "h", 1)


def test_only_oauth_has_an_answer_to_an_error() -> None:
    answers = {mechanism: error_answer(mechanism) for mechanism in Mechanism}
    assert answers == {
        Mechanism.LOGIN: None,
        Mechanism.PLAIN: None,
        Mechanism.XOAUTH2: b"",
        Mechanism.OAUTHBEARER: b"\1",
    }


def test_a_challenge_is_shown_decoded_and_short() -> None:
    assert decoded_challenge(b"eyJhIjoxfQ==") == '{"a":1}'
    assert decoded_challenge(b"not base64!") == "not base64!"
    assert len(decoded_challenge(b"QUFB" * 1000)) == 300
