"""The credentials of an account: sealed in the store, handed to its connector when it logs in.

What is sealed is JSON: `form`, the name of one of the connector's forms, and `values`, what was given for its fields.
If a connector has changed values since, `given` holds what they were made from: whoever gives the same again, as the
configuration does at each start, means to change nothing. Records from before there were forms hold `username` and
`password` only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from connectors.api.credentials import CredentialRecord, CredentialSource, FixedCredential, Secret
from connectors.api.errors import Unavailable
from connectors.api.forms import PASSWORD_FORM
from connectors.api.spec import ConnectorSpec, SettingError, SettingValue
from gateway.auth.errors import VaultError
from gateway.auth.vault import Vault
from gateway.errors import OperatorError
from gateway.store.accounts import account_by_id, set_credentials
from gateway.store.database import Store, Transaction

Values = Mapping[str, Secret[str]]
"""What was given for the fields of a form, by key."""


@dataclass(frozen=True, slots=True)
class AccountCredentials:
    """A form of credentials, by name, with what was given for it. `given` is set if `values` have changed since."""

    form: str
    values: Values
    given: Values | None = None

    def is_from(self, given: AccountCredentials) -> bool:
        """Whether these are the credentials given, or have been made from them."""
        return self.form == given.form and dict(self.given or self.values) == dict(given.values)

    def changed(self, values: Values) -> AccountCredentials:
        """Return these with other values for some of the fields."""
        return replace(self, values={**self.values, **values}, given=self.given or self.values)


def seal_credentials(vault: Vault, account_name: str, credentials: AccountCredentials) -> bytes:
    """Return the credentials in the form that the store keeps."""
    plain: dict[str, object] = {"form": credentials.form, "values": _revealed(credentials.values)}
    if credentials.given is not None:
        plain["given"] = _revealed(credentials.given)
    return vault.seal(json.dumps(plain).encode(), _context(account_name))


def unseal_credentials(vault: Vault, account_name: str, sealed: bytes) -> AccountCredentials:
    """Return what `seal_credentials` was given, or its forerunner.

    Raises:
        VaultError: the key is another one, or the record was tampered with.
    """
    plain = json.loads(vault.open(sealed, _context(account_name)))
    if "form" not in plain:
        return AccountCredentials(PASSWORD_FORM.name, _hidden(plain))
    given = _hidden(plain["given"]) if "given" in plain else None
    return AccountCredentials(plain["form"], _hidden(plain["values"]), given)


def credential_source(
    spec: ConnectorSpec,
    settings: Mapping[str, SettingValue],
    vault: Vault,
    store: Store,
    account_id: int,
    account_name: str,
    sealed: bytes | None,
) -> CredentialSource:
    """Return what hands out the credentials of an account; a source of nothing for an account without.

    `settings` are checked. The vault is opened now, the source is asked when the connector logs in.

    Raises:
        VaultError: the key is another one, or the record was tampered with.
        OperatorError: the connector does not take credentials of that form (any more).
    """
    if sealed is None:
        return FixedCredential(None)
    keeper = CredentialKeeper(vault, store, account_id, account_name, unseal_credentials(vault, account_name, sealed))
    try:
        form = spec.form_named(keeper.credentials.form)
    except SettingError as error:
        raise OperatorError(f"{error}; give the credentials anew", key=account_name) from None
    return form.build(CredentialRecord(keeper.credentials.values, settings, keeper.save, keeper.read))


class CredentialKeeper:
    """Keeps what a connector changes of one account's credentials."""

    def __init__(
        self, vault: Vault, store: Store, account_id: int, account_name: str, credentials: AccountCredentials
    ) -> None:
        self.credentials = credentials
        self._vault = vault
        self._store = store
        self._account_id = account_id
        self._account_name = account_name
        self._saving = asyncio.Lock()

    async def save(self, values: Values) -> None:
        """Seal changed values beside the others; they are on disk when this returns.

        Raises:
            Unavailable: the account is gone, or was given other credentials meanwhile, which must not be overwritten.
        """
        async with self._saving:
            changed = self.credentials.changed(values)

            async def body(tx: Transaction) -> None:
                row = await account_by_id(tx, self._account_id)
                if row is None or row.credentials is None or self._stored(row.credentials) != self.credentials:
                    raise Unavailable(f"account {self._account_name} was set up anew; its old credentials are not kept")
                await set_credentials(tx, row.id, seal_credentials(self._vault, self._account_name, changed))

            await self._store.write(body)
            self.credentials = changed

    async def read(self) -> Values:
        """Return what is stored now, which may have been changed by another process; what cannot be read is as it was.

        Credentials of another form are not for this keeper's connector: it will be made anew for them.
        """
        async with self._saving:
            row = await self._store.read(lambda tx: account_by_id(tx, self._account_id))
            stored = self._stored(row.credentials) if row is not None and row.credentials is not None else None
            if stored is not None and stored.form == self.credentials.form:
                self.credentials = stored
            return self.credentials.values

    def _stored(self, sealed: bytes) -> AccountCredentials | None:
        try:
            return unseal_credentials(self._vault, self._account_name, sealed)
        except VaultError:
            return None


def _revealed(values: Values) -> dict[str, str]:
    return {key: value.reveal() for key, value in values.items()}


def _hidden(values: Mapping[str, str]) -> dict[str, Secret[str]]:
    return {key: Secret(value) for key, value in values.items()}


def _context(account_name: str) -> bytes:
    # Bound to the account, so that a sealed record copied to another account's row does not open.
    return b"account credentials\0" + account_name.encode()
