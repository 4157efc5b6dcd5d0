"""What is said to log in (RFC 4616, RFC 7628, Google's XOAUTH2), and which way is chosen. No I/O."""

from __future__ import annotations

import base64
import binascii
import enum

from connectors.api.credentials import BearerCredential, Credential, PasswordCredential
from connectors.api.errors import AuthExpired, Unsupported
from connectors.imap.settings import Auth


class Mechanism(enum.Enum):
    """A way to log in; LOGIN is the command, the others are SASL mechanisms."""

    LOGIN = "LOGIN"
    PLAIN = "PLAIN"
    XOAUTH2 = "XOAUTH2"
    OAUTHBEARER = "OAUTHBEARER"


_FORCED = {
    Auth.LOGIN: Mechanism.LOGIN,
    Auth.PLAIN: Mechanism.PLAIN,
    Auth.XOAUTH2: Mechanism.XOAUTH2,
    Auth.OAUTHBEARER: Mechanism.OAUTHBEARER,
}
_WITH_TOKEN = (Mechanism.OAUTHBEARER, Mechanism.XOAUTH2)


def choose(auth: Auth, credential: Credential, capabilities: frozenset[str]) -> Mechanism:
    """Return how to log in.

    Raises:
        Unsupported: the server offers no way that takes this credential.
    """
    if auth is not Auth.AUTO:
        return _checked(_FORCED[auth], credential)
    if isinstance(credential, BearerCredential):
        for mechanism in _WITH_TOKEN:
            if f"AUTH={mechanism.value}" in capabilities:
                return mechanism
        raise Unsupported("the server takes no OAuth tokens: neither AUTH=OAUTHBEARER nor AUTH=XOAUTH2 is offered")
    if "AUTH=PLAIN" in capabilities:
        return Mechanism.PLAIN
    if "LOGINDISABLED" not in capabilities:
        return Mechanism.LOGIN
    raise Unsupported("the server takes no password here: LOGINDISABLED without AUTH=PLAIN; is TLS needed?")


def _checked(mechanism: Mechanism, credential: Credential) -> Mechanism:
    if (mechanism in _WITH_TOKEN) != isinstance(credential, BearerCredential):
        kind = "a token" if mechanism in _WITH_TOKEN else "a password"
        raise AuthExpired(f"auth = {mechanism.value.lower()} needs {kind}, and the account has none")
    return mechanism


def initial_response(mechanism: Mechanism, credential: Credential, host: str, port: int) -> bytes:
    """Return the first and only message of a SASL mechanism, not in base64.

    Raises:
        AuthExpired: user name, password or token hold a character that none can hold.
    """
    match credential:
        case PasswordCredential(username, password):
            secret = password.reveal()
        case BearerCredential(username, token):
            secret = token.reveal()
    separators = "\0\r\n" if mechanism is Mechanism.PLAIN else "\0\1\r\n"
    if any(character in username or character in secret for character in separators):
        raise AuthExpired("the user name, password or token holds a control character")
    match mechanism:
        case Mechanism.XOAUTH2:
            text = f"user={username}\1auth=Bearer {secret}\1\1"
        case Mechanism.OAUTHBEARER:
            # `saslname` of RFC 5801 section 4.
            name = username.replace("=", "=3D").replace(",", "=2C")
            text = f"n,a={name},\1host={host}\1port={port}\1auth=Bearer {secret}\1\1"
        case _:
            text = f"\0{username}\0{secret}"
    return text.encode()


def error_answer(mechanism: Mechanism) -> bytes | None:
    """Return what is answered, not in base64, to the challenge that tells an OAuth error; None if none is expected.

    After it the server ends the exchange with NO. XOAUTH2 wants an empty line, RFC 7628 section 3.2.3 a lone ^A.
    """
    if mechanism is Mechanism.XOAUTH2:
        return b""
    return b"\1" if mechanism is Mechanism.OAUTHBEARER else None


def decoded_challenge(text: bytes) -> str:
    """Return a challenge for the operator to read, at most 300 characters."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = text
    return data.decode("utf-8", "replace")[:300]
