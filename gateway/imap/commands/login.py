"""STARTTLS, LOGIN (RFC 9051 sections 6.2.1 and 6.2.3) and UNAUTHENTICATE, and what every way to log in ends with."""

from __future__ import annotations

import asyncio
import logging

from gateway.auth.errors import AuthFailed, Throttled
from gateway.imap.capability import (
    Capability,
    after_login,
    before_login,
    while_passwords_are_refused,
    while_tls_can_start,
)
from gateway.imap.completion import Completion, bad, no, ok
from gateway.imap.session import Session, State
from gateway.wire import commands
from gateway.wire.codes import Code, Status

log = logging.getLogger(__name__)

LONGEST_DELAY_S = 3.0
"""How long an answer to a throttled login is held back; longer would cost us a connection and the guesser nothing."""


CAPABILITIES = (
    Capability("SASL-IR", "RFC 4959", "AUTHENTICATE with its first answer in the command. Before login", before_login),
    Capability(
        "STARTTLS",
        "RFC 3501 section 6.2.1",
        "On `imap` listeners with a certificate, before login. What was sent in the clear behind it is thrown away",
        while_tls_can_start,
    ),
    Capability(
        "LOGINDISABLED",
        "RFC 3501 section 6.2.3",
        "On connections without TLS from other machines, unless `imap.allow_plaintext_login`",
        while_passwords_are_refused,
    ),
    Capability(
        "UNAUTHENTICATE",
        "RFC 8437",
        "Log in anew on the same connection, as somebody else. After login",
        after_login,
        is_used_by=lambda command: isinstance(command, commands.Unauthenticate),
    ),
)


async def start_tls(session: Session, _: commands.StartTls) -> Completion:
    """Begin TLS behind the tagged OK. All that was sent in the clear before is forgotten."""
    tls = session.services.tls
    if session.connection.is_tls:
        return bad("TLS is in use already")
    if tls is None:
        return no("TLS is not available")

    async def upgrade() -> None:
        await session.connection.upgrade(tls.context, tls.end_point)

    return Completion(Status.OK, "Begin TLS negotiation now", after=upgrade)


async def log_in(session: Session, command: commands.Login) -> Completion:
    """LOGIN; refused ahead of any check where others could read along."""
    if not session.can_log_in:
        return privacy_required()
    # Octets that are not UTF-8 can be no password here, but must not be an error either.
    return await log_in_by_password(session, command.username, command.password.decode("utf-8", "surrogateescape"))


async def unauthenticate(session: Session, _: commands.Unauthenticate) -> Completion:
    """Be as after the greeting, but for TLS and what ID has told (RFC 8437 section 3). There is no NO."""
    log.info("%s logged out from %s and stays connected", session.login, session.connection.address)
    await session.forget_user()

    async def end_compression() -> None:
        session.connection.end_compression()

    return Completion(Status.OK, "Unauthenticate completed", after=end_compression)


def privacy_required() -> Completion:
    """Refuse what others could read along."""
    return no("A password is taken only under TLS", Code.PRIVACYREQUIRED.value)


async def log_in_by_password(session: Session, login: str, password: str) -> Completion:
    """Check a login and its password, and let the user in."""
    try:
        user = await session.services.directory.authenticate(login, password, session.connection.address)
    except (AuthFailed, Throttled) as error:
        return await turn_away(session, login, error)
    return await enter(session, user.login)


async def turn_away(session: Session, login: str, error: AuthFailed | Throttled) -> Completion:
    """Answer a login that has failed or was not looked at."""
    address = session.connection.address
    if isinstance(error, Throttled):
        log.warning("login of %r from %s held up for %.0f s", login, address, error.retry_after_s)
        await asyncio.sleep(min(error.retry_after_s, LONGEST_DELAY_S))
        # Not AUTHENTICATIONFAILED: nobody has looked at the password, which may be right.
        return failed(session, error.client_text, Code.UNAVAILABLE)
    log.warning("login of %r from %s failed", login, address)
    return failed(session, error.client_text, Code.AUTHENTICATIONFAILED)


async def enter(session: Session, login: str) -> Completion:
    """Open the mail of a user who is who they say."""
    # Of all that try the same password, only the first has it checked, and they learn of it at the same time.
    await session.services.turnstile.pass_through()
    limits = session.services.limits
    if not limits.admit_user(login):
        log.warning("%s has too many connections", login)
        return no("Too many connections of this user", Code.UNAVAILABLE.value)
    try:
        user = await session.services.mail.open_user(login)
    except BaseException:
        limits.release_user(login)
        raise
    session.user = user
    session.login = login
    session.state = State.AUTHENTICATED
    session.connection.lift_login_time()
    session.connection.reader.append_octets = session.append_limit
    log.info("%s logged in from %s", login, session.connection.address)
    return ok("Logged in", session.capability_code)


def failed(session: Session, text: str, code: Code) -> Completion:
    """Answer NO, and count the failure: after some the connection ends."""
    session.login_failures += 1
    if session.login_failures >= session.settings.login_failures_per_connection:
        session.say_bye("Too many failed logins")
    return no(text, code.value)
