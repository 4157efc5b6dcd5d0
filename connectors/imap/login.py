"""From an address and credentials to a connection that is logged in."""

from __future__ import annotations

import asyncio
import base64
import ssl

from connectors.api.credentials import BearerCredential, Credential, CredentialSource, PasswordCredential
from connectors.api.errors import AuthExpired, Unsupported
from connectors.imap import sasl
from connectors.imap.client import Connection
from connectors.imap.errors import ConnectionLost, MalformedReply, from_greeting, from_login
from connectors.imap.exchange import Reply
from connectors.imap.sasl import Mechanism
from connectors.imap.settings import ImapSettings, Tls
from connectors.imap.transport import Transport
from gateway.wire.codes import Code, Status
from gateway.wire.command_writer import Text
from gateway.wire.responses import StatusResponse

_ID = b'("name" "imap-gateway")'


async def connect(settings: ImapSettings, credentials: CredentialSource) -> Connection:
    """Connect and log in. A refused token is exchanged for a fresh one, once.

    Raises:
        Unavailable: the server cannot be reached, hangs, or does not speak IMAP.
        AuthExpired: it refuses the credentials.
        RateLimited: it has too many connections already.
        Unsupported: it offers no TLS, or no way to log in, as the settings want it.
    """
    credential = await credentials.get()
    try:
        return await _connect(settings, credential)
    except AuthExpired:
        if credential is None:
            raise
        await credentials.refused(credential)
        fresh = await credentials.get()
        if not isinstance(fresh, BearerCredential) or fresh == credential:
            raise
    try:
        return await _connect(settings, fresh)
    except AuthExpired:
        await credentials.refused(fresh)
        raise


async def _connect(settings: ImapSettings, credential: Credential | None) -> Connection:
    context = settings.ssl_context if settings.tls is Tls.IMPLICIT else None
    transport = await Transport.connect(settings.host, settings.port, context, settings.timeout_s)
    connection = Connection(transport, settings.endpoint)
    try:
        greeting = await _greeting(connection)
        is_known = _take_capabilities(connection, Reply(greeting.status, greeting.code, greeting.text))
        if settings.tls is Tls.STARTTLS and settings.ssl_context is not None:
            await _start_tls(connection, settings, settings.ssl_context, greeting.status)
            is_known = False
        if not is_known:
            await connection.run(b"CAPABILITY")
        if greeting.status is not Status.PREAUTH:
            await _log_in(connection, settings, credential)
        await _prepare(connection)
    except BaseException:
        connection.abort()
        await asyncio.shield(transport.close())
        raise
    return connection


async def _greeting(connection: Connection) -> StatusResponse:
    """Return the server's first line: OK or PREAUTH."""
    try:
        event = await connection.next_event()
    except ConnectionLost as exc:
        raise from_greeting(exc) from exc
    if not isinstance(event, StatusResponse) or event.status not in (Status.OK, Status.PREAUTH):
        raise MalformedReply(f"{connection.where} does not greet like an IMAP server")
    connection.note(event)
    return event


async def _start_tls(connection: Connection, settings: ImapSettings, context: ssl.SSLContext, greeted: Status) -> None:
    if greeted is Status.PREAUTH:
        # STARTTLS is not possible any more, and who spoke in the clear may be anyone (RFC 9051 section 11.1).
        raise ConnectionLost(f"{settings.endpoint} greets with PREAUTH before TLS")
    reply = await connection.attempt(b"STARTTLS")
    if reply.status is not Status.OK:
        raise Unsupported(f"{settings.endpoint} refuses STARTTLS: {reply.text}")
    connection.forget_input()
    await connection.transport.start_tls(context, settings.host)


async def _log_in(connection: Connection, settings: ImapSettings, credential: Credential | None) -> None:
    if credential is None:
        raise AuthExpired(f"{settings.endpoint} wants a login and the account has no credentials")
    mechanism = sasl.choose(settings.auth, credential, connection.capabilities)
    before = connection.capabilities
    if mechanism is Mechanism.LOGIN:
        reply = await _login_command(connection, credential)
    else:
        reply = await _authenticate(connection, settings, mechanism, credential)
    if reply.status is not Status.OK:
        raise from_login(f"login as {credential.username} at {settings.endpoint}", reply.status, reply.code, reply.text)
    connection.set_capabilities(before)
    # Many servers offer more after login. An untagged CAPABILITY from before the tagged OK is not proof of anything, as
    # it may be from before the login too.
    if not _take_capabilities(connection, reply):
        await connection.run(b"CAPABILITY")


async def _login_command(connection: Connection, credential: Credential) -> Reply:
    assert isinstance(credential, PasswordCredential)
    username, password = credential.username.encode(), credential.password.reveal().encode()
    if any(octet in username or octet in password for octet in b"\0\r\n"):
        raise AuthExpired("the user name or password holds a control character")
    return await connection.attempt(b"LOGIN", Text(username), Text(password))


async def _authenticate(
    connection: Connection, settings: ImapSettings, mechanism: Mechanism, credential: Credential
) -> Reply:
    message = base64.b64encode(sasl.initial_response(mechanism, credential, settings.host, settings.port))
    complaints: list[str] = []
    is_said = False

    def answer(challenge: bytes) -> bytes:
        nonlocal is_said
        if not is_said:
            is_said = True
            return message
        complaints.append(sasl.decoded_challenge(challenge))
        last_word = sasl.error_answer(mechanism)
        return b"*" if last_word is None else base64.b64encode(last_word)

    name = mechanism.value.encode("ascii")
    reply: Reply | None = None
    if "SASL-IR" in connection.capabilities:
        is_said = True
        reply = await connection.converse(name, message, answer)
        # Laxer than RFC 4959: some servers offer SASL-IR and answer BAD to it, but take the long way.
        is_said = False
    if reply is None or (reply.status is Status.BAD and not complaints):
        reply = await connection.converse(name, None, answer)
    if complaints:
        return Reply(reply.status, reply.code, f"{reply.text} ({'; '.join(complaints)})", reply.responses)
    return reply


def _take_capabilities(connection: Connection, reply: Reply) -> bool:
    """Use the CAPABILITY code of a greeting or a tagged OK; False if there is none."""
    if reply.code is not None and reply.code.code is Code.CAPABILITY and isinstance(reply.code.argument, frozenset):
        connection.set_capabilities(frozenset(name for name in reply.code.argument if isinstance(name, str)))
        return True
    return False


async def _prepare(connection: Connection) -> None:
    """Say who we are, and switch on what the sync lives on."""
    if "ID" in connection.capabilities:
        await connection.attempt(b"ID", _ID)
    if "ENABLE" in connection.capabilities or "IMAP4REV2" in connection.capabilities:
        wanted = [name for name in ("CONDSTORE", "QRESYNC") if name in connection.capabilities]
        if wanted:
            await connection.attempt(b"ENABLE", " ".join(wanted).encode("ascii"))
