"""The credentials of an account: sealed in the store, handed to its connector when it logs in."""

from __future__ import annotations

import json

from connectors.api.credentials import CredentialSource, FixedCredential, PasswordCredential, Secret
from gateway.auth.vault import Vault


def seal_password(vault: Vault, account_name: str, username: str, password: Secret[str]) -> bytes:
    """Return username and password in the form that the store keeps."""
    plain = json.dumps({"username": username, "password": password.reveal()})
    return vault.seal(plain.encode(), _context(account_name))


def open_credentials(vault: Vault, account_name: str, sealed: bytes | None) -> CredentialSource:
    """Return the source for what `seal_password` made; a source of nothing for an account without credentials.

    Raises:
        VaultError: the key is another one, or the record was tampered with.
    """
    if sealed is None:
        return FixedCredential(None)
    fields = json.loads(vault.open(sealed, _context(account_name)))
    return FixedCredential(PasswordCredential(fields["username"], Secret(fields["password"])))


def _context(account_name: str) -> bytes:
    # Bound to the account, so that a sealed record copied to another account's row does not open.
    return b"account credentials\0" + account_name.encode()
