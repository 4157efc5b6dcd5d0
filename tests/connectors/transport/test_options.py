from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from connectors.api.spec import SettingError
from connectors.transport.options import TransportOptions
from tests.connectors.transport.conftest import Certificates


def test_certificates_are_verified_by_default() -> None:
    context = TransportOptions().ssl_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_an_own_authority_is_trusted_beside_the_others(certificates: Certificates) -> None:
    without = len(TransportOptions().ssl_context().get_ca_certs())
    assert len(TransportOptions(ca_file=str(certificates.ca_file)).ssl_context().get_ca_certs()) == without + 1


def test_verification_can_be_switched_off() -> None:
    context = TransportOptions(verify=False).ssl_context()
    assert context.verify_mode is ssl.CERT_NONE
    assert not context.check_hostname


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_ca_file_that_cannot_be_read_is_a_wrong_setting(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingError, match="ca_file"):
        TransportOptions(ca_file=str(path)).ssl_context()
