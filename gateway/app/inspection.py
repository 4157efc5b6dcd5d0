"""What can be found wrong with a configuration without starting anything."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from gateway.app.backends import check_settings, find_connector
from gateway.app.credentials import given_credentials
from gateway.app.settings import server_tls
from gateway.app.storage import database_path, key_path, open_vault
from gateway.auth.passwords import is_password_hash
from gateway.config import AccountConfig, Config, read_secret
from gateway.errors import OperatorError
from gateway.imap.capabilities import OFFER


def inspect(config: Config, source: str) -> list[OperatorError]:
    """Return what is wrong with a configuration that has been read from `source`; nothing is created or changed."""
    checks = (_listeners, _tls, _store, _cache, _secrets, _capabilities, _users, _accounts)
    return [_with_source(problem, source) for check in checks for problem in check(config)]


def _with_source(problem: OperatorError, source: str) -> OperatorError:
    """Name the file in a problem that was found by a part that does not know it."""
    if problem.source is not None:
        return problem
    text = problem.operator_text
    return OperatorError(text.removeprefix(f"{problem.key}: "), key=problem.key, source=source)


def _caught(attempt: Callable[[], object]) -> Iterator[OperatorError]:
    try:
        attempt()
    except OperatorError as exc:
        yield exc


def _listeners(config: Config) -> Iterator[OperatorError]:
    if not config.listeners:
        yield OperatorError('there are none; add [[listeners]] with protocol = "imap" and bind', key="listeners")


def _tls(config: Config) -> Iterator[OperatorError]:
    if (tls := config.tls) is not None:
        yield from _caught(lambda: server_tls(tls))


def _store(config: Config) -> Iterator[OperatorError]:
    database = database_path(config)
    try:
        is_there, is_directory = database.exists(), database.is_dir()
    except OSError as exc:
        yield _not_looked_at(database, exc, "store.url")
        return
    if is_directory:
        yield OperatorError(f"{database} is a directory; name a file in it", key="store.url")
    elif is_there and not os.access(database, os.R_OK | os.W_OK):
        yield OperatorError(f"{database} cannot be read and written by this user", key="store.url")
    else:
        yield from _creatable(database.parent, "store.url")


def _cache(config: Config) -> Iterator[OperatorError]:
    yield from _creatable(config.cache.directory, "cache.directory")


def _creatable(directory: Path, key: str) -> Iterator[OperatorError]:
    """See that the directory can be written to, or made."""
    existing = directory
    try:
        while not existing.exists() and existing != existing.parent:
            existing = existing.parent
        is_directory = existing.is_dir()
    except OSError as exc:
        yield _not_looked_at(existing, exc, key)
        return
    if not is_directory:
        yield OperatorError(f"{existing} is not a directory", key=key)
    elif not os.access(existing, os.W_OK | os.X_OK):
        what = "cannot be written to" if existing == directory else f"cannot be made: {existing} cannot be written to"
        yield OperatorError(f"{directory} {what} by this user", key=key)


def _not_looked_at(path: Path, error: OSError, key: str) -> OperatorError:
    """Say that not even whether there is such a file can be told, as below a folder that is another user's alone."""
    return OperatorError(f"{path} cannot be looked at: {error.strerror or error}", key=key)


def _secrets(config: Config) -> Iterator[OperatorError]:
    try:
        is_there = config.secrets.key_env is not None or key_path(config).exists()
    except OSError as exc:
        yield _not_looked_at(key_path(config), exc, "secrets.key_file")
        return
    if is_there:
        yield from _caught(lambda: open_vault(config))
    else:
        yield from _creatable(key_path(config).parent, "secrets.key_file")


def _capabilities(config: Config) -> Iterator[OperatorError]:
    named = {
        "imap.disabled_capabilities": config.imap.disabled_capabilities,
        "imap.added_capabilities": config.imap.added_capabilities,
    }
    for number, one in enumerate(config.imap.exemptions, start=1):
        named[f"imap.exemptions[{number}].disabled_capabilities"] = one.disabled_capabilities
    for key, names in named.items():
        for name in sorted(names):
            if name not in OFFER:
                yield OperatorError(f"{name} is no capability of this server", key=key)


def _users(config: Config) -> Iterator[OperatorError]:
    for user in config.users:
        key = f"users[{user.login}].password"
        if user.password_hash is None:
            yield from _caught(partial(read_secret, user.password_file, user.password_env, key=key))
        elif not is_password_hash(user.password_hash):
            yield OperatorError("is no argon2id hash; its text may be cut", key=f"{key}_hash")


def _accounts(config: Config) -> Iterator[OperatorError]:
    for account in config.accounts:
        yield from _account(account, f"accounts[{account.name}]")


def _account(account: AccountConfig, key: str) -> Iterator[OperatorError]:
    try:
        spec = find_connector(account.connector, key=f"{key}.connector")
    except OperatorError as exc:
        yield exc
        return
    yield from _caught(lambda: check_settings(spec, account.settings, key=f"{key}.settings"))
    yield from _caught(lambda: given_credentials(spec, account.credentials, key=f"{key}.credentials"))
