"""Key rotation: what was sealed with an older key is sealed with the newest, so that the older can go."""

from __future__ import annotations

import logging

from connectors.api.credentials import PasswordCredential
from gateway.accounts.credentials import open_credentials, seal_password
from gateway.auth.errors import VaultError
from gateway.auth.vault import Vault
from gateway.store.accounts import all_accounts, set_credentials
from gateway.store.database import Store, Transaction

log = logging.getLogger(__name__)


async def reseal(store: Store, vault: Vault) -> int:
    """Seal the credentials of all accounts with the first key of the vault; return how many were not so yet.

    Credentials whose key is not there stay as they are: the account says so when it is used.
    """
    renewed: dict[int, tuple[bytes, bytes]] = {}
    for row in await store.read_bulk(all_accounts):
        if row.credentials is None or vault.is_current(row.credentials):
            continue
        try:
            credential = await open_credentials(vault, row.name, row.credentials).get()
        except VaultError as exc:
            log.error("the credentials of account %s cannot be opened: %s", row.name, exc.operator_text)
            continue
        if isinstance(credential, PasswordCredential):
            sealed = seal_password(vault, row.name, credential.username, credential.password)
            renewed[row.id] = (row.credentials, sealed)

    async def body(tx: Transaction) -> None:
        current = {row.id: row.credentials for row in await all_accounts(tx)}
        for account_id, (old, new) in renewed.items():
            # The command line may have given the account another secret meanwhile.
            if current.get(account_id) == old:
                await set_credentials(tx, account_id, new)

    if renewed:
        await store.write(body)
        log.info("credentials of %d accounts are sealed with the new key", len(renewed))
    return len(renewed)
