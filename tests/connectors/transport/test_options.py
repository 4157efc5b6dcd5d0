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


def test_accounts_share_the_context_of_a_lane() -> None:
    context = TransportOptions().lane_context(http2=True)
    assert TransportOptions(timeout_s=5.0).lane_context(http2=True) is context
    assert TransportOptions().lane_context(http2=False) is not context
    assert TransportOptions(verify=False).lane_context(http2=True).verify_mode is ssl.CERT_NONE
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_a_file_of_authorities_that_has_changed_is_read_again(certificates: Certificates, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    options = TransportOptions(ca_file=str(path))
    with pytest.raises(SettingError, match="ca_file"):
        options.lane_context(http2=True)
    path.write_bytes(certificates.ca_file.read_bytes())
    first = options.lane_context(http2=True)
    assert options.lane_context(http2=True) is first
    path.write_bytes(path.read_bytes() + b"\n")
    again = options.lane_context(http2=True)
    assert again is not first
    assert len(again.get_ca_certs()) == len(first.get_ca_certs())
