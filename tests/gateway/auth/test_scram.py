"""SCRAM, step by step."""

from __future__ import annotations

import base64

import pytest

from gateway.auth.sasl import Failure, FailureKind
from gateway.auth.scram import (
    KeyPair,
    Salt,
    ScramExchange,
    ScramHash,
    ScramKeys,
    ServerFinal,
    derive_keys,
    derive_pair,
    new_salt,
)
from tests.gateway.auth.scram_client import ScramClient

BINDING = b"\x01" * 32
SALT = Salt(b"0123456789abcdef", 4096)
KEYS = derive_pair(ScramHash.SHA256, "pencil", SALT)

# RFC 5802 section 5 and RFC 7677 section 3.
SHA1_EXAMPLE = (
    ScramHash.SHA1,
    "3rfcNHYJY1ZVvWVs7j",
    b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
    b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
    b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
)
SHA256_EXAMPLE = (
    ScramHash.SHA256,
    "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
)


@pytest.mark.parametrize(
    ("kind", "nonce", "client_first", "server_first", "client_final", "server_final"), [SHA1_EXAMPLE, SHA256_EXAMPLE]
)
def test_the_examples_of_the_standards(
    kind: ScramHash, nonce: str, client_first: bytes, server_first: bytes, client_final: bytes, server_final: bytes
) -> None:
    exchange = ScramExchange(kind, is_plus=False, binding=None, nonce=nonce)
    salt = Salt(base64.b64decode(server_first.split(b",")[1][2:]), 4096)
    assert exchange.client_first(client_first) == "user"
    assert exchange.server_first(salt) == server_first
    wrong = derive_pair(kind, "pen", salt)
    outcome = exchange.client_final(client_final, [wrong, derive_pair(kind, "pencil", salt)])
    assert outcome == ServerFinal(server_final)


def run(
    client: ScramClient,
    *,
    is_plus: bool = False,
    binding: bytes | None = None,
    keys: KeyPair = KEYS,
) -> ServerFinal | Failure | None:
    exchange = ScramExchange(ScramHash.SHA256, is_plus=is_plus, binding=binding)
    login = exchange.client_first(client.first())
    if isinstance(login, Failure):
        return login
    return exchange.client_final(client.final(exchange.server_first(SALT)), [keys])


def kind_of(outcome: object) -> FailureKind:
    assert isinstance(outcome, Failure)
    return outcome.kind


def test_a_right_password_is_proven_to_both_sides() -> None:
    client = ScramClient("user", "pencil")
    outcome = run(client)
    assert isinstance(outcome, ServerFinal)
    assert client.trusts(outcome.data)


def test_a_wrong_password_is_no_proof() -> None:
    assert run(ScramClient("user", "pen")) is None


def test_the_channel_is_bound() -> None:
    client = ScramClient("user", "pencil", flag="p=tls-server-end-point", binding=BINDING)
    assert isinstance(run(client, is_plus=True, binding=BINDING), ServerFinal)


@pytest.mark.parametrize(
    ("flag", "binding_seen", "is_plus", "binding"),
    [
        ("p=tls-server-end-point", b"\x02" * 32, True, BINDING),  # somebody in between
        ("p=tls-unique", BINDING, True, BINDING),
        ("p=tls-server-end-point", BINDING, True, None),
        ("y", b"", False, BINDING),  # the list of mechanisms was cut on the way
    ],
)
def test_a_channel_that_is_not_what_it_seems_is_refused(
    flag: str, binding_seen: bytes, is_plus: bool, binding: bytes | None
) -> None:
    client = ScramClient("user", "pencil", flag=flag, binding=binding_seen)
    assert kind_of(run(client, is_plus=is_plus, binding=binding)) is FailureKind.MISMATCH


@pytest.mark.parametrize(
    ("flag", "is_plus"), [("n", True), ("y", True), ("p=tls-server-end-point", False), ("", False), ("x", False)]
)
def test_a_flag_that_does_not_belong_to_the_mechanism_is_malformed(flag: str, is_plus: bool) -> None:
    client = ScramClient("user", "pencil", flag=flag)
    assert kind_of(run(client, is_plus=is_plus, binding=BINDING)) is FailureKind.MALFORMED


