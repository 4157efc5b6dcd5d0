"""The store and the key beside it, as the configuration names them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.auth.vault import Vault, create_key_file, read_key_file, vault_from_text
from gateway.config import Config, read_secret
from gateway.store.database import Store


def database_path(config: Config) -> Path:
    """Return the file of the database."""
    return Path(config.store.url.removeprefix("sqlite:///"))


def key_path(config: Config) -> Path:
    """Return the file of the key, for a configuration that names no environment variable for it."""
    return config.secrets.key_file or database_path(config).with_name("gateway.key")


def open_vault(config: Config) -> Vault:
    """Return the vault with the configured key; a key file that does not exist is made.

    Raises:
        VaultError: the key cannot be read, made or understood.
        OperatorError: its environment variable is not set.
    """
    if config.secrets.key_env is not None:
        text = read_secret(None, config.secrets.key_env, key="secrets.key").reveal()
        return vault_from_text(text, f"environment variable {config.secrets.key_env}")
    path = key_path(config)
    return read_key_file(path) if path.exists() else create_key_file(path)


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """Open the store for as long as the context lasts.

    Raises:
        StoreError: it cannot be opened or upgraded.
    """
    store = await Store.open(config.store.url)
    try:
        yield store
    finally:
        await store.close()
