"""The store and the key beside it, as the configuration names them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.auth.errors import VaultError
from gateway.auth.vault import KEY_OCTETS, Vault, create_key_file, read_key_file, vault_from_text
from gateway.config import Config, read_secret
from gateway.errors import OperatorError
from gateway.store.body_cache import BodyCache
from gateway.store.database import Store
from gateway.store.kept_bodies import KeptBodies
from gateway.store.lock import StoreLock

CACHE_KEY_PURPOSE = b"body cache"
_KEPT_KEY_CONTEXT = b"kept bodies"


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
    return read_key_file(path) if _has_key_file(config) else create_key_file(path)


def kept_bodies(config: Config, vault: Vault) -> KeptBodies:
    """Return the folder of the octets that are kept for good, beside the database they belong to; not loaded yet.

    It is sealed if the cache is, with a key of its own, which the vault seals: so the vault's keys may change.

    Raises:
        VaultError: the folder's key cannot be opened.
        OperatorError: the folder cannot be used.
    """
    directory = database_path(config).with_suffix(".bodies")
    try:
        key = _kept_key(directory / "key", vault, is_wanted=config.cache.seal)
    except OSError as exc:
        raise OperatorError(f"{directory} cannot be used: {exc.strerror or exc}", key="store.url") from exc
    return KeptBodies(directory, key if config.cache.seal else None, other_key=key)


def stored_bodies(config: Config) -> BodyCache:
    """Return the folders of message bodies as they are, to be read only: neither folder nor key is made.

    Raises:
        OperatorError: a key that they are sealed with cannot be had.
    """
    directory = database_path(config).with_suffix(".bodies")
    path, seal = directory / "key", config.cache.seal
    try:
        vault = open_vault(config) if (seal or path.exists()) and has_key(config) else None
        kept_key = vault.open(path.read_bytes(), _KEPT_KEY_CONTEXT) if vault is not None and path.exists() else None
    except OSError as exc:
        raise OperatorError(f"{directory} cannot be used: {exc.strerror or exc}", key="store.url") from exc
    kept = KeptBodies(directory, kept_key if seal else None, other_key=kept_key)
    key = vault.derive(CACHE_KEY_PURPOSE) if vault is not None and seal else None
    return BodyCache(config.cache.directory, config.cache.max_size, key, kept=kept)


def has_key(config: Config) -> bool:
    """Tell whether there is a key, so that `open_vault` does not make one.

    Raises:
        VaultError: its file cannot be looked for.
    """
    return config.secrets.key_env is not None or _has_key_file(config)


def _has_key_file(config: Config) -> bool:
    path = key_path(config)
    try:
        return path.exists()
    except OSError as exc:
        raise VaultError(f"cannot be read: {exc.strerror or exc}", source=str(path)) from exc


def _kept_key(path: Path, vault: Vault, *, is_wanted: bool) -> bytes | None:
    """Return the key in the file, made if it is wanted; sealed anew if the vault has another first key now."""
    key = os.urandom(KEY_OCTETS) if is_wanted else None
    if path.exists():
        sealed = path.read_bytes()
        key = vault.open(sealed, _KEPT_KEY_CONTEXT)
        if vault.is_current(sealed):
            return key
    if key is not None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_durably(path, vault.seal(key, _KEPT_KEY_CONTEXT))
    return key


def _write_durably(path: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@asynccontextmanager
async def served_store(config: Config) -> AsyncIterator[Store]:
    """Open the store to serve from it, for as long as the context lasts; no other gateway can meanwhile.

    Raises:
        StoreError: it cannot be opened or upgraded, or another process serves from it or repairs it.
    """
    with StoreLock(database_path(config)):
        async with opened_store(config) as store:
            yield store


@asynccontextmanager
async def opened_store(config: Config) -> AsyncIterator[Store]:
    """Open the store for as long as the context lasts, also beside a running gateway.

    Raises:
        StoreError: it cannot be opened or upgraded.
    """
    store = await Store.open(config.store.url)
    try:
        yield store
    finally:
        await store.close()
