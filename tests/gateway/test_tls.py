from __future__ import annotations

import asyncio
import hashlib
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from gateway.errors import OperatorError
from gateway.tls import ServerTls, certificate_names, end_point, write_self_signed


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    write_self_signed(certificate, key)
    return certificate, key


async def peer_certificate(tls: ServerTls, trusted: Path, **settings: ssl.TLSVersion) -> bytes:
    """Return the certificate a client sees that trusts `trusted` and connects by name."""
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=tls.context)
    client = ssl.create_default_context(cafile=str(trusted))
    for name, value in settings.items():
        setattr(client, name, value)
    async with server:
        port = server.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname="localhost")
        seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        await writer.wait_closed()
    assert isinstance(seen, bytes)
    return seen


async def test_the_self_signed_certificate_serves_the_names_of_this_machine(files: tuple[Path, Path]) -> None:
    certificate, key = files
    seen = x509.load_der_x509_certificate(await peer_certificate(ServerTls(certificate, key), certificate))
    names = seen.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]


def test_the_key_is_for_its_owner_only(files: tuple[Path, Path]) -> None:
    assert stat.S_IMODE(files[1].stat().st_mode) == 0o600
    write_self_signed(*files)
    assert stat.S_IMODE(files[1].stat().st_mode) == 0o600


async def test_reload_serves_the_new_certificate_from_the_same_context(files: tuple[Path, Path]) -> None:
    certificate, key = files
    tls = ServerTls(certificate, key)
    context = tls.context
    first = await peer_certificate(tls, certificate)
    write_self_signed(certificate, key)
    tls.reload()
    assert tls.context is context
    assert await peer_certificate(tls, certificate) != first


async def test_a_reload_that_fails_leaves_the_old_certificate_in_use(files: tuple[Path, Path], tmp_path: Path) -> None:
    certificate, key = files
    tls = ServerTls(certificate, key)
    trusted = tmp_path / "trusted.pem"
    trusted.write_bytes(certificate.read_bytes())
    write_self_signed(tmp_path / "other.pem", key)
    with pytest.raises(OperatorError):
        tls.reload()
    assert await peer_certificate(tls, trusted)


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_file_that_is_missing_is_named_with_its_key(missing: str, files: tuple[Path, Path]) -> None:
    path = files[0] if missing == "certificate" else files[1]
    path.unlink()
    with pytest.raises(OperatorError) as caught:
        ServerTls(*files)
    assert str(path) in caught.value.operator_text
    assert f"tls.{missing}" in caught.value.operator_text
    assert str(path) not in caught.value.client_text


def test_an_encrypted_key_is_refused_and_nobody_is_asked(files: tuple[Path, Path]) -> None:
    private = serialization.load_pem_private_key(files[1].read_bytes(), None)
    files[1].write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(OperatorError, match="encrypted"):
        ServerTls(*files)


def test_an_unknown_version_is_an_error(files: tuple[Path, Path]) -> None:
    with pytest.raises(OperatorError, match=r"minimum_version.*1\.4"):
        ServerTls(*files, minimum_version="1.4")


async def test_old_versions_are_refused_unless_allowed(files: tuple[Path, Path]) -> None:
    modern = ServerTls(*files, minimum_version="1.3")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await peer_certificate(modern, files[0], maximum_version=ssl.TLSVersion.TLSv1_2)
    assert ServerTls(*files, minimum_version="1.0").context.minimum_version == ssl.TLSVersion.TLSv1


def signed(folder: Path, algorithm: hashes.SHA256 | hashes.SHA384 | None) -> bytes:
    """Return a certificate, PEM, whose signature is made with that hash; with none, by Ed25519."""
    private = ec.generate_private_key(ec.SECP256R1()) if algorithm else ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    return builder.sign(private, algorithm).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("algorithm", "digest"), [(hashes.SHA256(), hashlib.sha256), (hashes.SHA384(), hashlib.sha384), (None, None)]
)
def test_the_end_point_is_the_hash_of_the_signature(
    tmp_path: Path, algorithm: hashes.SHA256 | hashes.SHA384 | None, digest: Callable[[bytes], Any] | None
) -> None:
    certificate = signed(tmp_path, algorithm)
    expected = digest(ssl.PEM_cert_to_DER_cert(certificate.decode())).digest() if digest else None
    assert end_point(certificate) == expected


def test_the_end_point_follows_the_certificate_in_use(files: tuple[Path, Path]) -> None:
    tls = ServerTls(*files)
    first = tls.end_point
    write_self_signed(*files)
    assert tls.end_point == first
    tls.reload()
    assert tls.end_point == end_point(files[0].read_bytes()) != first


@pytest.mark.parametrize(
    ("certificate", "names"),
    [
        (None, ()),
        ({}, ()),
        ({"subject": ((("commonName", "alex"),),)}, ("alex",)),
        (
            {
                "subject": ((("organizationName", "x"),), (("commonName", "alex"),)),
                "subjectAltName": (("DNS", "host"), ("email", "a@example.org"), ("email", "b@example.org")),
            },
            ("a@example.org", "b@example.org"),
        ),
        ({"subject": ((("commonName", "alex"),),), "subjectAltName": (("DNS", "host"),)}, ("alex",)),
    ],
)
def test_a_client_is_called_by_its_addresses_or_else_its_common_name(
    certificate: dict[str, Any] | None, names: tuple[str, ...]
) -> None:
    assert certificate_names(certificate) == names


def test_authorities_that_are_none_are_told_to_the_operator(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing", encoding="ascii")
    for path, text in ((tmp_path / "ca.pem", "not a PEM file"), (tmp_path / "missing.pem", "cannot read")):
        with pytest.raises(OperatorError, match=rf"tls\.client_ca: .*{text}"):
            ServerTls(*files, client_ca=path)
