"""SCRAM, the server's side, without I/O (RFC 5802, RFC 7677).

    client-first -> who is it? -> server-first -> client-final -> whose proof is it? -> server-final

What the server keeps of a password (`ScramKeys`) proves that a client knows it and does not tell it. A user may have
several passwords; all their keys share one salt, since the salt is told before the client has shown which it has.
"""

from __future__ import annotations

import base64
import binascii
import enum
import hashlib
import hmac
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.auth.passwords import prepared
from gateway.auth.sasl import Failure, FailureKind

SALT_OCTETS: Final = 16
ITERATIONS: Final = 10_000
"""Rounds of PBKDF2 for new keys; RFC 7677 section 4 asks for 4096 at least. It is the client who pays at every login; a
thief of the store has the vault's seal to break first."""

_NONCE_OCTETS: Final = 18
_MAX_OCTETS: Final = 4096


class ScramHash(enum.Enum):
    """The hash functions there are mechanisms for, by hashlib's name, with the length of the digest in octets."""

    SHA1 = ("sha1", 20)
    SHA256 = ("sha256", 32)

    @property
    def algorithm(self) -> str:
        return self.value[0]

    @property
    def octets(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Salt:
    """What a password is stretched with. `iterations` is at least 4096."""

    octets: bytes
    iterations: int


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """StoredKey and ServerKey of RFC 5802 section 3."""

    stored_key: bytes
    server_key: bytes


_HEADER: Final = struct.Struct(f">I{SALT_OCTETS}s")


@dataclass(frozen=True, slots=True, repr=False)
class ScramKeys:
    """What is kept of one password."""

    salt: Salt
    sha1: KeyPair
    sha256: KeyPair

    def pair(self, kind: ScramHash) -> KeyPair:
        return self.sha1 if kind is ScramHash.SHA1 else self.sha256

    def to_octets(self) -> bytes:
        """Return the keys in the form in which they are sealed."""
        pairs = (self.sha1.stored_key, self.sha1.server_key, self.sha256.stored_key, self.sha256.server_key)
        return _HEADER.pack(self.salt.iterations, self.salt.octets) + b"".join(pairs)

    @classmethod
    def from_octets(cls, octets: bytes) -> ScramKeys:
        """Return the keys of `to_octets`.

        Raises:
            ValueError: it has another length.
        """
        if len(octets) != _HEADER.size + 2 * (ScramHash.SHA1.octets + ScramHash.SHA256.octets):
            raise ValueError("no SCRAM keys")
        iterations, salt = _HEADER.unpack_from(octets)
        found, start = [], _HEADER.size
        for kind in (ScramHash.SHA1, ScramHash.SHA1, ScramHash.SHA256, ScramHash.SHA256):
            found.append(octets[start : start + kind.octets])
            start += kind.octets
        return cls(Salt(salt, iterations), KeyPair(*found[:2]), KeyPair(*found[2:]))


def new_salt() -> Salt:
    """Return a salt for the keys of one user."""
    return Salt(secrets.token_bytes(SALT_OCTETS), ITERATIONS)


def derive_pair(kind: ScramHash, password: str, salt: Salt) -> KeyPair:
    """Return the keys of a password for one mechanism. Takes some milliseconds."""
    salted = hashlib.pbkdf2_hmac(kind.algorithm, prepared(password), salt.octets, salt.iterations)
    client_key = hmac.digest(salted, b"Client Key", kind.algorithm)
    return KeyPair(hashlib.new(kind.algorithm, client_key).digest(), hmac.digest(salted, b"Server Key", kind.algorithm))


def derive_keys(password: str, salt: Salt) -> ScramKeys:
    """Return what is kept of a password. Takes some milliseconds."""
    return ScramKeys(salt, derive_pair(ScramHash.SHA1, password, salt), derive_pair(ScramHash.SHA256, password, salt))


@dataclass(frozen=True, slots=True)
class ServerFinal:
    """The client has proven that it knows one of the passwords; `data` proves to it that the server does."""

    data: bytes


class ScramExchange:
    """One exchange of SCRAM or SCRAM-PLUS. Call `client_first`, `server_first`, `client_final`, each once.

    `binding` is the data of tls-server-end-point (RFC 5929 section 4) of the connection, None where there is none.
    `is_plus`: the client has chosen the form with channel binding.
    """

    def __init__(self, kind: ScramHash, *, is_plus: bool, binding: bytes | None, nonce: str | None = None) -> None:
        self._kind = kind
        self._is_plus = is_plus
        self._binding = binding
        self._own_nonce = nonce or base64.b64encode(secrets.token_bytes(_NONCE_OCTETS)).decode("ascii")
        self._gs2_header = b""
        self._client_first_bare = b""
        self._server_first = b""
        self._nonce = b""

    def client_first(self, message: bytes) -> str | Failure:
        """Return the login that the client claims, or what is wrong.

        client-first-message = gs2-header client-first-message-bare
        gs2-header           = gs2-cbind-flag "," [ authzid ] ","
        """
        parts = message.split(b",", 2)
        if len(parts) != 3 or len(message) > _MAX_OCTETS:
            return _malformed()
        flag, authzid, bare = parts
        failure = self._check_flag(flag)
        if failure is not None:
            return failure
        # A reserved-mext ("m=") comes before the name: an extension that we do not know and must not pass over.
        fields = bare.split(b",")
        if len(fields) < 2 or not fields[0].startswith(b"n=") or not _is_nonce(fields[1]):
            return _malformed()
        login = decoded_name(fields[0][2:])
        acting = decoded_name(authzid[2:]) if authzid.startswith(b"a=") else ""
        if not login or acting is None or (authzid and not acting):
            return _malformed()
        if acting and acting != login:
            return Failure(FailureKind.DENIED, "Acting as another user is not offered.")
        self._gs2_header = flag + b"," + authzid + b","
        self._client_first_bare = bare
        self._nonce = fields[1][2:] + self._own_nonce.encode("ascii")
        return login

    def _check_flag(self, flag: bytes) -> Failure | None:
        """Look at what the client says of channel binding (RFC 5802 section 6)."""
        if flag == b"y":
            if self._is_plus:
                return _malformed()
            if self._binding is not None:
                # It has not seen the -PLUS that we have told of: somebody in between has taken it away.
                return Failure(FailureKind.MISMATCH, "This server does offer channel binding.")
            return None
        if flag == b"n":
            return _malformed() if self._is_plus else None
        if not flag.startswith(b"p=") or not self._is_plus:
            return _malformed()
        if flag != b"p=tls-server-end-point" or self._binding is None:
            return Failure(FailureKind.MISMATCH, "Channel binding is offered by tls-server-end-point only.")
        return None

    def server_first(self, salt: Salt) -> bytes:
        """Return the server's first message.

        server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
        """
        self._server_first = b"r=%b,s=%b,i=%d" % (self._nonce, base64.b64encode(salt.octets), salt.iterations)
        return self._server_first

    def client_final(self, message: bytes, candidates: Sequence[KeyPair]) -> ServerFinal | Failure | None:
        """Return the server's last message if the proof is of one of `candidates`, None if it is of none of them.

        client-final-message = channel-binding "," nonce ["," extensions] "," proof
        """
        without_proof, comma, proof_field = message.rpartition(b",")
        fields = without_proof.split(b",")
        proof = _decoded(proof_field[2:]) if comma and proof_field.startswith(b"p=") else None
        if len(fields) < 2 or len(message) > _MAX_OCTETS or proof is None or len(proof) != self._kind.octets:
            return _malformed()
        if not fields[0].startswith(b"c=") or not fields[1].startswith(b"r="):
            return _malformed()
        binding = self._gs2_header + ((self._binding or b"") if self._is_plus else b"")
        if not hmac.compare_digest(_decoded(fields[0][2:]) or b"", binding):
            # The TLS that the client sees ends at somebody else, or its first message was changed on the way.
            return Failure(FailureKind.MISMATCH, "The channel binding is not that of this connection.")
        if not hmac.compare_digest(fields[1][2:], self._nonce):
            return _malformed()
        auth_message = b",".join((self._client_first_bare, self._server_first, without_proof))
        for pair in candidates:
            if self._is_proof(proof, pair, auth_message):
                signature = hmac.digest(pair.server_key, auth_message, self._kind.algorithm)
                return ServerFinal(b"v=" + base64.b64encode(signature))
        return None

    def _is_proof(self, proof: bytes, pair: KeyPair, auth_message: bytes) -> bool:
        signature = hmac.digest(pair.stored_key, auth_message, self._kind.algorithm)
        client_key = bytes(left ^ right for left, right in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.new(self._kind.algorithm, client_key).digest(), pair.stored_key)


def _malformed() -> Failure:
    return Failure(FailureKind.MALFORMED, "This is not the syntax of SCRAM.")


def _is_nonce(field: bytes) -> bool:
    """Tell whether it is `r=` and printable characters; it has been split at commas."""
    return len(field) > 2 and field.startswith(b"r=") and all(0x21 <= octet <= 0x7E for octet in field)


def decoded_name(field: bytes) -> str | None:
    """Return what a saslname stands for (RFC 5802 section 7); None if it is none.

    In it `=2C` is a comma and `=3D` an equals sign.
    """
    try:
        text = field.decode("utf-8")
    except UnicodeDecodeError:
        return None
    pieces = text.split("=")
    if "\0" in text or any(not piece.startswith(("2C", "3D")) for piece in pieces[1:]):
        return None
    return pieces[0] + "".join(("," if piece.startswith("2C") else "=") + piece[2:] for piece in pieces[1:])


def _decoded(text: bytes) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return None
