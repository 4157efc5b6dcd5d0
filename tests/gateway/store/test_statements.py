"""Statements compile for both databases, and lists are one parameter."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator

import pytest
from sqlalchemy import Dialect, Executable, bindparam, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.elements import ClauseElement

import gateway.store
from gateway.store.database import Store, Transaction
from gateway.store.statements import Compiled, StatementCache, is_in, upsert
from gateway.store.tables import meta, users
from gateway.store.users import add_user

SQLITE: Dialect = sqlite.dialect(paramstyle="qmark")
POSTGRESQL: Dialect = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]


def statements() -> Iterator[tuple[str, Executable]]:
    for module in pkgutil.iter_modules(gateway.store.__path__):
        if module.name == "migrations":
            continue
        loaded = importlib.import_module(f"gateway.store.{module.name}")
        for name, value in vars(loaded).items():
            found = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
            for index, item in enumerate(found):
                if isinstance(item, Executable) and isinstance(item, ClauseElement):
                    yield f"{module.name}.{name}.{index}", item


def test_there_are_statements_to_look_at() -> None:
    assert len(list(statements())) > 80


@pytest.mark.parametrize("statement", [pytest.param(item, id=name) for name, item in statements()])
def test_every_statement_compiles_for_both_databases(statement: Executable) -> None:
    assert Compiled(statement, SQLITE).sql
    assert Compiled(statement, POSTGRESQL).sql


IDS = select(users.c.login).where(is_in(users.c.id, "ids"), users.c.is_declared == 0).order_by(users.c.id)


def test_a_list_is_one_parameter_in_either_dialect() -> None:
    on_sqlite = Compiled(IDS, SQLITE)
    assert "users.id IN (SELECT value FROM json_each(?)) AND" in on_sqlite.sql
    assert on_sqlite.layout({"ids": [1, 2]}) == ["[1, 2]", 0]
    assert "users.id = ANY (" in Compiled(IDS, POSTGRESQL).sql.replace("ANY(", "ANY (")


def test_a_missing_parameter_is_an_error() -> None:
    statement = select(users.c.id).where(users.c.login == bindparam("login"))
    with pytest.raises(KeyError):
        Compiled(statement, SQLITE).layout({})


def test_a_statement_is_compiled_once() -> None:
    cache = StatementCache(lambda: SQLITE)
    assert cache.get(IDS) is cache.get(IDS)


async def test_long_lists_and_odd_values_work(store: Store) -> None:
    by_login = select(users.c.login).where(is_in(users.c.login, "logins"))

    async def body(tx: Transaction) -> None:
        odd = ["it's", 'quo"ted', "back\\slash", "Grüße ☃ 🎉", "1", "null", "new\nline"]
        for login in odd:
            await add_user(tx, login)
        found = await tx.rows(by_login, logins=[*odd, *(f"nobody{n}" for n in range(50_000))])
        assert sorted(row[0] for row in found) == sorted(odd)
        assert await tx.rows(by_login, logins=[]) == []
        assert await tx.rows(IDS, ids=list(range(-5, 0))) == []

    await store.write(body)


async def test_upsert_changes_or_leaves_the_row(store: Store) -> None:
    replace = upsert(meta, ["key"], "value")
    keep = upsert(meta, ["key"])
    value = select(meta.c.value).where(meta.c.key == bindparam("key"))

    async def body(tx: Transaction) -> None:
        await tx.execute(replace, key="k", value=1)
        await tx.execute(replace, key="k", value=2)
        assert await tx.scalar(value, key="k") == 2
        assert await tx.scalar(value, key="missing") is None

    await store.write(body)
    assert "DO NOTHING" in Compiled(keep, SQLITE).sql