def test_a_client_that_could_bind_and_was_offered_nothing_is_let_in() -> None:
    assert isinstance(run(ScramClient("user", "pencil", flag="y")), ServerFinal)


def test_the_first_message_cannot_be_changed_on_the_way() -> None:
    exchange = ScramExchange(ScramHash.SHA256, is_plus=False, binding=None)
    client = ScramClient("user", "pencil", flag="y")
    # It said y, and somebody made that n.
    exchange.client_first(b"n" + client.first()[1:])
    outcome = exchange.client_final(client.final(exchange.server_first(SALT)), [KEYS])
    assert kind_of(outcome) is FailureKind.MISMATCH


@pytest.mark.parametrize("login", ["a,b=c", "=", "jürgen", "a@example.org"])
def test_every_login_can_be_written(login: str) -> None:
    exchange = ScramExchange(ScramHash.SHA256, is_plus=False, binding=None)
    assert exchange.client_first(ScramClient(login, "x").first()) == login


def test_acting_for_another_is_refused_and_for_oneself_is_not() -> None:
    assert kind_of(run(ScramClient("user", "pencil", authzid="a=other"))) is FailureKind.DENIED
    assert isinstance(run(ScramClient("user", "pencil", authzid="a=user")), ServerFinal)


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"n,,n=user",
        b"n,,n=,r=abc",
        b"n,,r=abc,n=user",
        b"n,,m=x,n=user,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user,r=a\x7fc",
        b"n,,n=\xff,r=abc",
        b"n,,n=us\0er,r=abc",
        b"n,a=,n=user,r=abc",
        b"n,user,n=user,r=abc",
        b"n,,n=" + b"u" * 5000 + b",r=abc",
    ],
)
def test_a_first_message_out_of_the_syntax_is_malformed(message: bytes) -> None:
    exchange = ScramExchange(ScramHash.SHA256, is_plus=False, binding=None)
    assert kind_of(exchange.client_first(message)) is FailureKind.MALFORMED


@pytest.mark.parametrize(
    "change",
    [
        lambda final: b"",
        lambda final: final.partition(b",p=")[0],
        lambda final: final.replace(b",r=", b",r=x"),
        lambda final: final[:-8],
        lambda final: final.partition(b",p=")[0] + b",p=!!!",
        lambda final: b"x=1," + final,
    ],
)
def test_a_last_message_out_of_the_syntax_is_malformed(change: object) -> None:
    assert callable(change)
    exchange = ScramExchange(ScramHash.SHA256, is_plus=False, binding=None)
    client = ScramClient("user", "pencil")
    exchange.client_first(client.first())
    final = client.final(exchange.server_first(SALT))
    assert kind_of(exchange.client_final(change(final), [KEYS])) is FailureKind.MALFORMED


def test_extensions_in_the_last_message_are_passed_over() -> None:
    # optional extensions are under the proof like the rest; this one was added on the way, and fits nothing any more
    exchange = ScramExchange(ScramHash.SHA256, is_plus=False, binding=None)
    client = ScramClient("user", "pencil")
    exchange.client_first(client.first())
    final = client.final(exchange.server_first(SALT)).replace(b",p=", b",x=1,p=")
    assert exchange.client_final(final, [KEYS]) is None


def test_keys_are_read_back_as_they_were_written() -> None:
    keys = derive_keys("pencil", new_salt())
    assert ScramKeys.from_octets(keys.to_octets()) == keys
    with pytest.raises(ValueError, match="no SCRAM keys"):
        ScramKeys.from_octets(keys.to_octets()[1:])


def test_a_password_has_the_same_keys_however_it_is_composed() -> None:
    assert derive_pair(ScramHash.SHA256, "p\u00e4ss", SALT) == derive_pair(ScramHash.SHA256, "pa\u0308ss", SALT)


def test_keys_are_not_printed() -> None:
    assert "stored_key" not in repr(KEYS)
