"""Password hashes: argon2id for what people choose, salted SHA-256 for what we make.

An app password is random (94 bits), so a slow hash would protect nothing and would cost a third of CPU seconds at every
login for each app password that a user has.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
import unicodedata

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION

_APP_PREFIX = "app-sha256"
_APP_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_APP_GROUPS = 5
_APP_GROUP_LETTERS = 4


def default_hasher() -> PasswordHasher:
    """Return argon2id with the parameters of RFC 9106 section 4 for constrained memory: 64 MiB, 3 passes, 4 lanes."""
    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=4)


def prepared(password: str) -> bytes:
    """Return the octets of a password (RFC 8265 section 4.2, OpaqueString): the same, typed on whatever machine."""
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def hash_password(password: str, hasher: PasswordHasher | None = None) -> str:
    """Return the argon2id hash of a password in the usual text form. Takes tens of milliseconds and 64 MiB."""
    return (hasher or default_hasher()).hash(prepared(password))


def verify_password(stored: str, password: str, hasher: PasswordHasher | None = None) -> bool:
    """Say whether the password is the one that was hashed. Takes as long as its parameters say.

    A text that is no argon2 hash fits no password.
    """
    try:
        return (hasher or default_hasher()).verify(stored, prepared(password))
    except (VerificationError, InvalidHashError):
        return False


def decoy_hash(hasher: PasswordHasher) -> str:
    """Return what looks like the hash of a password and is that of none: to check one against it takes as long."""
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = (
        base64.b64encode(os.urandom(octets)).decode("ascii").rstrip("=")
        for octets in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v={ARGON2_VERSION}${costs}${salt}${digest}"


def is_password_hash(text: str) -> bool:
    """Say whether a text, from a configuration for example, is an argon2 hash."""
    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


def generate_app_password() -> str:
    """Return a new random app password: five groups of four letters, which type well on a telephone."""
    groups = ("".join(secrets.choice(_APP_LETTERS) for _ in range(_APP_GROUP_LETTERS)) for _ in range(_APP_GROUPS))
    return "-".join(groups)


def hash_app_password(password: str) -> str:
    """Return the hash of a generated app password; spaces, dashes and case do not matter."""
    salt = os.urandom(16)
    return f"{_APP_PREFIX}${salt.hex()}${_app_digest(salt, password)}"


def verify_app_password(stored: str, password: str) -> bool:
    """Say whether the password is the app password that was hashed. Fast."""
    prefix, _, rest = stored.partition("$")
    salt, _, digest = rest.partition("$")
    if prefix != _APP_PREFIX:
        return False
    try:
        expected = _app_digest(bytes.fromhex(salt), password)
    except ValueError:
        return False
    return hmac.compare_digest(expected.encode(), digest.encode())


def is_app_hash(stored: str) -> bool:
    """Say whether it is the hash of a generated app password."""
    return stored.startswith(f"{_APP_PREFIX}$")


def printed_app_password(password: str) -> str:
    """Return a generated app password as it was printed, however it was typed."""
    plain = _plain(password)
    return "-".join(plain[start : start + _APP_GROUP_LETTERS] for start in range(0, len(plain), _APP_GROUP_LETTERS))


def _plain(password: str) -> str:
    return "".join(password.split()).replace("-", "").lower()


def _app_digest(salt: bytes, password: str) -> str:
    return hashlib.sha256(salt + prepared(_plain(password))).hexdigest()
