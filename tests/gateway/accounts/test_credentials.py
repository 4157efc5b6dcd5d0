from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.api.credentials import (
    BearerCredential,
    CredentialField,
    CredentialForm,
    CredentialRecord,
    CredentialSource,
    FixedCredential,
    PasswordCredential,
    Secret,
)
from connectors.api.errors import Unavailable
from connectors.api.forms import PASSWORD_FORM, TOKEN_FORM
from connectors.api.spec import ConnectorSpec
from gateway.accounts.credentials import (
    AccountCredentials,
    CredentialKeeper,
    credential_source,
    seal_credentials,
    unseal_credentials,
)
from gateway.auth.vault import Vault, VaultError
from gateway.errors import OperatorError
from gateway.store.accounts import account_by_id, add_account, set_credentials
from gateway.store.database import Store
from gateway.store.users import add_user

KEY = Secret(bytes(range(32)))
VAULT = Vault([KEY])
PASSWORD = AccountCredentials("password", {"username": Secret("alex"), "password": Secret("p\u00e4ssw\u00f6rd")})
SPEC = ConnectorSpec("shelf", "A shelf", "shelf:build", (), credentials=(PASSWORD_FORM, TOKEN_FORM))
RECORDS: list[CredentialRecord] = []


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    yield opened
    await opened.close()


async def add(store: Store, credentials: AccountCredentials) -> int:
    sealed = seal_credentials(VAULT, "work", credentials)
    user = await store.write(lambda tx: add_user(tx, "alex"))
    account = await store.write(lambda tx: add_account(tx, user.id, "work", "shelf", {}, credentials=sealed))
    return account.id


async def stored(store: Store, account_id: int) -> AccountCredentials:
    account = await store.read(lambda tx: account_by_id(tx, account_id))
    assert account is not None
    assert account.credentials is not None
    return unseal_credentials(VAULT, "work", account.credentials)


def source(store: Store, sealed: bytes | None, spec: ConnectorSpec = SPEC) -> CredentialSource:
    return credential_source(spec, {}, VAULT, store, 1, "work", sealed)


def test_sealed_credentials_come_back_and_are_not_readable() -> None:
    sealed = seal_credentials(VAULT, "work", PASSWORD)
    assert "p\u00e4ssw\u00f6rd".encode() not in sealed
    assert unseal_credentials(VAULT, "work", sealed) == PASSWORD
    assert "p\u00e4ssw\u00f6rd" not in repr(PASSWORD)


def test_credentials_sealed_before_there_were_forms_are_a_password() -> None:
    plain = json.dumps({"username": "alex", "password": "p\u00e4ssw\u00f6rd"})
    sealed = VAULT.seal(plain.encode(), b"account credentials\0work")
    assert unseal_credentials(VAULT, "work", sealed) == PASSWORD


def test_credentials_of_another_account_do_not_open() -> None:
    with pytest.raises(VaultError):
        unseal_credentials(VAULT, "home", seal_credentials(VAULT, "work", PASSWORD))


async def test_an_account_may_need_none(store: Store) -> None:
    assert await source(store, None).get() is None


async def test_the_form_makes_the_credential(store: Store) -> None:
    password = await source(store, seal_credentials(VAULT, "work", PASSWORD)).get()
    assert password == PasswordCredential("alex", Secret("p\u00e4ssw\u00f6rd"))
    token = AccountCredentials("token", {"token": Secret("t0k")})
    assert await source(store, seal_credentials(VAULT, "work", token)).get() == BearerCredential("", Secret("t0k"))


def test_a_form_that_the_connector_does_not_take_is_one_line(store: Store) -> None:
    sealed = seal_credentials(VAULT, "work", AccountCredentials("oauth", {}))
    with pytest.raises(OperatorError) as caught:
        source(store, sealed)
    assert caught.value.operator_text == (
        "work: oauth: is not a form of credentials of connector 'shelf'; give the credentials anew"
    )


# -- what a connector changes ------------------------------------------------------------------------------------------


