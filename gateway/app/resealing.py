"""Key rotation: what was sealed with an older key is sealed with the newest, so that the older can go."""

from __future__ import annotations

import logging

from gateway.accounts.credentials import seal_credentials, unseal_credentials
from gateway.auth.errors import VaultError
from gateway.auth.scram_users import reseal_row
from gateway.auth.vault import Vault
from gateway.store.accounts import all_accounts, set_credentials
from gateway.store.database import Store, Transaction
from gateway.store.scram_keys import ScramRow, all_keys, drop_stale_keys, remove_keys, replace_sealed

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


async def reseal_scram_keys(store: Store, vault: Vault) -> int:
    """Seal all SCRAM keys with the first key of the vault; return how many were not so yet.

    Those that cannot be opened go: SCRAM is not offered then, until the passwords are set or used again.
    """
    renewed: list[tuple[ScramRow, bytes | None]] = []
    for row in await store.read_bulk(all_keys):
        if vault.is_current(row.sealed):
            continue
        try:
            renewed.append((row, reseal_row(vault, row)))
        except VaultError as exc:
            log.error("the SCRAM keys of user %d cannot be opened and are forgotten: %s", row.user_id, exc)
            renewed.append((row, None))

    async def body(tx: Transaction) -> None:
        await drop_stale_keys(tx)
        for row, sealed in renewed:
            if sealed is None:
                await remove_keys(tx, row)
            else:
                await replace_sealed(tx, row, sealed)

    if renewed:
        await store.write(body)
    return len(renewed)
