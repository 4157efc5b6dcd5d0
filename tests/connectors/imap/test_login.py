"""Greeting, TLS, logging in."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import pytest

from connectors.api.credentials import BearerCredential, Credential, FixedCredential, PasswordCredential, Secret
from connectors.api.errors import AuthExpired, ConnectorError, Denied, RateLimited, Unavailable, Unsupported
from connectors.api.spec import SettingValue
from connectors.imap.login import connect
from connectors.imap.settings import parse_settings
from tests.connectors.imap.scripted import CREDENTIALS, Peer, scripted, settings_for
from tests.servers.dovecot import PASSWORD, Dovecot

Values = dict[str, SettingValue]
TOKEN = FixedCredential(BearerCredential("ann@example.org", Secret("tok")))


async def test_bye_as_greeting_is_told_with_its_text() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* BYE come back tomorrow\r\n")

    async with scripted(script) as server:
        with pytest.raises(Unavailable, match="come back tomorrow"):
            await connect(settings_for(server), CREDENTIALS)


@pytest.mark.parametrize("text", [b"Too many connections", b"[ALERT] Maximum number of connections exceeded"])
async def test_bye_for_the_number_of_connections_says_to_come_later(text: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* BYE " + text + b"\r\n")

    async with scripted(script) as server:
        with pytest.raises(RateLimited, match="connections"):
            await connect(settings_for(server), CREDENTIALS)


@pytest.mark.parametrize(
    "greeting",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"* 3 EXISTS\r\n", b"", b"\x15\x03\x01\x00\x02\r\n"],
)
async def test_what_is_no_imap_server_is_unavailable(greeting: bytes) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(greeting)

    async with scripted(script) as server:
        with pytest.raises(Unavailable):
            await connect(settings_for(server), CREDENTIALS)


async def test_a_server_that_does_not_greet_is_given_up() -> None:
    async with scripted(Peer.gone) as server:
        with pytest.raises(Unavailable, match="nothing came"):
            await connect(settings_for(server, timeout_s=0.2), CREDENTIALS)


async def test_a_closed_port_is_unavailable() -> None:
    listener = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    with pytest.raises(Unavailable, match="failed"):
        await connect(parse_settings({"host": "127.0.0.1", "port": port, "tls": "none"}), CREDENTIALS)


async def test_plain_text_where_tls_is_expected_is_unavailable() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK hello\r\n")
        await peer.gone()

    async with scripted(script) as server:
        with pytest.raises(Unavailable):
            await connect(settings_for(server, tls="implicit"), CREDENTIALS)


async def test_capabilities_are_read_again_after_login() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK hello\r\n")
        await peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n")
        await peer.expect(b"AUTHENTICATE PLAIN")
        await peer.send(b"+ \r\n")
        assert await peer.line() == base64.b64encode(b"\0ann\0secret")
        # Gmail sends what it offers unasked before the OK; that it is asked again does no harm.
        await peer.send(b"* CAPABILITY IMAP4rev1 LIES\r\nG2 OK welcome\r\n")
        await peer.answer(b"CAPABILITY", b"* CAPABILITY IMAP4rev1 UIDPLUS MOVE\r\n")

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        assert connection.capabilities == {"IMAP4REV1", "UIDPLUS", "MOVE"}
        connection.abort()


async def test_sasl_ir_saves_a_round_trip_and_its_refusal_costs_one() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hello\r\n")
        await peer.answer(b"AUTHENTICATE PLAIN " + base64.b64encode(b"\0ann\0secret"), ending=b"BAD what?")
        await peer.expect(b"AUTHENTICATE PLAIN")
        await peer.send(b"+ \r\n")
        await peer.line()
        await peer.send(b"G2 OK [CAPABILITY IMAP4rev1] welcome\r\n")

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        connection.abort()


@pytest.mark.parametrize(("mechanism", "last_word"), [(b"XOAUTH2", b""), (b"OAUTHBEARER", b"AQ==")])
@pytest.mark.parametrize("with_ir", [True, False])
async def test_the_challenge_that_tells_an_oauth_error_is_answered(
    mechanism: bytes, last_word: bytes, with_ir: bool
) -> None:
    challenge = base64.b64encode(b'{"status":"400"}')

    async def script(peer: Peer) -> None:
        ir = b" SASL-IR" if with_ir else b""
        await peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=%b%b] hello\r\n" % (mechanism, ir))
        tag = await peer.expect(b"AUTHENTICATE " + mechanism)
        if not with_ir:
            await peer.send(b"+ \r\n")
            await peer.line()
        await peer.send(b"+ " + challenge + b"\r\n")
        assert await peer.line() == last_word
        await peer.send(tag + b" NO authentication failed\r\n")
        await peer.gone()

    async with scripted(script) as server:
        with pytest.raises(AuthExpired, match='"status":"400"'):
            await connect(settings_for(server), TOKEN)


class Refreshing:
    """Credentials whose first token is stale."""

    def __init__(self) -> None:
        self.refused_tokens: list[str] = []

    async def get(self) -> Credential:
        return BearerCredential("ann", Secret(f"t{len(self.refused_tokens)}"))

    async def refused(self, credential: Credential) -> None:
        assert isinstance(credential, BearerCredential)
        self.refused_tokens.append(credential.token.reveal())


async def test_a_refused_token_is_exchanged_for_a_fresh_one_once() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hello\r\n")
        await peer.answer(b"AUTHENTICATE XOAUTH2 ", ending=b"NO stale")
        await peer.gone()

    async def accept(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1 AUTH=XOAUTH2 SASL-IR] hello\r\n")
        first = base64.b64encode(b"user=ann\1auth=Bearer t1\1\1")
        await peer.answer(b"AUTHENTICATE XOAUTH2 " + first, ending=b"OK [CAPABILITY IMAP4rev1] welcome")

    credentials = Refreshing()
    async with scripted(refuse, accept) as server:
        connection = await connect(settings_for(server), credentials)
        connection.abort()
    assert credentials.refused_tokens == ["t0"]
    async with scripted(refuse, refuse) as server:
        with pytest.raises(AuthExpired):
            await connect(settings_for(server), credentials)
    assert credentials.refused_tokens == ["t0", "t1", "t2"]


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        (b"NO [AUTHENTICATIONFAILED] wrong", AuthExpired),
        (b"NO wrong", AuthExpired),
        (b"NO [UNAVAILABLE] directory down", Unavailable),
        (b"NO [LIMIT] later", RateLimited),
        (b"NO [ALERT] Too many simultaneous connections. (Failure)", RateLimited),
        (b"NO [CONTACTADMIN] blocked", Denied),
    ],
)
async def test_a_refused_login_is_told_by_its_reason(ending: bytes, error: type[ConnectorError]) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        await peer.answer(b"LOGIN ann secret", ending=ending)
        await peer.gone()

    async with scripted(script) as server:
        with pytest.raises(error) as raised:
            await connect(settings_for(server), CREDENTIALS)
    assert "secret" not in raised.value.operator_text


async def test_no_way_to_log_in_is_told_before_a_password_is_sent() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] hello\r\n")
        assert await peer.line() == b""

    for credentials in (CREDENTIALS, TOKEN):
        async with scripted(script) as server:
            with pytest.raises(Unsupported):
                await connect(settings_for(server), credentials)


async def test_preauth_before_starttls_is_not_trusted() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n")
        assert await peer.line() == b""

    async with scripted(script) as server:
        with pytest.raises(Unavailable, match="PREAUTH before TLS"):
            await connect(settings_for(server, tls="starttls"), CREDENTIALS)


async def test_without_starttls_no_password_is_sent() -> None:
    async def script(peer: Peer) -> None:
        await peer.send(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        await peer.answer(b"STARTTLS", ending=b"BAD what?")
        assert await peer.line() == b""

    async with scripted(script) as server:
        with pytest.raises(Unsupported, match="STARTTLS"):
            await connect(settings_for(server, tls="starttls"), CREDENTIALS)


async def test_id_is_sent_and_qresync_enabled_where_offered() -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome(b"ID ENABLE CONDSTORE QRESYNC")
        await peer.answer(b'ID ("name" "imap-gateway")', b'* ID ("name" "x")\r\n')
        # Some servers leave out the untagged ENABLED; then QRESYNC is not relied on.
        await peer.answer(b"ENABLE CONDSTORE QRESYNC")

    async with scripted(script) as server:
        connection = await connect(settings_for(server), CREDENTIALS)
        assert connection.has_condstore
        assert not connection.has_qresync
        connection.abort()


# -- at a real server --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("auth", ["auto", "login", "plain"])
@pytest.mark.parametrize("tls", ["none", "starttls", "implicit"])
async def test_dovecot_lets_in(dovecot: Dovecot, tls: str, auth: str) -> None:
    values: Values = {"host": dovecot.host, "tls": tls, "auth": auth, "ca_file": str(dovecot.ca_file)}
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    credentials = FixedCredential(PasswordCredential(dovecot.fresh_user(), Secret(PASSWORD)))
    connection = await connect(parse_settings(values | {"port": port}), credentials)
    assert connection.has_qresync
    await connection.run(b"NOOP")
    await connection.close()


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_an_untrusted_certificate_is_refused_unless_told_otherwise(dovecot: Dovecot, tls: str) -> None:
    port = dovecot.tls_port if tls == "implicit" else dovecot.port
    values: Values = {"host": dovecot.host, "port": port, "tls": tls}
    credentials = FixedCredential(PasswordCredential(dovecot.fresh_user(), Secret(PASSWORD)))
    with pytest.raises(Unavailable, match=r"(?i)certificate"):
        await connect(parse_settings(values), credentials)
    connection = await connect(parse_settings(values | {"verify": False}), credentials)
    await connection.close()


async def test_a_wrong_password_is_auth_expired(dovecot: Dovecot, tmp_path: Path) -> None:
    values: Values = {"host": dovecot.host, "port": dovecot.port, "tls": "none"}
    credentials = FixedCredential(PasswordCredential(dovecot.fresh_user(), Secret("wrong")))
    with pytest.raises(AuthExpired) as raised:
        await connect(parse_settings(values), credentials)
    assert "wrong" not in str(raised.value)
