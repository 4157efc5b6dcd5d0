from __future__ import annotations

import pytest

from connectors.api.credentials import PasswordCredential, Secret
from gateway.accounts.credentials import open_credentials, seal_password
from gateway.auth.vault import Vault, VaultError

KEY = Secret(bytes(range(32)))


async def test_sealed_credentials_come_back_and_are_not_readable() -> None:
    vault = Vault([KEY])
    sealed = seal_password(vault, "work", "alex", Secret("pässwörd"))
    assert "pässwörd".encode() not in sealed
    assert await open_credentials(vault, "work", sealed).get() == PasswordCredential("alex", Secret("pässwörd"))


async def test_an_account_may_need_none() -> None:
    assert await open_credentials(Vault([KEY]), "work", None).get() is None


def test_credentials_of_another_account_do_not_open() -> None:
    vault = Vault([KEY])
    with pytest.raises(VaultError):
        open_credentials(vault, "home", seal_password(vault, "work", "alex", Secret("x")))
