"""Secrets at rest: AES-256-GCM under keys that the operator holds.

    sealed value = version (1 octet) | key id (8) | nonce (12) | ciphertext and tag

Version and key id are authenticated, and so is the context: the caller's words for what the value is and whose, so that
a sealed value copied to another place does not open. With several keys the first seals and all open; to rotate, put the
new key first and seal everything anew (`is_current`).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from connectors.api.credentials import Secret
from gateway.auth.errors import VaultError

__all__ = ["Vault", "VaultError", "create_key_file", "parse_keys", "read_key_file", "vault_from_text"]

log = logging.getLogger(__name__)

KEY_OCTETS = 32
_VERSION = b"\x01"
_ID_OCTETS = 8
_NONCE_OCTETS = 12
_HEADER_OCTETS = len(_VERSION) + _ID_OCTETS
_HEX = re.compile(r"[0-9A-Fa-f]{64}")


class Vault:
    """Seals and opens secrets. `keys` have 32 octets each and are different; the first seals."""

    def __init__(self, keys: Sequence[Secret[bytes]]) -> None:
        if not keys:
            raise VaultError("there is no key")
        self._ciphers: dict[bytes, AESGCM] = {}
        for key in keys:
            if len(key.reveal()) != KEY_OCTETS:
                raise VaultError(f"a key has {KEY_OCTETS} octets, not {len(key.reveal())}")
            self._ciphers[_key_id(key.reveal())] = AESGCM(key.reveal())
        self._first = keys[0]
        self._first_id = _key_id(keys[0].reveal())

    def __repr__(self) -> str:
        return f"Vault({len(self._ciphers)} keys)"

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Return `plain` encrypted and bound to `context`; each time another value."""
        header = _VERSION + self._first_id
        nonce = os.urandom(_NONCE_OCTETS)
        return header + nonce + self._ciphers[self._first_id].encrypt(nonce, plain, header + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """Return what was sealed with this context.

        Raises:
            VaultError: its key is not here, or value or context is not what was sealed.
        """
        header, rest = sealed[:_HEADER_OCTETS], sealed[_HEADER_OCTETS:]
        if len(header) < _HEADER_OCTETS or not header.startswith(_VERSION):
            raise VaultError("a sealed value is cut or of an unknown version")
        cipher = self._ciphers.get(header[len(_VERSION) :])
        if cipher is None:
            raise VaultError("a value was sealed with a key that is not among the keys; add that key again")
        try:
            return cipher.decrypt(rest[:_NONCE_OCTETS], rest[_NONCE_OCTETS:], header + context)
        except (InvalidTag, ValueError) as exc:
            raise VaultError("a sealed value was altered or belongs somewhere else") from exc

    def is_current(self, sealed: bytes) -> bool:
        """Say whether the value was sealed with the first key."""
        return sealed.startswith(_VERSION + self._first_id)

    def derive(self, purpose: bytes) -> bytes:
        """Return a key of 32 octets for another use, made of the first key (HKDF, RFC 5869). It never changes."""
        return HKDF(SHA256(), KEY_OCTETS, None, b"derived key\0" + purpose).derive(self._first.reveal())


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"vault key id\0" + key).digest()[:_ID_OCTETS]


def parse_keys(text: str, source: str) -> list[Secret[bytes]]:
    """Read keys, one a line, each in 64 hexadecimal digits or in base64; empty lines and lines with `#` do not count.

    `source` is what to call the text in an error.

    Raises:
        VaultError: there is no key, or a line is none.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        word = line.strip()
        if word and not word.startswith("#"):
            keys.append(Secret(_parse_key(word, number, source)))
    if not keys:
        raise VaultError("holds no key", source=source)
    return keys


def _parse_key(word: str, number: int, source: str) -> bytes:
    if _HEX.fullmatch(word):
        return bytes.fromhex(word)
    key = b""
    with contextlib.suppress(binascii.Error, ValueError):
        padded = word.replace("-", "+").replace("_", "/") + "=" * (-len(word) % 4)
        key = base64.b64decode(padded, validate=True)
    if len(key) != KEY_OCTETS:
        raise VaultError(f"line {number} is no key of 32 octets in base64 or 64 hexadecimal digits", source=source)
    return key


def vault_from_text(text: str, source: str) -> Vault:
    """Return the vault with the keys in the text, as an environment variable or a secret store hands it over.

    Raises:
        VaultError: see `parse_keys`.
    """
    return Vault(parse_keys(text, source))


def read_key_file(path: Path) -> Vault:
    """Return the vault with the keys in the file.

    Raises:
        VaultError: the file cannot be read, or see `parse_keys`.
    """
    try:
        text = path.read_text("utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as exc:
        raise VaultError(f"cannot be read: {getattr(exc, 'strerror', None) or exc}", source=str(path)) from exc
    if mode & 0o007:
        # No error: container platforms hand secrets over world-readable inside the container.
        log.warning("the key file %s can be read by every user of this machine", path)
    return vault_from_text(text, str(path))


def create_key_file(path: Path) -> Vault:
    """Make a key, write it to a new file that only the owner can read, and return its vault.

    Raises:
        VaultError: the file exists or cannot be written.
    """
    key = os.urandom(KEY_OCTETS)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(base64.b64encode(key).decode("ascii") + "\n")
            file.flush()
            # What is sealed with this key must not outlive it.
            os.fsync(file.fileno())
    except OSError as exc:
        raise VaultError(f"cannot be created: {exc.strerror or exc}", source=str(path)) from exc
    return Vault([Secret(key)])
