"""AUTHENTICATE (RFC 9051 section 6.2.2, RFC 4959): the SASL mechanisms, as exchanges with a client."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final

from gateway.auth import sasl
from gateway.auth.errors import AuthFailed, Throttled
from gateway.auth.scram import ScramExchange, ScramHash
from gateway.auth.tokens import ProviderUnavailable, TokenMechanism, TokenRefused
from gateway.imap.capability import Capability, Situation, while_passwords_are_taken
from gateway.imap.commands.login import enter, failed, log_in_by_password, privacy_required, turn_away
from gateway.imap.completion import Completion, bad, no
from gateway.imap.session import Session
from gateway.wire import commands, write
from gateway.wire.codes import Code

log = logging.getLogger(__name__)


def _while_scram(situation: Situation) -> bool:
    return while_passwords_are_taken(situation) and situation.has_scram


def _while_scram_plus(situation: Situation) -> bool:
    return _while_scram(situation) and situation.can_bind_channel


def _while_certified(situation: Situation) -> bool:
    return not situation.is_authenticated and situation.has_client_certificate


def _while_tokens_are_taken(situation: Situation) -> bool:
    return while_passwords_are_taken(situation) and situation.takes_tokens


CAPABILITIES = (
    Capability(
        "AUTH=EXTERNAL",
        "RFC 4422 appendix A",
        "Over TLS, to a client that has shown a certificate of an authority in `tls.client_ca`",
        _while_certified,
    ),
    Capability(
        "AUTH=SCRAM-SHA-256-PLUS",
        "RFC 7677, RFC 5929",
        "As SCRAM-SHA-256, over TLS, bound to the certificate by tls-server-end-point",
        _while_scram_plus,
    ),
    Capability(
        "AUTH=SCRAM-SHA-256",
        "RFC 7677",
        "Once there are keys of everybody's passwords; [operations.md](operations.md#scram) tells how they are made",
        _while_scram,
    ),
    Capability("AUTH=SCRAM-SHA-1-PLUS", "RFC 5802, RFC 5929", "As SCRAM-SHA-256-PLUS", _while_scram_plus),
    Capability("AUTH=SCRAM-SHA-1", "RFC 5802", "As SCRAM-SHA-256", _while_scram),
    Capability(
        "AUTH=OAUTHBEARER",
        "RFC 7628",
        "Where there is an identity provider (`[oauth]`), with its tokens, as a password would be accepted",
        _while_tokens_are_taken,
    ),
    Capability("AUTH=XOAUTH2", "Google's forerunner of RFC 7628", "As OAUTHBEARER", _while_tokens_are_taken),
    Capability(
        "AUTH=PLAIN",
        "RFC 4616",
        "Where a password is accepted on the connection as it is. Acting for another user is refused",
        while_passwords_are_taken,
    ),
    Capability("AUTH=LOGIN", "draft-murchison-sasl-login", "As PLAIN; for old devices", while_passwords_are_taken),
)


class _Broken(Exception):
    """The client has cancelled, or what it sent is no response at all."""


class _Dialogue:
    """Challenges and responses of one exchange."""

    def __init__(self, session: Session, initial_response: bytes | None) -> None:
        self._session = session
        self.initial_response = initial_response

    async def first(self) -> bytes:
        """Return the client's first response, asked for if it did not come with the command."""
        return await self.ask(b"") if self.initial_response is None else self.initial_response

    async def ask(self, challenge: bytes) -> bytes:
        """Send a challenge and return the response.

        Raises:
            _Broken: there is none.
        """
        session = self._session
        session.write(write.challenge(challenge))
        await session.drain()
        line = await session.connection.read_line(session.settings.login_grace_s)
        if line == b"*":
            raise _Broken("Authentication cancelled")
        if not isinstance(line, bytes):
            raise _Broken("Response too long")
        try:
            return base64.b64decode(line, validate=True)
        except binascii.Error:
            raise _Broken("The response is not base64") from None


async def authenticate(session: Session, command: commands.Authenticate) -> Completion:
    """AUTHENTICATE, with or without an initial response; `*` cancels."""
    name = f"AUTH={command.mechanism.upper()}"
    exchange = _EXCHANGES.get(command.mechanism.upper())
    if exchange is None or not session.offers(name):
        return _not_offered()
    if not session.can_log_in:
        return privacy_required()
    if not session.advertises(name):
        return _not_offered()
    try:
        return await exchange(session, _Dialogue(session, command.initial_response))
    except _Broken as broken:
        return bad(str(broken))


def _not_offered() -> Completion:
    return no("This mechanism is not offered", Code.CANNOT.value)


def _refused(session: Session, failure: sasl.Failure) -> Completion:
    match failure.kind:
        case sasl.FailureKind.MALFORMED:
            return bad(failure.text)
        case sasl.FailureKind.DENIED:
            return failed(session, failure.text, Code.AUTHORIZATIONFAILED)
        case sasl.FailureKind.MISMATCH:
            return failed(session, failure.text, Code.AUTHENTICATIONFAILED)