def remember(record: CredentialRecord) -> CredentialSource:
    """The source of a form of this test's own; it keeps the record for the test."""
    RECORDS.append(record)
    return FixedCredential(None)


REFRESHED = CredentialForm(
    "refreshed",
    "a token that changes",
    (CredentialField("client", "whose it is"), CredentialField("token", "the token", is_secret=True)),
    f"{__name__}:remember",
)
GIVEN = AccountCredentials("refreshed", {"client": Secret("c"), "token": Secret("t1")})


async def test_changed_values_are_kept_sealed_beside_the_others(store: Store) -> None:
    account_id = await add(store, GIVEN)
    spec = ConnectorSpec("shelf", "A shelf", "shelf:build", (), credentials=(REFRESHED,))
    sealed = seal_credentials(VAULT, "work", GIVEN)
    credential_source(spec, {"folder": "x"}, VAULT, store, account_id, "work", sealed)
    record = RECORDS.pop()
    assert dict(record.values) == dict(GIVEN.values)
    assert record.settings == {"folder": "x"}
    for token in ("t2", "t3"):
        await record.save({"token": Secret(token)})
        kept = await stored(store, account_id)
        assert kept.values == {"client": Secret("c"), "token": Secret(token)}
        assert kept.is_from(GIVEN)


async def test_credentials_given_anew_are_not_overwritten_by_those_of_before(store: Store) -> None:
    account_id = await add(store, GIVEN)
    keeper = CredentialKeeper(VAULT, store, account_id, "work", GIVEN)
    anew = AccountCredentials("refreshed", {"client": Secret("c"), "token": Secret("new")})
    sealed = seal_credentials(VAULT, "work", anew)
    await store.write(lambda tx: set_credentials(tx, account_id, sealed))
    with pytest.raises(Unavailable, match="set up anew"):
        await keeper.save({"token": Secret("t2")})
    assert await stored(store, account_id) == anew
    assert not anew.is_from(GIVEN)


async def test_a_new_key_does_not_keep_changes_from_being_saved(store: Store) -> None:
    account_id = await add(store, GIVEN)
    vault = Vault([Secret(b"n" * 32), KEY])
    keeper = CredentialKeeper(vault, store, account_id, "work", GIVEN)
    sealed = seal_credentials(vault, "work", GIVEN)
    await store.write(lambda tx: set_credentials(tx, account_id, sealed))
    await keeper.save({"token": Secret("t2")})
    account = await store.read(lambda tx: account_by_id(tx, account_id))
    assert account is not None
    assert account.credentials is not None
    assert unseal_credentials(vault, "work", account.credentials).values["token"] == Secret("t2")


async def test_what_another_process_has_saved_is_read_and_can_be_replaced(store: Store) -> None:
    account_id = await add(store, GIVEN)
    keeper = CredentialKeeper(VAULT, store, account_id, "work", GIVEN)
    other = CredentialKeeper(VAULT, store, account_id, "work", GIVEN)
    await other.save({"token": Secret("t2")})
    with pytest.raises(Unavailable, match="set up anew"):
        await keeper.save({"token": Secret("t3")})
    assert (await keeper.read())["token"] == Secret("t2")
    await keeper.save({"token": Secret("t3")})
    kept = await stored(store, account_id)
    assert kept.values["token"] == Secret("t3")
    assert kept.is_from(GIVEN)


@pytest.mark.parametrize("sealed", [None, b"junk", seal_credentials(VAULT, "work", PASSWORD)])
async def test_what_cannot_be_read_or_is_of_another_form_is_as_it_was(store: Store, sealed: bytes | None) -> None:
    account_id = await add(store, GIVEN)
    keeper = CredentialKeeper(VAULT, store, account_id, "work", GIVEN)
    await store.write(lambda tx: set_credentials(tx, account_id, sealed))
    assert await keeper.read() == GIVEN.values
    with pytest.raises(Unavailable, match="set up anew"):
        await keeper.save({"token": Secret("t2")})
