"""Schemas: what is declared is what is created, and a store of every released schema opens with its numbers."""

from __future__ import annotations

import contextlib
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import PrimaryKeyConstraint, UniqueConstraint, create_engine, text

from gateway.store import (
    accounts,
    invariants,
    mailboxes,
    outlines,
    placements,
    subscribed_names,
    tombstones,
    upgrade,
    users,
)
from gateway.store.creation import create_schema
from gateway.store.database import Store, Transaction
from gateway.store.errors import StoreError
from gateway.store.migrations import REVISIONS
from gateway.store.tables import metadata
from gateway.store.upgrade import upgrade_sqlite

SCHEMAS = Path(__file__).parent / "schemas"


def schema_of(path: Path) -> dict[str, str]:
    """Return the normalised text that created each table and index."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name != 'alembic_version'"
        )
        return {name: " ".join(sql.split()) for name, sql in rows}


def fill(path: Path, revision: str) -> None:
    """Make a store as a program of that revision has left it."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript((SCHEMAS / f"{revision}.sql").read_text("utf-8"))


def test_a_new_schema_and_an_upgraded_one_are_the_declared_one(tmp_path: Path) -> None:
    new, upgraded, declared = tmp_path / "new.db", tmp_path / "upgraded.db", tmp_path / "declared.db"
    upgrade_sqlite(str(new))
    fill(upgraded, REVISIONS[0])
    upgrade_sqlite(str(upgraded))
    engine = create_engine(f"sqlite:///{declared}")
    metadata.create_all(engine)
    engine.dispose()
    # The constraints of a table may be in another order.
    wanted = {name: sorted(sql) for name, sql in schema_of(declared).items()}
    for path in (new, upgraded):
        assert {name: sorted(sql) for name, sql in schema_of(path).items()} == wanted
        engine = create_engine(f"sqlite:///{path}")
        with engine.connect() as connection:
            assert compare_metadata(MigrationContext.configure(connection), metadata) == []
            assert connection.scalar(text("SELECT version_num FROM alembic_version")) == REVISIONS[-1]
        engine.dispose()


def test_the_version_stands_where_alembic_puts_it(tmp_path: Path) -> None:
    tables = []
    for name, revision in (("new.db", None), ("upgraded.db", REVISIONS[0])):
        if revision is not None:
            fill(tmp_path / name, revision)
        upgrade_sqlite(str(tmp_path / name))
        with contextlib.closing(sqlite3.connect(tmp_path / name)) as connection:
            tables.append(connection.execute("PRAGMA table_info(alembic_version)").fetchall())
    assert tables[0] == tables[1]


def test_the_revisions_named_are_those_there_are() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(upgrade.__file__).parent / "migrations"))
    scripts = ScriptDirectory.from_config(config)
    assert [script.revision for script in scripts.walk_revisions()] == list(reversed(REVISIONS))


def test_every_foreign_key_is_indexed() -> None:
    for table in metadata.tables.values():
        indexed = {next(iter(index.columns.keys())) for index in table.indexes}
        indexed |= {
            constraint.columns.keys()[0]
            for constraint in table.constraints
            if isinstance(constraint, (PrimaryKeyConstraint, UniqueConstraint))
        }
        for key in table.foreign_keys:
            assert key.parent.name in indexed, f"{table.name}.{key.parent.name}"


def test_there_is_a_fixture_of_every_released_schema() -> None:
    assert sorted(path.stem for path in SCHEMAS.glob("*.sql")) == sorted(REVISIONS)


def test_the_fixture_of_the_present_schema_is_up_to_date(tmp_path: Path) -> None:
    fill(tmp_path / "upgraded.db", REVISIONS[0])
    upgrade_sqlite(str(tmp_path / "upgraded.db"))
    fill(tmp_path / "fixture.db", REVISIONS[-1])
    assert schema_of(tmp_path / "fixture.db") == schema_of(tmp_path / "upgraded.db")


