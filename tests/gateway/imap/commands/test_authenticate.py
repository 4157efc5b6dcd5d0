"""AUTHENTICATE as clients speak it."""

from __future__ import annotations

import asyncio
import base64
import imaplib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import trustme

from gateway.auth.named_users import NamedUsers
from gateway.imap.listener import Protocol
from gateway.imap.settings import ImapSettings
from gateway.store import users
from gateway.tls import ServerTls, end_point, write_self_signed
from tests.gateway.auth.provider import Provider
from tests.gateway.auth.scram_client import ScramClient
from tests.scenarios.line_client import LineClient
from tests.scenarios.login_serving import (
    Authority,
    make_scram,
    trusting,
    with_certificates,
    with_keys,
    with_tokens,
)
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import LOGIN, PASSWORD, serving

PLUS = "p=tls-server-end-point"


@pytest.fixture
def tls(tmp_path: Path) -> ServerTls:
    write_self_signed(tmp_path / "cert.pem", tmp_path / "key.pem")
    return ServerTls(tmp_path / "cert.pem", tmp_path / "key.pem")


async def exchange(client: LineClient, name: str, sasl: ScramClient, *, is_initial: bool = True) -> bytes:
    """Run one exchange and return the tagged answer."""
    first = base64.b64encode(sasl.first())
    if is_initial:
        client.write(b"a AUTHENTICATE %b %b\r\n" % (name.encode(), first))
    else:
        client.write(b"a AUTHENTICATE %b\r\n" % name.encode())
        assert await client.line() == b"+ "
        client.write(first + b"\r\n")
    line = await client.line()
    if not line.startswith(b"+ "):
        return line
    client.write(base64.b64encode(sasl.final(base64.b64decode(line[2:]))) + b"\r\n")
    line = await client.line()
    if not line.startswith(b"+ "):
        return line
    assert sasl.trusts(base64.b64decode(line[2:]))
    client.write(b"\r\n")
    return await client.line()


@pytest.mark.parametrize(("name", "algorithm"), [("SCRAM-SHA-256", "sha256"), ("scram-sha-1", "sha1")])
@pytest.mark.parametrize("is_initial", [True, False])
async def test_scram_logs_in(tmp_path: Path, name: str, algorithm: str, is_initial: bool) -> None:
    async with with_keys(tmp_path) as served:
        client = await served.connect()
        assert b" AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN " in await client.expect(b"* OK ")
        answer = await exchange(client, name, ScramClient(LOGIN.upper(), PASSWORD, algorithm), is_initial=is_initial)
        assert answer.startswith(b"a OK [CAPABILITY ")
        assert (await client.ask(b"b SELECT INBOX"))[-1].startswith(b"b OK ")


async def test_a_wrong_proof_is_a_failed_login(tmp_path: Path) -> None:
    async with with_keys(tmp_path) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        for login in (LOGIN, "ghost"):
            answer = await exchange(client, "SCRAM-SHA-256", ScramClient(login, "wrong"))
            assert answer.startswith(b"a NO [AUTHENTICATIONFAILED] ")


async def test_scram_is_not_offered_while_a_password_has_no_keys(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), make_scram=make_scram) as served:
        client = await served.connect()
        assert b"SCRAM" not in await client.expect(b"* OK ")
        answer = await exchange(client, "SCRAM-SHA-256", ScramClient(LOGIN, PASSWORD))
        assert answer.startswith(b"a NO [CANNOT] ")


