"""Client assertions: JWTs signed with the key of a certificate that is registered for the application (RFC 7523).

Source: "Microsoft identity platform application authentication certificate credentials".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.fakes.graph.login_errors import Refused

ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_SKEW_S: Final = 300


class Certificates:
    """The registered certificates, and the assertions that were used: none is good twice."""

    def __init__(self) -> None:
        self._keys: dict[str, rsa.RSAPublicKey] = {}
        self._used: set[str] = set()
        self.algorithms: list[str] = []

    def register(self, pem: bytes) -> None:
        """Register a certificate, in PEM."""
        certificate = x509.load_pem_x509_certificate(pem)
        key = certificate.public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        der = certificate.public_bytes(Encoding.DER)
        for digest in (hashlib.sha256(der), hashlib.sha1(der)):
            self._keys[base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")] = key

    def check(self, assertion: str, client_id: str, url: str, now_s: float) -> None:
        """Check an assertion for the token endpoint at `url`. Raises Refused."""
        header, claims, signed, signature = _parts(assertion)
        thumbprint = str(header.get("x5t#S256") or header.get("x5t") or "").rstrip("=")
        key = self._keys.get(thumbprint)
        if key is None:
            text = "Client assertion contains an invalid signature. [Reason - The key was not found.]"
            raise Refused(700027, "invalid_client", text)
        algorithm = str(header.get("alg"))
        self.algorithms.append(algorithm)
        try:
            match algorithm:
                case "RS256":
                    key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
                case "PS256":
                    pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
                    key.verify(signature, signed, pss, hashes.SHA256())
                case _:
                    raise Refused(5002723, "invalid_client", f"The algorithm {algorithm} is not supported.")
        except InvalidSignature:
            raise Refused(700027, "invalid_client", "Client assertion contains an invalid signature.") from None
        self._check_claims(claims, client_id, url, now_s)

    def _check_claims(self, claims: dict[str, Any], client_id: str, url: str, now_s: float) -> None:
        if claims.get("iss") != client_id or claims.get("sub") != client_id:
            raise Refused(
                700021, "invalid_client", "Client assertion application identifier doesn't match 'client_id'."
            )
        if claims.get("aud") != url:
            raise Refused(50013, "invalid_client", f"Assertion audience {claims.get('aud')} is not {url}.")
        expires = claims.get("exp")
        if not isinstance(expires, int | float) or expires < now_s - _SKEW_S:
            raise Refused(700024, "invalid_client", "Client assertion is not within its valid time range.")
        number = str(claims.get("jti") or "")
        if not number or number in self._used:
            raise Refused(7000272, "invalid_client", "Client assertion was used before, or has no jti.")
        self._used.add(number)


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    try:
        head, body, signature = assertion.split(".")
        return json.loads(_octets(head)), json.loads(_octets(body)), f"{head}.{body}".encode(), _octets(signature)
    except (ValueError, binascii.Error):
        raise Refused(50027, "invalid_request", "JWT token is invalid or malformed.") from None


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
