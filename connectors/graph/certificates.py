"""The certificate of an application, as PEM or PFX, made into what MSAL takes: nothing is written to disk for it."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired
from connectors.graph.identity import Certificate

_KEY_BLOCK: Final = re.compile(r"-----BEGIN ((?:ENCRYPTED |RSA )?PRIVATE KEY)-----.*?-----END \1-----", re.DOTALL)


def read_certificate(text: Secret[str], passphrase: Secret[str] | None) -> Certificate:
    """Read a private key and its certificate: PEM blocks in any order, or a PFX (PKCS #12) file in base64.

    Raises:
        AuthExpired: it is neither, the passphrase is wrong, or the two do not belong together.
    """
    secret = passphrase.reveal().encode() if passphrase is not None else None
    try:
        key, found = (
            _of_pem(text.reveal(), secret) if "-----BEGIN " in text.reveal() else _of_pfx(text.reveal(), secret)
        )
    except (ValueError, TypeError, UnsupportedAlgorithm, binascii.Error):
        # Not chained: the message may show what is in it.
        raise AuthExpired(
            "certificate: cannot be read; it must be a private key and its certificate, as PEM or as a PFX file in "
            "base64, and passphrase that of the key if it has one"
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise AuthExpired("certificate: Microsoft takes RSA keys only")
    certificate = next((each for each in found if each.public_key() == key.public_key()), None)
    if certificate is None:
        raise AuthExpired("certificate: there is no certificate for the private key in it")
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Certificate(Secret(pem.decode("ascii")), certificate.public_bytes(Encoding.PEM).decode("ascii"))


def _of_pem(text: str, passphrase: bytes | None) -> tuple[object, list[x509.Certificate]]:
    match = _KEY_BLOCK.search(text)
    if match is None:
        raise ValueError("no private key")
    is_encrypted = "ENCRYPTED" in match[0]
    key = load_pem_private_key(match[0].encode("ascii"), passphrase if is_encrypted else None)
    return key, x509.load_pem_x509_certificates(text.encode("ascii"))


def _of_pfx(text: str, passphrase: bytes | None) -> tuple[object, list[x509.Certificate]]:
    key, certificate, others = pkcs12.load_key_and_certificates(
        base64.b64decode("".join(text.split()), validate=True), passphrase
    )
    return key, ([certificate] if certificate is not None else []) + others