@pytest.mark.parametrize("revision", REVISIONS)
async def test_a_store_of_an_earlier_schema_keeps_every_number(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "mail.db"
    fill(path, revision)
    store = await Store.open(f"sqlite:///{path}")

    async def body(tx: Transaction) -> None:
        assert await tx.scalar(text("SELECT version_num FROM alembic_version")) == REVISIONS[-1]
        assert await invariants.check(tx) == []
        user = await users.user_by_login(tx, "ANNA@example.org")
        assert user is not None
        account = await accounts.account_by_name(tx, user.id, "Home")
        assert account is not None
        inbox, other = await mailboxes.mailboxes_of(tx, account.id)
        assert (inbox.path, inbox.uidvalidity, inbox.uidnext) == (("INBOX",), 1767323045, 4)
        assert (other.path, other.uidvalidity, other.uidnext) == (("Grüße", "a/b"), 1767323046, 72)
        assert (inbox.messages, inbox.unseen, inbox.deleted, inbox.octets) == (2, 1, 1, 2223)
        base = 1767323045 << 16
        assert (inbox.highestmodseq, other.highestmodseq) == (base + 3, base + 2)
        assert [row[:1] + row[2:] for row in await placements.load(tx, inbox.id)] == [
            (1, 1, "$Forwarded", base + 2, 1767000000, 60, 1000, 1, 1767323045, 2),
            (3, 8, "", base + 1, 1767000002, None, 1223, 1, None, 0),
        ]
        assert [row[0] for row in await placements.load(tx, other.id)] == [70]
        assert await tombstones.since(tx, inbox.id, base) == [2]
        assert await tombstones.since(tx, other.id, base) == [71]
        first = (await placements.load(tx, inbox.id))[0][1]
        assert await outlines.envelopes(tx, [first]) == {first: b'(NIL "one" NIL NIL NIL NIL NIL NIL NIL NIL)'}
        assert await outlines.previews(tx, [first]) == {first: "Grüße"}
        assert inbox.is_subscribed
        names = {("Gone", "Grüße"): "gone"} if revision >= "0006" else {}
        assert await subscribed_names.names_of(tx, account.id) == names
        fresh = await mailboxes.insert_mailbox(tx, account.id, "fresh", ("Fresh",))
        assert fresh.uidvalidity > other.uidvalidity
        assert fresh.id > other.id

    await store.write(body)
    await store.close()


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    store = await Store.open(f"sqlite:///{path}")
    await store.write(lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    await store.close()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="has schema 9999, written by a newer version") as caught:
        await Store.open(f"sqlite:///{path}")
    assert str(path) in caught.value.operator_text
    assert path.read_bytes() == before


async def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title)")
    with pytest.raises(StoreError, match="is a database of another program"):
        await Store.open(f"sqlite:///{path}")
    assert schema_of(path) == {"songs": "CREATE TABLE songs (title)"}


async def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "mail.db"
    fill(path, REVISIONS[0])
    before = schema_of(path)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("in the middle")

    monkeypatch.setattr("alembic.operations.Operations.create_index", fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        await Store.open(f"sqlite:///{path}")
    assert schema_of(path) == before
    monkeypatch.undo()
    store = await Store.open(f"sqlite:///{path}")
    await store.close()


def test_a_schema_that_cannot_be_made_whole_is_not_made_at_all(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 4096")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA max_page_count = 12")
        connection.execute("BEGIN")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            create_schema(connection)
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    assert schema_of(path) == {}
    upgrade_sqlite(str(path))
    assert "placements" in schema_of(path)


def test_processes_that_open_a_new_file_at_once_make_one_schema(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upgrade_sqlite, [str(path)] * 8))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(REVISIONS[-1],)]


async def test_a_second_process_may_use_the_store_meanwhile(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mail.db"
    stores = [await Store.open(url), await Store.open(url)]
    await stores[0].write(lambda tx: users.add_user(tx, "anna"))
    assert len(await stores[1].read(users.list_users)) == 1
    await stores[1].write(lambda tx: users.add_user(tx, "bert"))
    for store in stores:
        await store.close()


def test_opening_waits_for_another_process_that_is_setting_the_file_up(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with (
        contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        other.execute("BEGIN EXCLUSIVE")
        opening = pool.submit(upgrade_sqlite, str(path))
        with pytest.raises(TimeoutError):
            opening.result(0.05)
        other.execute("ROLLBACK")
        opening.result(30)
    assert "placements" in schema_of(path)
