from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.auth.named_users import NamedUsers
from gateway.auth.users import User
from gateway.store.database import Store, Transaction
from gateway.store.users import add_user


@pytest.fixture
async def named(tmp_path: Path) -> AsyncIterator[NamedUsers]:
    store = await Store.open(f"sqlite:///{tmp_path}/gateway.db")
    for login, password_hash in (("Anna", "h1"), ("bert", "h2"), ("dropped", None)):

        async def add(tx: Transaction, login: str = login, password_hash: str | None = password_hash) -> None:
            await add_user(tx, login, password_hash)

        await store.write(add)
    yield NamedUsers(store)
    await store.close()


ANNA, BERT = User(1, "Anna"), User(2, "bert")


@pytest.mark.parametrize(
    ("names", "acting", "found"),
    [
        (["anna"], "", ANNA),
        (["carla", "BERT", "anna"], "", BERT),
        (["bert", "anna"], "ANNA", ANNA),
        (["anna"], "bert", None),
        (["anna"], "carla", None),
        (["carla"], "", None),
        (["carla"], "carla", None),
        (["dropped"], "", None),
        (["", "anna"], "", ANNA),
        ([], "", None),
        ([], "anna", None),
        # A domain in front is for those who prove a password; here it may be another's.
        (["OTHER\\anna"], "", None),
    ],
)
async def test_a_user_is_found_by_one_of_the_names(
    named: NamedUsers, names: list[str], acting: str, found: User | None
) -> None:
    assert await named.find(names, acting) == found
