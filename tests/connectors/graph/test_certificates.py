"""Certificates as operators have them."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired
from connectors.graph.certificates import read_certificate
from tests.connectors.graph.certificate import pem_of, self_signed

KEY, CERTIFICATE = self_signed()
OTHER_KEY, OTHER = self_signed("other")
PFX = pkcs12.serialize_key_and_certificates(b"g", KEY, CERTIFICATE, None, NoEncryption())
LOCKED_PFX = pkcs12.serialize_key_and_certificates(b"g", KEY, CERTIFICATE, [OTHER], BestAvailableEncryption(b"pass"))
PKCS1 = KEY.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()
CERTIFICATE_PEM = CERTIFICATE.public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize(
    ("text", "passphrase"),
    [
        (pem_of(KEY, CERTIFICATE), None),
        (pem_of(KEY, CERTIFICATE), "not needed"),
        (pem_of(KEY, CERTIFICATE, "pass"), "pass"),
        (PKCS1 + CERTIFICATE_PEM, None),
        (OTHER.public_bytes(Encoding.PEM).decode() + pem_of(KEY, CERTIFICATE), None),
        (base64.b64encode(PFX).decode(), None),
        (base64.encodebytes(LOCKED_PFX).decode(), "pass"),
    ],
)
def test_key_and_certificate_are_found(text: str, passphrase: str | None) -> None:
    found = read_certificate(Secret(text), Secret(passphrase) if passphrase is not None else None)
    assert found.certificate == CERTIFICATE_PEM
    key = load_pem_private_key(found.private_key.reveal().encode(), None)
    assert key.public_key() == KEY.public_key()
    assert "PRIVATE" not in repr(found)


@pytest.mark.parametrize(
    ("text", "passphrase"),
    [
        ("", None),
        ("no certificate", None),
        ("\u00e4", None),
        (CERTIFICATE_PEM, None),
        (PKCS1, None),
        (pem_of(KEY, CERTIFICATE, "pass"), None),
        (pem_of(KEY, CERTIFICATE, "pass"), "wrong"),
        (pem_of(KEY, OTHER), None),
        (base64.b64encode(LOCKED_PFX).decode(), "wrong"),
        (base64.b64encode(b"no pfx").decode(), None),
    ],
)
def test_what_is_none_says_so_without_showing_it(text: str, passphrase: str | None) -> None:
    with pytest.raises(AuthExpired, match="certificate: ") as caught:
        read_certificate(Secret(text), Secret(passphrase) if passphrase is not None else None)
    assert caught.value.__cause__ is None
    assert "BEGIN" not in caught.value.operator_text


def test_only_rsa_keys_are_taken() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with pytest.raises(AuthExpired, match="RSA"):
        read_certificate(Secret(pem + CERTIFICATE_PEM), None)
