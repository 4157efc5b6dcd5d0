"""The files of the store are damaged: clear words, no wrong answers, and what can be mended is mended."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.client_scenarios import contents
from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import Account, GatewayFactory, GatewayFailed, GatewayProcess, MaildirAccount
from tests.e2e.raw_client import RawClient
from tests.e2e.seeds import message, mixed
from tests.e2e.settling import settled
from tests.e2e.sound_store import assert_sound
from tests.e2e.stage_pool import StagePool

_REPOSITORY = Path(__file__).resolve().parents[2]
MESSAGES = 60
PAGE = 4096
HEADERS = "(BODY.PEEK[HEADER])"


@pytest.fixture
def gateway(tmp_path: Path, is_direct: bool) -> Iterator[GatewayProcess]:
    """A gateway over a Maildir, whose store is in one file."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    inbox = tmp_path / "Maildir"
    for sub in ("cur", "new", "tmp"):
        (inbox / sub).mkdir(parents=True)
    for number in range(MESSAGES):
        path = inbox / "cur" / f"{1_700_000_000 + number}.M{number}.host:2,"
        path.write_bytes(message(number, subject=f"{number} " * 200))
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))
    gateway = GatewayProcess(tmp_path / "gateway", [MaildirAccount("alice", "secret", inbox)])
    gateway.start()
    yield gateway
    gateway.kill()


@pytest.fixture
def front(gateway: GatewayProcess) -> Endpoint:
    return gateway.endpoint("alice")


def headers(front: Endpoint) -> dict[int, object]:
    with RawClient.logged_in(front) as client:
        client.select()
        return {uid: row["BODY[HEADER]"] for uid, row in client.fetch("1:*", HEADERS).items()}


def overwrite(database: Path, page: int) -> None:
    with database.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(b"\xa5" * PAGE)


def pages_of(database: Path, table: str) -> list[int]:
    """Return the pages of a table by its file's own account: its root, then whatever its leaves are on."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        ((root,),) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchall()
    data = database.read_bytes()
    page = data[(root - 1) * PAGE : root * PAGE]
    assert page[0] == 5, "the table is too small to have an inner page"
    count = int.from_bytes(page[3:5])
    cells = [int.from_bytes(page[12 + 2 * number : 14 + 2 * number]) for number in range(count)]
    return [root, *(int.from_bytes(page[cell : cell + 4]) for cell in cells)]


def store_check(gateway: GatewayProcess, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway", "store", "check", *options, "--config"]
    return subprocess.run(
        [*command, str(gateway.directory / "gateway.toml")],
        cwd=_REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_damaged_page_costs_only_what_is_on_it_and_is_mended(gateway: GatewayProcess, front: Endpoint) -> None:
    database = gateway.directory / "gateway.db"
    before = headers(front)
    assert len(before) == MESSAGES
    gateway.stop()
    overwrite(database, pages_of(database, "headers")[2])
    gateway.start()
    with RawClient.logged_in(front) as client:
        client.select()
        reply = client.command(f"UID FETCH 1:* {HEADERS}")
        assert (reply.status.kind, reply.status.code) == ("NO", "UNAVAILABLE")
        assert len(client.flags()) == MESSAGES
        assert client.ok(r"UID STORE 1 +FLAGS (\Flagged)").is_ok
        assert client.append("INBOX", message(99))
    gateway.stop()
    assert "is damaged" in gateway.log
    found = store_check(gateway)
    assert (found.returncode, found.stdout.splitlines()[0].startswith(f"wrong: {database}: ")) == (3, True)
    mended = store_check(gateway, "--repair")
    assert (mended.returncode, mended.stderr) == (0, "")
    assert_sound(gateway.directory)
    gateway.start()
    after = headers(front)
    assert {uid: after[uid] for uid in before} == before
    with RawClient.logged_in(front) as client:
        client.select()
        assert client.flags("1")[1] == {"\\Flagged"}
    gateway.stop()


def without_header(database: Path) -> None:
    overwrite(database, 1)


def newer(database: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (without_header, "is damaged or is no SQLite database"),
        (newer, "has schema 9999, written by a newer version of this program"),
    ],
    ids=["header", "newer schema"],
)
def test_a_store_that_cannot_be_opened_is_named_in_one_line(
    gateway: GatewayProcess, damage: Callable[[Path], None], words: str
) -> None:
    gateway.stop()
    database = gateway.directory / "gateway.db"
    damage(database)
    octets = database.read_bytes()
    said = len(gateway.log)
    with pytest.raises(GatewayFailed, match="ended with status 1 at the start"):
        gateway.start()
    (line,) = [line for line in gateway.log[said:].splitlines() if line.startswith("imap-gateway: ")]
    assert line.startswith(f"imap-gateway: {database}: {words}")
    assert "Traceback" not in gateway.log
    assert database.read_bytes() == octets


def test_damaged_files_of_the_cache_are_read_from_the_server_again(stages: StagePool, gateways: GatewayFactory) -> None:
    account: Account = stages.accounts(1)[0]
    with RawClient.logged_in(account.backend) as back:
        back.append_many("INBOX", mixed(6))
    gateway = gateways([account])
    stage = account.stage(gateway.endpoint(account.login))
    settled(stage, "INBOX")
    with RawClient.logged_in(stage.front) as front:
        before = contents(front, "INBOX")
    gateway.stop()
    files = [path for path in (gateway.directory / "cache").rglob("*-0") if path.is_file()]
    assert len(files) == 6
    for number, path in enumerate(files):
        data = path.read_bytes()
        flipped = data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]
        path.write_bytes((flipped, data[:-1], b"")[number % 3])
    gateway.start()
    with RawClient.logged_in(stage.front) as front:
        assert contents(front, "INBOX") == before
    gateway.stop()
    assert_sound(gateway.directory)
