from __future__ import annotations

import pytest

from gateway.wire.codes import Status
from gateway.wire.commands import (
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Compress,
    Enable,
    Expunge,
    Id,
    Idle,
    Login,
    Logout,
    Namespace,
    Noop,
    StartTls,
)
from gateway.wire.jmap_access import GetJmapAccess
from gateway.wire.parser.session import MAX_ID_FIELDS
from tests.gateway.wire.reading import parse, refusal


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"CAPABILITY", Capability()),
        (b"check", Check()),
        (b"CLOSE", Close(is_expunging=True)),
        (b"Unselect", Close(is_expunging=False)),
        (b"EXPUNGE", Expunge()),
        (b"GetJMAPAccess", GetJmapAccess()),  # RFC 9698
        (b"IDLE", Idle()),
        (b"LOGOUT", Logout()),
        (b"NAMESPACE", Namespace()),
        (b"NOOP", Noop()),
        (b"starttls", StartTls()),
    ],
)
def test_commands_without_arguments(line: bytes, command: Command) -> None:
    assert parse(line) == command
    assert refusal(line + b" x").status is Status.BAD


def test_compress() -> None:
    assert parse(b"compress deflate") == Compress()  # RFC 4978 section 3
    for line in (b"COMPRESS", b"COMPRESS ", b"COMPRESS GZIP", b"COMPRESS DEFLATES", b"COMPRESS DEFLATE x"):
        assert refusal(line).status is Status.BAD


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"LOGIN SMITH SESAME", Login("SMITH", b"SESAME")),  # RFC 9051 section 6.2.3
        (b"LOGIN {11+}\r\nFRED FOOBAR {7+}\r\nfat man", Login("FRED FOOBAR", b"fat man")),  # RFC 7888 section 3
        (b"LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man", Login("FRED FOOBAR", b"fat man")),
        (b'login "a \\"quoted\\\\ name" {0}\r\n', Login('a "quoted\\ name', b"")),
        (b'LOGIN user@example.org ""', Login("user@example.org", b"")),
        (b"LOGIN a]b c]d", Login("a]b", b"c]d")),
        ('LOGIN jürgen "pässword"'.encode(), Login("jürgen", "pässword".encode())),
        (b'LOGIN "j\xfcrgen" "p\xe4ss"', Login("jürgen", b"p\xe4ss")),
        (b"LOGIN NIL nil", Login("NIL", b"nil")),
    ],
)
def test_login(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"LOGIN",
        b"LOGIN bob",
        b"LOGIN bob ",
        b"LOGIN bob secret more",
        b'LOGIN "bob secret',
        b'LOGIN "CORP\\bob" secret',
        b"LOGIN (bob) secret",
        b"LOGIN bob sec*ret",
        b"LOGIN bob\tsecret",
        b"LOGIN{3+}\r\nbob secret",
    ],
)
def test_wrong_login_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


def test_refusal_of_a_login_does_not_repeat_the_password() -> None:
    assert "secret" not in refusal(b'LOGIN bob "secret').text
    assert "secret" not in refusal(b"LOGIN bob x(secret").text


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"AUTHENTICATE PLAIN", Authenticate("PLAIN", None)),
        (b"authenticate plain AHRlc3QAdGVzdA==", Authenticate("PLAIN", b"\0test\0test")),  # RFC 4959 section 5
        (b"AUTHENTICATE EXTERNAL =", Authenticate("EXTERNAL", b"")),
        (b"AUTHENTICATE SCRAM-SHA-256 biws", Authenticate("SCRAM-SHA-256", b"n,,")),
    ],
)
def test_authenticate(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"AUTHENTICATE",
        b"AUTHENTICATE PLAIN A",
        b"AUTHENTICATE PLAIN A!==",
        b'AUTHENTICATE "PLAIN"',
        b"AUTHENTICATE PLAIN == =",
    ],
)
def test_wrong_authenticate_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"ID NIL", Id(None)),
        (b"id ()", Id(())),
        (b'ID ("Name" "sodr" "version" NIL)', Id((("name", "sodr"), ("version", None)))),
        ('ID ("name" "é")'.encode(), Id((("name", "é"),))),
        (b'ID ("name" {4}\r\nsodr)', Id((("name", "sodr"),))),
    ],
)
def test_id(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"ID",
        b"ID x",
        b'ID ("name")',
        b'ID (NIL "x")',
        b'ID ("name" "x"',
        b'ID ("' + b"n" * 31 + b'" "x")',
        b'ID ("n" "' + b"x" * 1025 + b'")',
        b"ID (" + b'"n" "x" ' * (MAX_ID_FIELDS + 1) + b")",
    ],
)
def test_wrong_id_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


def test_enable() -> None:
    assert parse(b"ENABLE CONDSTORE") == Enable(("CONDSTORE",))
    assert parse(b"enable qresync x-good-idea UTF8=ACCEPT") == Enable(("QRESYNC", "X-GOOD-IDEA", "UTF8=ACCEPT"))


@pytest.mark.parametrize("line", [b"ENABLE", b"ENABLE (CONDSTORE)", b'ENABLE "CONDSTORE"'])
def test_wrong_enable_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD
