"""Sealing, opening, rotating, and what happens to altered values."""

from __future__ import annotations

import base64
import logging
import stat
from pathlib import Path

import pytest

from connectors.api.credentials import Secret
from gateway.auth.vault import Vault, VaultError, create_key_file, parse_keys, read_key_file, vault_from_text

OLD = Secret(bytes(range(32)))
NEW = Secret(bytes(range(100, 132)))


def test_what_is_sealed_opens_with_its_context() -> None:
    vault = Vault([OLD])
    sealed = vault.seal(b"secret", b"account 7")
    assert b"secret" not in sealed
    assert vault.open(sealed, b"account 7") == b"secret"


def test_the_same_value_is_sealed_differently_each_time() -> None:
    vault = Vault([OLD])
    assert vault.seal(b"secret", b"") != vault.seal(b"secret", b"")


def test_a_value_does_not_open_in_another_context() -> None:
    vault = Vault([OLD])
    with pytest.raises(VaultError, match="altered"):
        vault.open(vault.seal(b"secret", b"account 7"), b"account 8")


def test_every_altered_octet_is_found_out() -> None:
    vault = Vault([OLD])
    sealed = vault.seal(b"secret", b"c")
    for index in range(len(sealed)):
        altered = bytearray(sealed)
        altered[index] ^= 1
        with pytest.raises(VaultError):
            vault.open(bytes(altered), b"c")


def test_a_cut_value_is_found_out() -> None:
    vault = Vault([OLD])
    sealed = vault.seal(b"secret", b"c")
    for length in range(len(sealed)):
        with pytest.raises(VaultError):
            vault.open(sealed[:length], b"c")


def test_keys_rotate() -> None:
    sealed = Vault([OLD]).seal(b"secret", b"c")
    rotated = Vault([NEW, OLD])
    assert rotated.open(sealed, b"c") == b"secret"
    assert not rotated.is_current(sealed)
    again = rotated.seal(b"secret", b"c")
    assert rotated.is_current(again)
    assert Vault([NEW]).open(again, b"c") == b"secret"
    with pytest.raises(VaultError, match="not among the keys"):
        Vault([NEW]).open(sealed, b"c")


def test_derived_keys_differ_by_purpose_and_stay() -> None:
    assert Vault([OLD]).derive(b"a") == Vault([OLD, NEW]).derive(b"a")
    assert len({Vault([OLD]).derive(b"a"), Vault([OLD]).derive(b"b"), Vault([NEW]).derive(b"a")}) == 3
    assert len(Vault([OLD]).derive(b"a")) == 32


def test_keys_are_read_in_hex_and_base64() -> None:
    text = f"# the new one\n{NEW.reveal().hex()}\n\n  {base64.b64encode(OLD.reveal()).decode()}  \n"
    assert parse_keys(text, "x") == [NEW, OLD]
    urlsafe = base64.urlsafe_b64encode(b"\xfb" * 32).decode().rstrip("=")
    assert parse_keys(urlsafe, "x") == [Secret(b"\xfb" * 32)]


@pytest.mark.parametrize("text", ["", "# nothing\n", "short", "00" * 31, "zz" * 32, "AAAA", "ä" * 44])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(VaultError) as caught:
        vault_from_text(text, "IMAP_KEY")
    assert "IMAP_KEY" in caught.value.operator_text
    if text.strip("# "):
        assert text.strip() not in caught.value.operator_text


def test_a_vault_does_not_print_its_keys() -> None:
    assert repr(Vault([OLD, NEW])) == "Vault(2 keys)"
    assert repr(parse_keys(OLD.reveal().hex(), "x")) == "[***]"


def test_a_vault_needs_a_key_of_the_right_length() -> None:
    with pytest.raises(VaultError):
        Vault([])
    with pytest.raises(VaultError):
        Vault([Secret(b"short")])


def test_a_created_key_file_is_private_and_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "vault.key"
    created = create_key_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key_file(path).open(created.seal(b"secret", b"c"), b"c") == b"secret"


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "vault.key"
    create_key_file(path)
    before = path.read_bytes()
    with pytest.raises(VaultError, match="cannot be created"):
        create_key_file(path)
    assert path.read_bytes() == before


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(VaultError, match=r"vault\.key"):
        read_key_file(tmp_path / "vault.key")


def test_a_key_file_that_everybody_can_read_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "vault.key"
    create_key_file(path)
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        read_key_file(path)
    assert "every user" in caplog.text