async def test_scram_can_be_switched_off(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        assert (await exchange(client, "SCRAM-SHA-1", ScramClient(LOGIN, PASSWORD, "sha1"))).startswith(
            b"a NO [CANNOT]"
        )


async def test_the_client_may_give_up_when_the_server_does_not_convince_it(tmp_path: Path) -> None:
    async with with_keys(tmp_path) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        sasl = ScramClient(LOGIN, PASSWORD)
        client.write(b"a AUTHENTICATE SCRAM-SHA-256 %b\r\n" % base64.b64encode(sasl.first()))
        first = await client.expect(b"+ ")
        client.write(base64.b64encode(sasl.final(base64.b64decode(first[2:]))) + b"\r\n")
        await client.expect(b"+ ")
        client.write(b"*\r\n")
        await client.expect(b"a BAD ")
        assert (await client.ask(b"b SELECT INBOX"))[-1].startswith(b"b BAD ")


async def test_something_behind_the_proof_is_no_login(tmp_path: Path) -> None:
    async with with_keys(tmp_path) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        sasl = ScramClient(LOGIN, PASSWORD)
        client.write(b"a AUTHENTICATE SCRAM-SHA-256 %b\r\n" % base64.b64encode(sasl.first()))
        first = await client.expect(b"+ ")
        client.write(base64.b64encode(sasl.final(base64.b64decode(first[2:]))) + b"\r\n")
        await client.expect(b"+ ")
        client.write(b"Zm9v\r\n")
        await client.expect(b"a BAD ")


@pytest.mark.parametrize("response", [b"!", b"biws", b"*", base64.b64encode(b"n,,n=a,r=b") + b"x" * 70000])
async def test_what_is_no_response_is_bad_and_the_session_goes_on(tmp_path: Path, response: bytes) -> None:
    async with with_keys(tmp_path) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        client.write(b"a AUTHENTICATE SCRAM-SHA-256\r\n")
        await client.expect(b"+ ")
        client.write(response + b"\r\n")
        await client.expect(b"a BAD ")


async def test_the_channel_is_bound_over_tls(tmp_path: Path, tls: ServerTls) -> None:
    binding = end_point((tmp_path / "cert.pem").read_bytes())
    assert binding is not None
    async with with_keys(tmp_path, tls, Protocol.IMAPS) as served:
        for name, algorithm in (("SCRAM-SHA-256-PLUS", "sha256"), ("SCRAM-SHA-1-PLUS", "sha1")):
            client = await served.connect(trusting(tmp_path))
            assert f"AUTH={name} ".encode() in await client.expect(b"* OK ")
            sasl = ScramClient(LOGIN, PASSWORD, algorithm, flag=PLUS, binding=binding)
            assert (await exchange(client, name, sasl)).startswith(b"a OK ")


async def test_another_channel_is_refused_and_so_is_a_list_that_was_cut(tmp_path: Path, tls: ServerTls) -> None:
    async with with_keys(tmp_path, tls, Protocol.IMAPS) as served:
        client = await served.connect(trusting(tmp_path))
        await client.expect(b"* OK ")
        relayed = ScramClient(LOGIN, PASSWORD, flag=PLUS, binding=b"\0" * 32)
        answer = await exchange(client, "SCRAM-SHA-256-PLUS", relayed)
        assert answer.startswith(b"a NO [AUTHENTICATIONFAILED] ")
        downgraded = ScramClient(LOGIN, PASSWORD, flag="y")
        answer = await exchange(client, "SCRAM-SHA-256", downgraded)
        assert answer.startswith(b"a NO [AUTHENTICATIONFAILED] ")
        assert (await exchange(client, "SCRAM-SHA-256", ScramClient(LOGIN, PASSWORD))).startswith(b"a OK ")


async def test_starttls_brings_the_bound_forms(tmp_path: Path, tls: ServerTls) -> None:
    async with with_keys(tmp_path, tls) as served:
        client = await served.connect()
        assert b"-PLUS" not in await client.expect(b"* OK ")
        assert (await exchange(client, "SCRAM-SHA-256-PLUS", ScramClient(LOGIN, PASSWORD, flag=PLUS))).startswith(
            b"a NO [CANNOT] "
        )
        await client.ask(b"b STARTTLS")
        async with asyncio.timeout(10):
            await client.writer.start_tls(trusting(tmp_path), server_hostname="localhost")
        assert b" AUTH=SCRAM-SHA-256-PLUS " in (await client.ask(b"c CAPABILITY"))[0]
        binding = tls.end_point
        assert binding is not None
        sasl = ScramClient(LOGIN, PASSWORD, flag=PLUS, binding=binding)
        assert (await exchange(client, "SCRAM-SHA-256-PLUS", sasl)).startswith(b"a OK ")


async def test_imaplib_logs_in_by_scram(tmp_path: Path, tls: ServerTls) -> None:
    """Python's own client: the mechanism is asked for an answer to each challenge, the first being empty."""

    def session(port: int) -> tuple[str, str]:
        sasl = ScramClient(LOGIN, PASSWORD)
        answers: list[Callable[[bytes], bytes]] = [lambda _: sasl.first(), sasl.final, lambda _: b""]

        def answer(challenge: bytes) -> bytes:
            return answers.pop(0)(challenge)

        with imaplib.IMAP4_SSL("localhost", port, ssl_context=trusting(tmp_path), timeout=10) as imap:
            status, _ = imap.authenticate("SCRAM-SHA-256", answer)
            selected, _ = imap.select("INBOX")
            return status, selected

    async with with_keys(tmp_path, tls, Protocol.IMAPS) as served:
        assert await asyncio.to_thread(session, served.port) == ("OK", "OK")


# -- EXTERNAL ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("response", [b" =", b"", b" " + base64.b64encode(LOGIN.encode())])
async def test_a_certificate_logs_in(tmp_path: Path, authority: Authority, response: bytes) -> None:
    async with with_certificates(tmp_path, authority, Protocol.IMAPS) as served:
        client = await served.connect(authority.client(name=LOGIN.upper()))
        assert b" AUTH=EXTERNAL " in await client.expect(b"* OK ")
        client.write(b"a AUTHENTICATE EXTERNAL%b\r\n" % response)
        if not response:
            await client.expect(b"+ ")
            client.write(b"\r\n")
        await client.expect(b"a OK [CAPABILITY ")
        assert (await client.ask(b"b SELECT INBOX"))[-1].startswith(b"b OK ")


async def test_a_certificate_shown_after_starttls_logs_in(tmp_path: Path, authority: Authority) -> None:
    async with with_certificates(tmp_path, authority, Protocol.IMAP) as served:
        client = await served.connect()
        assert b"EXTERNAL" not in await client.expect(b"* OK ")
        await client.ask(b"a STARTTLS")
        async with asyncio.timeout(10):
            await client.writer.start_tls(authority.client(name=LOGIN), server_hostname="localhost")
        assert b" AUTH=EXTERNAL " in (await client.ask(b"b CAPABILITY"))[0]
        assert (await client.ask(b"c AUTHENTICATE EXTERNAL ="))[-1].startswith(b"c OK ")


async def test_the_mail_addresses_of_a_certificate_go_before_its_common_name(
    tmp_path: Path, authority: Authority
) -> None:
    async with with_certificates(tmp_path, authority, Protocol.IMAPS) as served:
        await served.store.write(lambda tx: users.add_user(tx, "bert@example.org", "hash"))
        client = await served.connect(authority.client("carla@example.org", "bert@example.org", name=LOGIN))
        await client.expect(b"* OK ")
        asked = base64.b64encode(LOGIN.encode())
        assert (await client.ask(b"a AUTHENTICATE EXTERNAL " + asked))[-1].startswith(b"a NO [AUTHORIZATIONFAILED] ")
        assert (await client.ask(b"b AUTHENTICATE EXTERNAL ="))[-1].startswith(b"b OK ")


async def test_a_certificate_of_nobody_is_no_login(tmp_path: Path, authority: Authority) -> None:
    async with with_certificates(tmp_path, authority, Protocol.IMAPS) as served:
        # As after a declaration that is gone.
        await served.store.write(lambda tx: users.add_user(tx, "dropped", None))
        for name in ("stranger", "dropped"):
            client = await served.connect(authority.client(name=name))
            await client.expect(b"* OK ")
            answer = (await client.ask(b"a AUTHENTICATE EXTERNAL ="))[-1]
            assert answer.startswith(b"a NO [AUTHENTICATIONFAILED] ")
            assert (await client.ask(b"b AUTHENTICATE EXTERNAL YQBi"))[-1].startswith(b"b BAD ")
            assert (await client.ask(b"c AUTHENTICATE EXTERNAL /w=="))[-1].startswith(b"c BAD ")


async def test_a_client_without_a_certificate_is_not_offered_external(tmp_path: Path, authority: Authority) -> None:
    async with with_certificates(tmp_path, authority, Protocol.IMAPS) as served:
        client = await served.connect(trusting(tmp_path))
        assert b"EXTERNAL" not in await client.expect(b"* OK ")
        assert (await client.ask(b"a AUTHENTICATE EXTERNAL ="))[-1].startswith(b"a NO [CANNOT] ")
        assert (await client.ask(f"b LOGIN {LOGIN} {PASSWORD}".encode()))[-1].startswith(b"b OK ")


async def test_a_certificate_of_another_authority_is_turned_away(tmp_path: Path, authority: Authority) -> None:
    async with with_certificates(tmp_path, authority, Protocol.IMAPS) as served:
        stranger = authority.client(name=LOGIN, ca=trustme.CA())

        async def read_greeting() -> None:
            client = await served.connect(stranger)
            await client.line()

        with pytest.raises((ssl.SSLError, ConnectionError, EOFError)):
            await read_greeting()


# -- OAUTHBEARER and XOAUTH2 -------------------------------------------------------------------------------------------


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    yield provider
    await provider.client.aclose()


def bearer(token: str, login: str = "") -> bytes:
    acting = f"a={login}" if login else ""
    return base64.b64encode(f"n,{acting},\x01host=localhost\x01port=143\x01auth=Bearer {token}\x01\x01".encode())


def xoauth2(token: str, login: str = LOGIN) -> bytes:
    return base64.b64encode(f"user={login}\x01auth=Bearer {token}\x01\x01".encode())


async def test_a_token_logs_in(tmp_path: Path, provider: Provider) -> None:
    async with with_tokens(tmp_path, provider) as served:
        for request in (
            b"OAUTHBEARER " + bearer(provider.token()),
            b"OAUTHBEARER " + bearer(provider.token(), LOGIN.upper()),
            b"XOAUTH2 " + xoauth2(provider.token()),
            b"xoauth2 " + xoauth2(provider.token(email=LOGIN.upper())),
        ):
            client = await served.connect()
            assert b" AUTH=OAUTHBEARER AUTH=XOAUTH2 " in await client.expect(b"* OK ")
            assert (await client.ask(b"a AUTHENTICATE " + request))[-1].startswith(b"a OK [CAPABILITY ")
            assert (await client.ask(b"b SELECT INBOX"))[-1].startswith(b"b OK ")


async def test_a_token_may_come_after_the_command(tmp_path: Path, provider: Provider) -> None:
    async with with_tokens(tmp_path, provider) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        client.write(b"a AUTHENTICATE OAUTHBEARER\r\n")
        assert await client.line() == b"+ "
        client.write(bearer(provider.token()) + b"\r\n")
        await client.expect(b"a OK ")


@pytest.mark.parametrize("dummy", [b"AQ==", b"", b"AA=="])
@pytest.mark.parametrize("is_xoauth2", [False, True])
async def test_a_refused_token_is_told_in_json_and_then_fails(
    tmp_path: Path, provider: Provider, dummy: bytes, is_xoauth2: bool
) -> None:
    async with with_tokens(tmp_path, provider) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        expired = provider.token(exp=1.0)
        client.write(
            b"a AUTHENTICATE " + (b"XOAUTH2 " + xoauth2(expired) if is_xoauth2 else b"OAUTHBEARER " + bearer(expired))
        )
        client.write(b"\r\n")
        told = json.loads(base64.b64decode((await client.expect(b"+ "))[2:]))
        assert told["status"] == ("401" if is_xoauth2 else "invalid_token")
        client.write(dummy + b"\r\n")
        await client.expect(b"a NO [AUTHENTICATIONFAILED] ")
        assert (await client.ask(b"b AUTHENTICATE XOAUTH2 " + xoauth2(provider.token())))[-1].startswith(b"b OK ")


@pytest.mark.parametrize(
    "request_of",
    [
        lambda provider: b"OAUTHBEARER " + bearer(provider.token(email="stranger")),
        lambda provider: b"OAUTHBEARER " + bearer(provider.token(email="dropped")),
        lambda provider: b"OAUTHBEARER " + bearer(provider.token(), "bert"),
        lambda provider: b"XOAUTH2 " + xoauth2(provider.token(), "bert"),
        lambda provider: b"OAUTHBEARER " + bearer(provider.token(aud="another")),
        lambda provider: b"OAUTHBEARER " + bearer(""),
    ],
)
async def test_a_token_of_somebody_else_is_no_login(
    tmp_path: Path, provider: Provider, request_of: Callable[[Provider], bytes]
) -> None:
    async with with_tokens(tmp_path, provider) as served:
        await served.store.write(lambda tx: users.add_user(tx, "bert", "hash"))
        await served.store.write(lambda tx: users.add_user(tx, "dropped", None))
        client = await served.connect()
        await client.expect(b"* OK ")
        client.write(b"a AUTHENTICATE " + request_of(provider) + b"\r\n")
        await client.expect(b"+ ")
        client.write(b"AQ==\r\n")
        await client.expect(b"a NO [AUTHENTICATIONFAILED] ")


async def test_a_client_may_give_up_instead_of_answering_the_refusal(tmp_path: Path, provider: Provider) -> None:
    async with with_tokens(tmp_path, provider) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        client.write(b"a AUTHENTICATE XOAUTH2 " + xoauth2("abc") + b"\r\n")
        await client.expect(b"+ ")
        client.write(b"*\r\n")
        await client.expect(b"a BAD ")


async def test_a_provider_that_is_down_makes_no_token_wrong(tmp_path: Path, provider: Provider) -> None:
    async with with_tokens(tmp_path, provider) as served:
        provider.is_down = True
        client = await served.connect()
        await client.expect(b"* OK ")
        answer = (await client.ask(b"a AUTHENTICATE XOAUTH2 " + xoauth2(provider.token())))[-1]
        assert answer.startswith(b"a NO [UNAVAILABLE] ")
        # Passwords are none of its business.
        assert (await client.ask(f"b LOGIN {LOGIN} {PASSWORD}".encode()))[-1].startswith(b"b OK ")


async def test_too_many_refused_tokens_end_the_connection(tmp_path: Path, provider: Provider) -> None:
    async with with_tokens(tmp_path, provider, ImapSettings(login_failures_per_connection=2)) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        for _ in range(2):
            client.write(b"a AUTHENTICATE XOAUTH2 " + xoauth2("abc") + b"\r\n")
            await client.expect(b"+ ")
            client.write(b"\r\n")
            lines = await client.lines_to(b"a NO [AUTHENTICATIONFAILED] ")
        assert lines[0].startswith(b"* BYE ")
        assert await client.at_end()


async def test_no_token_is_written_to_the_log(
    tmp_path: Path, provider: Provider, caplog: pytest.LogCaptureFixture
) -> None:
    async with with_tokens(tmp_path, provider) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        token = provider.token(aud="another")
        client.write(b"a AUTHENTICATE XOAUTH2 " + xoauth2(token) + b"\r\n")
        await client.expect(b"+ ")
        client.write(b"\r\n")
        await client.expect(b"a NO ")
        assert "failed: Audience" in caplog.text
        assert token.rpartition(".")[2] not in caplog.text


async def test_tokens_are_not_offered_without_a_provider(tmp_path: Path) -> None:
    async with serving(tmp_path, OutsideMemory(), make_named=NamedUsers) as served:
        client = await served.connect()
        assert b"OAUTH" not in await client.expect(b"* OK ")
        assert (await client.ask(b"a AUTHENTICATE XOAUTH2 " + xoauth2("abc")))[-1].startswith(b"a NO [CANNOT] ")


async def test_what_is_not_the_syntax_is_bad(tmp_path: Path, provider: Provider) -> None:
    async with with_tokens(tmp_path, provider) as served:
        client = await served.connect()
        await client.expect(b"* OK ")
        for number, name in enumerate((b"OAUTHBEARER", b"XOAUTH2")):
            answer = (await client.ask(b"a%d AUTHENTICATE %b Zm9v" % (number, name)))[-1]
            assert answer.startswith(b"a%d BAD " % number)
