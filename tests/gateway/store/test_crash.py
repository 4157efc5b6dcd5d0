"""The process is killed while it writes: what was committed is there in full, what was not is not there at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store import accounts, invariants, mailboxes, placements, users
from gateway.store.database import Store, Transaction
from gateway.store.mailboxes import MailboxRow

ROOT = Path(__file__).parents[3]


@contextmanager
def writer(path: Path, what: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.gateway.store.writer_process", str(path), what],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


async def inspect(path: Path) -> tuple[list[str], list[MailboxRow], list[int]]:
    store = await Store.open(f"sqlite:///{path}")

    async def body(tx: Transaction) -> tuple[list[str], list[MailboxRow], list[int]]:
        (user,) = await users.list_users(tx)
        (account,) = await accounts.accounts_of(tx, user.id)
        rows = await mailboxes.mailboxes_of(tx, account.id)
        return await invariants.check(tx), rows, [row[5] or 0 for row in await placements.load(tx, rows[1].id)]

    try:
        return await store.read(body)
    finally:
        await store.close()


@pytest.mark.parametrize("commits", [1, 7, 40])
async def test_every_acknowledged_commit_survives_a_kill(tmp_path: Path, commits: int) -> None:
    path = tmp_path / "mail.db"
    with writer(path, "commits") as process:
        assert process.stdout is not None
        for number in range(1, commits + 1):
            assert process.stdout.readline() == f"{number}\n"
        process.kill()
        told = commits + len(process.stdout.read().split())
    complaints, (inbox, other), numbers = await inspect(path)
    assert complaints == []
    assert numbers == list(range(1, len(numbers) + 1))
    # The kill may fall between the commit and its being told.
    assert len(numbers) in (told, told + 1)
    assert (inbox.messages, inbox.unseen, inbox.deleted, inbox.octets) == (
        (2 * len(numbers), len(numbers), len(numbers), 200 * len(numbers))
    )
    assert inbox.uidnext == 3 * len(numbers) + 1
    assert other.messages == len(numbers)


async def test_half_a_transaction_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "mail.db"
    with writer(path, "half") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "half\n"
        process.kill()
    complaints, (inbox, other), numbers = await inspect(path)
    assert complaints == []
    assert numbers == []
    assert (inbox.uidnext, inbox.messages, inbox.highestmodseq) == (1, 0, inbox.tombstone_floor)
    assert (other.uidnext, other.messages, other.highestmodseq) == (1, 0, other.tombstone_floor)
