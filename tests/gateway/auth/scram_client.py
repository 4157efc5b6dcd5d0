"""A client's side of SCRAM (RFC 5802 section 3), written apart from the server's."""

from __future__ import annotations

import base64
import hashlib
import hmac


class ScramClient:
    """One exchange. `flag` is the gs2-cbind-flag, `binding` the channel binding data of `p=`."""

    def __init__(
        self,
        login: str,
        password: str,
        algorithm: str = "sha256",
        *,
        flag: str = "n",
        binding: bytes = b"",
        nonce: str = "fyko+d2lbbFgONRv9qkxdawL",
        authzid: str = "",
    ) -> None:
        name = login.replace("=", "=3D").replace(",", "=2C")
        self._password = password
        self._algorithm = algorithm
        self._header = f"{flag},{authzid},".encode()
        self._binding = binding
        self._bare = f"n={name},r={nonce}".encode()
        self._signature = b""
        self.salt = b""

    def first(self) -> bytes:
        return self._header + self._bare

    def final(self, server_first: bytes) -> bytes:
        fields = dict(part.split(b"=", 1) for part in server_first.split(b","))
        self.salt = base64.b64decode(fields[b"s"])
        salted = hashlib.pbkdf2_hmac(self._algorithm, self._password.encode(), self.salt, int(fields[b"i"]))
        client_key = self._mac(salted, b"Client Key")
        without_proof = b"c=" + base64.b64encode(self._header + self._binding) + b",r=" + fields[b"r"]
        auth_message = self._bare + b"," + server_first + b"," + without_proof
        stored_key = hashlib.new(self._algorithm, client_key).digest()
        proof = bytes(a ^ b for a, b in zip(client_key, self._mac(stored_key, auth_message), strict=True))
        self._signature = self._mac(self._mac(salted, b"Server Key"), auth_message)
        return without_proof + b",p=" + base64.b64encode(proof)

    def trusts(self, server_final: bytes) -> bool:
        return server_final == b"v=" + base64.b64encode(self._signature)

    def _mac(self, key: bytes, data: bytes) -> bytes:
        return hmac.new(key, data, self._algorithm).digest()
