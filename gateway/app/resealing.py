"""Key rotation: what was sealed with an older key is sealed with the newest, so that the older can go."""

from __future__ import annotations

import logging

from gateway.accounts.credentials import seal_credentials, unseal_credentials
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
            credentials = unseal_credentials(vault, row.name, row.credentials)
        except VaultError as exc:
            log.error("the credentials of account %s cannot be opened: %s", row.name, exc.operator_text)
            continue
        renewed[row.id] = (row.credentials, seal_credentials(vault, row.name, credentials))

    async def body(tx: Transaction) -> None:
        current = {row.id: row.credentials for row in await all_accounts(tx)}
        for account_id, (old, new) in renewed.items():
            # The command line may have given the account another secret meanwhile, or its connector refreshed a token.
            if current.get(account_id) == old:
                await set_credentials(tx, account_id, new)

    if renewed:
        await store.write(body)
        log.info("credentials of %d accounts are sealed with the new key", len(renewed))
    return len(renewed)