async def _with_password(session: Session, dialogue: _Dialogue, *, make: Callable[[], sasl.Mechanism]) -> Completion:
    mechanism = make()
    step = mechanism.step(dialogue.initial_response)
    while isinstance(step, sasl.Challenge):
        step = mechanism.step(await dialogue.ask(step.data))
    if isinstance(step, sasl.Failure):
        return _refused(session, step)
    return await log_in_by_password(session, step.login, step.password.reveal())


async def _by_scram(session: Session, dialogue: _Dialogue, *, kind: ScramHash, is_plus: bool) -> Completion:
    scram, address = session.services.scram, session.connection.address
    assert scram is not None, "offered without keys"
    # What a client says of the channel binding that it saw is judged by what it was told.
    is_bound = any(session.advertises(f"AUTH={name}") for name in _PLUS_FORMS)
    exchange = ScramExchange(kind, is_plus=is_plus, binding=session.connection.server_end_point if is_bound else None)
    login = exchange.client_first(await dialogue.first())
    if isinstance(login, sasl.Failure):
        return _refused(session, login)
    try:
        claim = await scram.claim(login, address)
        outcome = exchange.client_final(await dialogue.ask(exchange.server_first(claim.salt)), claim.pairs(kind))
        if isinstance(outcome, sasl.Failure):
            return _refused(session, outcome)
        user = scram.settle(claim, address, is_proven=outcome is not None)
    except (AuthFailed, Throttled) as error:
        return await turn_away(session, login, error)
    assert outcome is not None, "what is not proven is refused"
    # IMAP has no place for data beside the OK, so the client answers the last message with an empty one.
    if await dialogue.ask(outcome.data):
        return bad("Nothing is to follow the proof")
    return await enter(session, user.login)


async def _by_certificate(session: Session, dialogue: _Dialogue) -> Completion:
    """extern-resp = *( UTF8-char-no-nul ): the login to act as, or nothing."""
    named, names = session.services.named, session.connection.client_names
    assert named is not None, "offered without users"
    response = await dialogue.first()
    try:
        acting = response.decode("utf-8")
    except UnicodeDecodeError:
        acting = "\0"
    if "\0" in acting:
        return bad("EXTERNAL takes a login in UTF-8, or nothing")
    user = await named.find(names, acting)
    if user is None:
        log.warning("the certificate of %r from %s is no user's", names, session.connection.address)
        code = Code.AUTHORIZATIONFAILED if acting else Code.AUTHENTICATIONFAILED
        return failed(session, "The certificate is not of such a user", code)
    return await enter(session, user.login)


async def _by_token(session: Session, dialogue: _Dialogue, *, mechanism: TokenMechanism) -> Completion:
    """A token is too long to be guessed, so failures are counted for the connection only."""
    tokens, named, address = session.services.tokens, session.services.named, session.connection.address
    assert tokens is not None, "offered without a provider"
    assert named is not None, "offered without users"
    request = mechanism.parse(await dialogue.first())
    if isinstance(request, sasl.Failure):
        return _refused(session, request)
    try:
        name = await tokens.name_in(request.token.reveal())
        user = await named.find((name,), request.acting)
        if user is not None:
            return await enter(session, user.login)
        reason = f"it is of {name!r}"
    except ProviderUnavailable as error:
        log.error("login by token from %s is not possible: %s", address, error)
        # Not AUTHENTICATIONFAILED, for which a client would have its user log in anew.
        return no("The identity provider does not answer; try again later", Code.UNAVAILABLE.value)
    except TokenRefused as error:
        reason = str(error)
    log.warning("login of %r by token from %s failed: %s", request.acting, address, reason)
    # RFC 7628 section 3.2.3: whatever the client answers, its exchange has failed.
    await dialogue.ask(mechanism.refusal(tokens.discovery_url))
    return failed(session, "The token is not valid", Code.AUTHENTICATIONFAILED)


_PLUS_FORMS: Final = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")

_EXCHANGES: Final[Mapping[str, Callable[[Session, _Dialogue], Awaitable[Completion]]]] = MappingProxyType(
    {
        "EXTERNAL": _by_certificate,
        **{mechanism.value: partial(_by_token, mechanism=mechanism) for mechanism in TokenMechanism},
        **{name: partial(_with_password, make=make) for name, make in sasl.MECHANISMS.items()},
        "SCRAM-SHA-256": partial(_by_scram, kind=ScramHash.SHA256, is_plus=False),
        "SCRAM-SHA-256-PLUS": partial(_by_scram, kind=ScramHash.SHA256, is_plus=True),
        "SCRAM-SHA-1": partial(_by_scram, kind=ScramHash.SHA1, is_plus=False),
        "SCRAM-SHA-1-PLUS": partial(_by_scram, kind=ScramHash.SHA1, is_plus=True),
    }
)
"""The mechanisms, by name in capitals."""
