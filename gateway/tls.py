"""TLS for the doors: contexts that reload their certificate in place, and a throw-away certificate for the demo."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import OperatorError

_VERSIONS = {
    "1.0": ssl.TLSVersion.TLSv1,
    "1.1": ssl.TLSVersion.TLSv1_1,
    "1.2": ssl.TLSVersion.TLSv1_2,
    "1.3": ssl.TLSVersion.TLSv1_3,
}


class ServerTls:
    """A server's TLS set-up. `context` stays the same object through `reload`, so listeners need not be restarted.

    `end_point` is the channel binding tls-server-end-point of the certificate in use (RFC 5929 section 4), None if its
    signature has no hash that would define one.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        *,
        minimum_version: str = "1.2",
        key_prefix: str = "tls",
        client_ca: Path | None = None,
    ) -> None:
        """Read the certificate chain and its private key, both PEM.

        `minimum_version` is "1.0" to "1.3"; below "1.2" the ciphers of that time are admitted too, which is for
        scanners and other old devices only. Clients are asked for a certificate, which they need not have, of an
        authority in `client_ca`, PEM; one that is not valid ends the handshake. `key_prefix` is where the settings
        stand in the configuration.

        Raises:
            OperatorError: a file cannot be read, the two do not belong together, or the version is unknown.
        """
        self._certificate = certificate
        self._key = key
        self._key_prefix = key_prefix
        if minimum_version not in _VERSIONS:
            raise OperatorError(
                f"unknown TLS version {minimum_version!r}, expected one of {', '.join(_VERSIONS)}",
                key=f"{key_prefix}.minimum_version",
            )
        self.end_point: bytes | None = None
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        _set_minimum_version(self.context, _VERSIONS[minimum_version])
        if client_ca is not None:
            self._trust_clients(client_ca)
        self.reload()

    def _trust_clients(self, client_ca: Path) -> None:
        key = f"{self._key_prefix}.client_ca"
        _check_readable(client_ca, key)
        try:
            self.context.load_verify_locations(client_ca)
        except ssl.SSLError as exc:
            raise OperatorError(f"{client_ca} is not a PEM file of certificates: {exc}", key=key) from exc
        self.context.verify_mode = ssl.CERT_OPTIONAL

    def reload(self) -> None:
        """Read the files again; new handshakes use the new certificate. On an error the old one stays in use.

        Raises:
            OperatorError: as on construction.
        """
        for name, path in (("certificate", self._certificate), ("key", self._key)):
            _check_readable(path, f"{self._key_prefix}.{name}")
        # A trial on a context of its own: a failing load would leave `context` with a certificate that lacks its key.
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self._certificate, self._key, _no_password)
        except (ssl.SSLError, ValueError) as exc:
            raise OperatorError(
                f"{self._certificate} and {self._key} are not a PEM certificate chain and its unencrypted key: {exc}",
                key=f"{self._key_prefix}.certificate",
            ) from exc
        self.context.load_cert_chain(self._certificate, self._key, _no_password)
        self.end_point = end_point(self._certificate.read_bytes())


def end_point(chain: bytes) -> bytes | None:
    """Return the channel binding tls-server-end-point of the first certificate in a PEM file (RFC 5929 section 4.1).

    It is the certificate's hash, by the function that its signature is made with; MD5 and SHA-1 give way to SHA-256.
    None if the signature is made with none.
    """
    certificate = x509.load_pem_x509_certificates(chain)[0]
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    if algorithm is None:
        return None
    return certificate.fingerprint(hashes.SHA256() if algorithm.name in ("md5", "sha1") else algorithm)


def certificate_names(peer_certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return whom a client's certificate is for: its mail addresses (rfc822Name), without any its common name.

    `peer_certificate` is what `ssl.SSLObject.getpeercert` tells of a certificate that was found valid, if there is one.
    """
    if not peer_certificate:
        return ()
    alternatives: tuple[tuple[str, str], ...] = peer_certificate.get("subjectAltName", ())
    addresses = tuple(value for kind, value in alternatives if kind == "email")
    subject: tuple[tuple[tuple[str, str], ...], ...] = peer_certificate.get("subject", ())
    return addresses or tuple(value for part in subject for kind, value in part if kind == "commonName")


def _set_minimum_version(context: ssl.SSLContext, version: ssl.TLSVersion) -> None:
    if version >= ssl.TLSVersion.TLSv1_2:
        context.minimum_version = version
        return
    import warnings  # noqa: PLC0415  only for the old devices

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = version
    # OpenSSL 3 refuses the signatures of TLS 1.0 and 1.1 above security level 0.
    context.set_ciphers("DEFAULT:@SECLEVEL=0")


def _check_readable(path: Path, key: str) -> None:
    try:
        with path.open("rb"):
            pass
    except OSError as exc:
        raise OperatorError(f"cannot read {path}: {exc.strerror or exc}", key=key) from exc


def _no_password() -> str:
    # Without a callback OpenSSL would ask on the terminal and block the start.
    raise ValueError("the private key is encrypted")


def write_self_signed(
    certificate: Path, key: Path, *, names: Sequence[str] = ("localhost", "127.0.0.1", "::1"), days: int = 365
) -> None:
    """Write a new self-signed certificate and its key (P-256), PEM, the key readable by the owner only.

    The first of `names` is the common name, all are subject alternative names; addresses are recognised as such.
    """
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    pem_key = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    with contextlib.suppress(FileNotFoundError):
        key.unlink()
    # Created with its final mode: there is no moment at which others can read it.
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(pem_key)
    certificate.write_bytes(built.public_bytes(serialization.Encoding.PEM))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
