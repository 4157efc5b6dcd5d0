"""Opening, transactions, threads, and what is said when the disk or the file is at fault."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from gateway.store import users
from gateway.store.database import Store, Transaction
from gateway.store.errors import Conflict, StoreError
from gateway.store.sqlite import translate
from tests.manual_clock import ManualClock


async def logins(tx: Transaction) -> list[str]:
    return [user.login for user in await users.list_users(tx)]


async def add(tx: Transaction, login: str) -> None:
    await users.add_user(tx, login)


async def test_a_write_is_seen_by_every_reader_when_it_returns(store: Store) -> None:
    await store.write(lambda tx: add(tx, "anna"))
    assert await store.read(logins) == ["anna"]
    assert await store.read_bulk(logins) == ["anna"]
    assert await store.write(logins) == ["anna"]


async def test_an_exception_undoes_the_whole_write(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_user(tx, "anna")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await store.write(body)
    assert await store.read(logins) == []
    await store.write(lambda tx: add(tx, "bert"))
    assert await store.read(logins) == ["bert"]


async def test_a_broken_rule_is_a_conflict_and_undoes_the_write(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_user(tx, "bert")
        await users.add_user(tx, "BERT")

    with pytest.raises(Conflict):
        await store.write(body)
    assert await store.read(logins) == []


async def test_a_conflict_may_be_caught_inside_the_transaction(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_user(tx, "bert")
        with pytest.raises(Conflict):
            await users.add_user(tx, "BERT")
        await users.add_user(tx, "carl")

    await store.write(body)
    assert await store.read(logins) == ["bert", "carl"]


async def test_readers_cannot_write(store: Store) -> None:
    with pytest.raises(StoreError):
        await store.read(lambda tx: add(tx, "anna"))
    with pytest.raises(StoreError):
        await store.read_bulk(lambda tx: add(tx, "anna"))
    assert await store.read(logins) == []


async def test_a_body_that_waits_for_something_else_is_refused(store: Store) -> None:
    async def body(tx: Transaction) -> None:
        await users.add_user(tx, "anna")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waits for something other"):
        await store.write(body)
    assert await store.read(logins) == []


async def test_point_reads_run_on_the_loop_and_others_beside_it(store: Store) -> None:
    async def body(tx: Transaction) -> str:
        return threading.current_thread().name

    assert await store.read(body) == threading.current_thread().name
    assert (await store.read_bulk(body)).startswith("store-reader")
    assert (await store.write(body)).startswith("store-writer")


async def test_reading_goes_on_while_a_write_is_open(store: Store) -> None:
    await store.write(lambda tx: add(tx, "anna"))
    has_written, may_commit = threading.Event(), threading.Event()

    async def slow(tx: Transaction) -> None:
        await users.add_user(tx, "bert")
        has_written.set()
        assert may_commit.wait(30)

    writing = asyncio.create_task(store.write(slow))
    await asyncio.to_thread(has_written.wait, 30)
    assert await store.read(logins) == ["anna"]
    assert await store.read_bulk(logins) == ["anna"]
    may_commit.set()
    await writing
    assert await store.read(logins) == ["anna", "bert"]


async def test_a_bulk_read_sees_one_moment(store: Store) -> None:
    has_begun, may_go_on = threading.Event(), threading.Event()

    async def twice(tx: Transaction) -> tuple[list[str], list[str]]:
        first = await logins(tx)
        has_begun.set()
        assert may_go_on.wait(30)
        return first, await logins(tx)

    reading = asyncio.create_task(store.read_bulk(twice))
    await asyncio.to_thread(has_begun.wait, 30)
    await store.write(lambda tx: add(tx, "anna"))
    may_go_on.set()
    assert await reading == ([], [])


async def test_writes_run_in_the_order_they_were_asked_for(store: Store) -> None:
    order: list[int] = []

    async def note(tx: Transaction, number: int) -> None:
        order.append(number)
        await users.add_user(tx, f"user{number:02}")

    await asyncio.gather(*(store.write(lambda tx, n=n: note(tx, n)) for n in range(30)))  # type: ignore[misc]
    assert order == list(range(30))


async def test_concurrent_reads_and_writes_agree(store: Store) -> None:
    async def add_pair(tx: Transaction, number: int) -> None:
        await users.add_user(tx, f"a{number}")
        await users.add_user(tx, f"b{number}")

    async def read_evenly(is_bulk: bool) -> None:
        for _ in range(40):
            found = await (store.read_bulk(logins) if is_bulk else store.read(logins))
            assert len(found) % 2 == 0
            await asyncio.sleep(0)

    async def write() -> None:
        for number in range(40):
            await store.write(lambda tx, n=number: add_pair(tx, n))  # type: ignore[misc]

    await asyncio.gather(write(), read_evenly(True), read_evenly(True), read_evenly(False))
    assert len(await store.read(logins)) == 80


async def test_closing_carries_out_what_is_queued(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mail.db"
    store = await Store.open(url)
    writes = [asyncio.create_task(store.write(lambda tx, n=n: add(tx, f"user{n}"))) for n in range(20)]  # type: ignore[misc]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*writes)
    again = await Store.open(url)
    assert len(await again.read(logins)) == 20
    await again.close()
    await again.close()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/mail.db")
    await store.close()
    for call in (store.read, store.read_bulk, store.write):
        with pytest.raises(StoreError, match="closed"):
            await call(logins)


async def test_a_cancelled_caller_leaves_a_whole_write_or_none(store: Store) -> None:
    has_begun, may_go_on = threading.Event(), threading.Event()

    async def slow(tx: Transaction) -> None:
        await users.add_user(tx, "anna")
        has_begun.set()
        assert may_go_on.wait(30)
        await users.add_user(tx, "bert")

    writing = asyncio.create_task(store.write(slow))
    queued = asyncio.create_task(store.write(lambda tx: add(tx, "carl")))
    await asyncio.to_thread(has_begun.wait, 30)
    writing.cancel()
    queued.cancel()
    await asyncio.gather(writing, queued, return_exceptions=True)
    may_go_on.set()
    assert await store.write(logins) == ["anna", "bert"]


async def test_the_time_of_a_transaction_is_the_clocks(store: Store, clock: ManualClock) -> None:
    async def body(tx: Transaction) -> int:
        return tx.now()

    assert await store.read(body) == int(clock.now().timestamp())


async def test_the_file_is_private_from_the_start(tmp_path: Path) -> None:
    store = await Store.open(f"sqlite:///{tmp_path}/deep/down/mail.db")
    await store.write(lambda tx: add(tx, "anna"))
    for path in (tmp_path / "deep/down").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "deep/down").stat().st_mode) == 0o700
    await store.close()


async def test_a_transaction_is_on_disk_in_full_mode(store: Store) -> None:
    async def pragmas(tx: Transaction) -> tuple[str, int, int]:
        return (
            await tx.scalar(text("PRAGMA journal_mode")),
            await tx.scalar(text("PRAGMA synchronous")),
            await tx.scalar(text("PRAGMA foreign_keys")),
        )

    assert await store.write(pragmas) == ("wal", 2, 1)


# -- what the operator is told ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["mysql://x", "mail.db", "sqlite://", "sqlite:///", "sqlite:///:memory:", ""])
async def test_a_url_that_names_no_file_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="sqlite:///path"):
        await Store.open(url)


async def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    path.write_bytes(b"From: somebody\r\n" * 1000)
    with pytest.raises(StoreError, match="is no SQLite database") as caught:
        await Store.open(f"sqlite:///{path}")
    assert str(path) in caught.value.operator_text
    assert path.read_bytes() == b"From: somebody\r\n" * 1000


async def open_and_read(url: str) -> None:
    store = await Store.open(url)
    try:
        await store.read(logins)
    finally:
        await store.close()


async def test_a_damaged_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    store = await Store.open(f"sqlite:///{path}")
    for n in range(50):
        await store.write(lambda tx, n=n: add(tx, f"user{n}" + "x" * 200))  # type: ignore[misc]
    await store.close()
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(os.urandom(path.stat().st_size - 8192))
    with pytest.raises(StoreError, match="is damaged"):
        await open_and_read(f"sqlite:///{path}")


async def test_a_directory_in_the_files_place_is_reported(tmp_path: Path) -> None:
    (tmp_path / "mail.db").mkdir()
    with pytest.raises(StoreError, match="cannot be opened for writing"):
        await Store.open(f"sqlite:///{tmp_path}/mail.db")


async def test_a_path_through_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be opened for writing"):
        await Store.open(f"sqlite:///{tmp_path}/file/mail.db")


@pytest.fixture
def read_only_directory(tmp_path: Path) -> Iterator[Path]:
    """A directory without the right to write; the superuser, who may write everywhere, becomes somebody else."""
    tmp_path.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield tmp_path
    os.seteuid(user)
    tmp_path.chmod(0o700)


async def test_a_read_only_directory_is_reported(read_only_directory: Path) -> None:
    with pytest.raises(StoreError, match="Permission denied"):
        await Store.open(f"sqlite:///{read_only_directory}/mail.db")


def test_what_the_operator_is_told_about_a_read_only_file() -> None:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY_DIRECTORY
    told = translate(error, "/srv/mail.db")
    assert told.operator_text.startswith("/srv/mail.db: cannot be written")
    assert "/srv" not in told.client_text


async def test_a_full_disk_is_reported_and_loses_nothing(store: Store) -> None:
    await store.write(lambda tx: add(tx, "anna"))

    async def no_more_pages(tx: Transaction) -> None:
        await tx.execute(text("PRAGMA max_page_count = 1"))

    async def fill(tx: Transaction) -> None:
        for n in range(2000):
            await users.add_user(tx, f"{n:05}" + "x" * 200)

    await store.write(no_more_pages)
    with pytest.raises(StoreError, match="disk is full"):
        await store.write(fill)
    assert await store.read(logins) == ["anna"]


async def test_nothing_is_begun_on_a_disk_that_is_all_but_full(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.check_writable()
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bfree=900, f_bavail=900, f_frsize=4096, f_blocks=1))
    with pytest.raises(StoreError, match=r"mail\.db: cannot be written: the disk is full, or all but full"):
        await store.check_writable()
    # A file system that counts no blocks, or none at all, says nothing.
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bfree=0, f_bavail=0, f_frsize=4096, f_blocks=0))
    await store.check_writable()


async def test_after_a_write_that_failed_the_next_is_tried_before_it_counts(store: Store) -> None:
    full = text("PRAGMA max_page_count = 1")
    await store.write(lambda tx: tx.execute(full))
    await store.check_writable()
    with pytest.raises(StoreError, match="the disk is full"):
        await store.write(lambda tx: add(tx, "anna" * 100_000))
    # What fits into the pages there are can be written, and shows that it can.
    await store.check_writable()
    await store.write(lambda tx: add(tx, "bert"))


async def test_a_refused_change_says_nothing_about_the_disk(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.write(lambda tx: add(tx, "anna"))
    with pytest.raises(Conflict):
        await store.write(lambda tx: add(tx, "anna"))
    monkeypatch.setattr(store._engine, "write", None)
    monkeypatch.setattr(store._engine, "_run_in_writer", None)
    # Nothing is tried, as nothing has failed.
    await store.check_writable()
    monkeypatch.undo()
