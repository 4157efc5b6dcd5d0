"""A service account: its key file, and the check of the assertions signed with it (RFC 7523)."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

JWT_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LONGEST_S: Final = 3600
_SKEW_S: Final = 300
_TIME_TEXT: Final = (
    "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp "
    "values in the JWT claim."
)


class Refused(Exception):
    """The assertion is not good: OAuth's `error` and `description`."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True)
class ServiceAccount:
    """One service account of a project. Its key is made when first needed."""

    project: str

    @property
    def email(self) -> str:
        """The account's name, which is the issuer of its assertions."""
        return f"gateway@{self.project}.iam.gserviceaccount.com"

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def key_file(self, token_uri: str) -> dict[str, str]:
        """Return the JSON key file as Google's console hands it out."""
        pem = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {
            "type": "service_account",
            "project_id": self.project,
            "private_key_id": "fake-key-1",
            "private_key": pem.decode(),
            "client_email": self.email,
            "client_id": "100000000000000000001",
            "auth_uri": token_uri.replace("/token", "/o/oauth2/v2/auth"),
            "token_uri": token_uri,
            "universe_domain": "googleapis.com",
        }

    def check(self, assertion: str, token_uri: str, now_s: float) -> dict[str, Any]:
        """Return the claims of an assertion. Raises Refused."""
        head, body, signature = _split(assertion)
        if head.get("alg") != "RS256":
            raise Refused("invalid_grant", "Invalid JWT Signature.")
        try:
            signed = assertion.rpartition(".")[0].encode()
            self._key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise Refused("invalid_grant", "Invalid JWT Signature.") from None
        if body.get("iss") != self.email:
            raise Refused("invalid_grant", "Invalid grant: account not found")
        if body.get("aud") != token_uri:
            raise Refused("invalid_grant", "Invalid JWT: Failed audience check.")
        _check_times(body, now_s)
        return body


def _check_times(body: dict[str, Any], now_s: float) -> None:
    issued, expires = body.get("iat"), body.get("exp")
    if not isinstance(issued, int | float) or not isinstance(expires, int | float):
        raise Refused("invalid_grant", _TIME_TEXT)
    if issued > now_s + _SKEW_S or expires < now_s - _SKEW_S or expires - issued > _LONGEST_S:
        raise Refused("invalid_grant", _TIME_TEXT)


def _split(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    try:
        head, body, signature = (base64.urlsafe_b64decode(part + "==") for part in assertion.split("."))
        decoded = json.loads(head), json.loads(body)
    except (ValueError, binascii.Error):
        raise Refused("invalid_request", "Bad Request") from None
    if not all(isinstance(each, dict) for each in decoded):
        raise Refused("invalid_request", "Bad Request")
    return decoded[0], decoded[1], signature
