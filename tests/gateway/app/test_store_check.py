"""The check of the store finds what was damaged; a repair leaves it sound, and every UID stands for what it did."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.app.storage import kept_bodies, open_vault, opened_store
from gateway.app.store_check import CheckOptions, StoreReport, check_store
from gateway.config import Config
from gateway.errors import OperatorError
from gateway.store import accounts, contents, mailboxes, messages, outlines, placements, users
from gateway.store.body_cache import BodyCache
from gateway.store.database import Transaction
from gateway.store.errors import StoreError
from gateway.store.findings import NoProgress
from gateway.store.lock import StoreLock
from gateway.store.messages import MessageValues
from gateway.store.outlines import OutlineValues
from tests.gateway.app.conftest import Configurations

PAGE = 4096
SCHEMAS = Path(__file__).parents[1] / "store" / "schemas"
KEPT = b"Subject: kept\r\n\r\nthe only copy\r\n"


class Subject:
    """A store with two accounts, some messages, a kept and a cached file; damaged with SQL or with octets."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self.folder = folder
        self.database = folder / "gateway.db"

    async def fill(self, count: int = 3) -> None:
        async def body(tx: Transaction) -> None:
            user = await users.add_user(tx, "anna")
            account = await accounts.add_account(tx, user.id, "Home", "memory", {})
            second = await accounts.add_account(tx, user.id, "Work", "memory", {})
            inbox = await mailboxes.insert_mailbox(tx, account.id, "in", ("INBOX",))
            await mailboxes.insert_mailbox(tx, account.id, "other", ("Other",))
            await mailboxes.insert_mailbox(tx, second.id, "in", ("INBOX",))
            refs = [f"ref{number}" for number in range(count)]
            ids = await messages.upsert_messages(tx, account.id, 0, [MessageValues(ref, size=7) for ref in refs])
            await placements.insert_placements(tx, inbox.id, [(ids[ref], 0, "$a $b", None, None) for ref in refs])
            await outlines.save_outlines(
                tx, [OutlineValues(key, b"Subject: x\r\n\r\n" * 40, b"(NIL)", b"(BODY)") for key in ids.values()]
            )
            await placements.remove_placements(tx, inbox.id, [2])
            await contents.keep(tx, ids["ref0"], 77, hashlib.sha256(KEPT).digest(), len(KEPT))

        async with opened_store(self.config) as store:
            await store.write(body)
        self.write_files()

    def write_files(self) -> None:
        kept = kept_bodies(self.config, open_vault(self.config))
        writer = kept.writer_of(1, 77)
        writer.write(KEPT)
        writer.commit()
        cache = BodyCache(self.config.cache.directory, 1 << 20, None, kept=kept)
        writer = cache.writer(1, 3)
        writer.write(b"Subject: cached\r\n\r\nx")
        writer.commit()

    @contextlib.contextmanager
    def sql(self) -> Iterator[sqlite3.Connection]:
        """As a tool that enforces nothing."""
        with contextlib.closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            yield connection

    def damage(self, *statements: str) -> None:
        with self.sql() as connection:
            for statement in statements:
                connection.execute(statement)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with self.sql() as connection:
            return connection.execute(statement).fetchall()

    def check(self, *, repairs: bool = False, renumbers: bool = False) -> StoreReport:
        return check_store(self.config, CheckOptions(repairs, renumbers), NoProgress())

    def uid_map(self) -> list[tuple[object, ...]]:
        return self.rows(
            "SELECT mailbox_id, uidvalidity, uid, messages.ref FROM placements "
            "JOIN mailboxes ON mailboxes.id = mailbox_id JOIN messages ON messages.id = message_id ORDER BY 1, 2, 3"
        )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a filled store, made once and copied for each test."""
    folder = tmp_path_factory.mktemp("template")
    made = Subject(Configurations(folder).make(), folder)
    asyncio.run(made.fill())
    return folder


@pytest.fixture
def subject(template: Path, configurations: Configurations) -> Subject:
    shutil.copytree(template, configurations.folder, dirs_exist_ok=True)
    return Subject(configurations.make(), configurations.folder)


def texts(report: StoreReport) -> list[str]:
    return [str(finding) for finding in report.left]


def test_a_sound_store_is_found_sound_and_nothing_of_it_is_changed(subject: Subject) -> None:
    with subject.sql() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = subject.database.read_bytes()
    report = subject.check()
    assert (report.left, report.mended, report.notes) == ([], [], [])
    assert (report.accounts, report.mailboxes, report.messages) == (2, 3, 3)
    assert (report.kept_files, report.cached_files) == (1, 1)
    assert subject.database.read_bytes() == before
    assert subject.check(repairs=True).mended == []


INBOX = "account Home of anna, mailbox INBOX"


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        ("UPDATE mailboxes SET messages = 9 WHERE id = 1", f"{INBOX}: messages, unseen, deleted, octets: counters say"),
        ("UPDATE mailboxes SET uidnext = 2 WHERE id = 1", f"{INBOX}: UIDs 1..3 are not below UIDNEXT 2"),
        ("UPDATE mailboxes SET uidnext = 0 WHERE id = 1", f"{INBOX}: UIDNEXT 0 is out of range"),
        ("UPDATE mailboxes SET recent_uid = 99 WHERE id = 1", f"{INBOX}: the first recent UID 99"),
        ("UPDATE mailboxes SET highestmodseq = tombstone_floor WHERE id = 1", "is above HIGHESTMODSEQ"),
        ("UPDATE mailboxes SET tombstone_floor = 0 WHERE id = 1", "do not fit"),
        ("UPDATE mailboxes SET tombstone_floor = highestmodseq + 5 WHERE id = 1", "do not fit"),
        ("UPDATE placements SET keywords = '$b $a'", "keywords '$b $a' are not in their order"),
        ("INSERT INTO tombstones SELECT mailbox_id, uid, modseq FROM placements", f"{INBOX}: UID 1 is both there"),
        ("INSERT INTO tombstones SELECT 1, 77, highestmodseq FROM mailboxes WHERE id = 1", "a tombstone has UID 77"),
        ("UPDATE mailboxes SET object_id = 'same'", "MAILBOXID same is shared"),
        ("UPDATE mailboxes SET path = '[broken' WHERE id = 2", "its name '[broken' cannot be read"),
        ("UPDATE mailboxes SET role = 'broken' WHERE id = 2", "its role 'broken' does not exist"),
        ("UPDATE accounts SET state = 'broken' WHERE id = 2", "the state 'broken' of account Work does not exist"),
        (
            "INSERT INTO intents (account_id, kind, payload, state, created) VALUES (1, 'append', '{', 'x', 1)",
            "write 1 left open cannot be read",
        ),
        ("INSERT INTO subscribed_names VALUES (2, '{', NULL)", "the subscribed name '{' cannot be read"),
        (
            "INSERT INTO subscribed_names VALUES (9, '[\"a\"]', 'a')",
            "1 row of subscribed_names without a row of accounts",
        ),
        ("UPDATE messages SET content_hash = NULL WHERE kept_id = 77", "message 1 has kept octets of unknown hash"),
        ("INSERT INTO previews VALUES (4711, 'x')", "1 row of previews without a row of messages"),
        ("DELETE FROM mailboxes WHERE id = 1", "2 rows of placements without a row of mailboxes"),
        ("DELETE FROM accounts WHERE id = 2", "1 row of mailboxes without a row of accounts"),
    ],
)
def test_what_is_damaged_is_named_and_mended_with_every_uid_kept(subject: Subject, damage: str, finding: str) -> None:
    before = subject.uid_map()
    numbers = subject.rows("SELECT id, uidvalidity, uidnext, highestmodseq FROM mailboxes")
    subject.damage(damage)
    found = subject.check()
    assert any(finding in text for text in texts(found)), texts(found)
    assert all(item.is_mendable for item in found.left)
    assert found.mended == []
    mended = subject.check(repairs=True)
    assert mended.left == []
    assert [str(item) for item in mended.mended] == texts(found)
    again = subject.check()
    assert (again.left, again.mended) == ([], [])
    if "DELETE" in damage:
        return
    assert subject.uid_map() == before
    for was, now in zip(
        numbers, subject.rows("SELECT id, uidvalidity, uidnext, highestmodseq FROM mailboxes"), strict=True
    ):
        assert now[:2] == was[:2]
        # UID 3 was given out last, and UID 2 is remembered as removed.
        assert now[2] >= was[2]  # type: ignore[operator]


def test_a_uid_of_a_message_that_is_lost_is_taken_out_and_looked_for_again(subject: Subject) -> None:
    subject.damage("UPDATE mailboxes SET cursor = 'c', is_listed = 1", "UPDATE accounts SET cursor = 'c'")
    subject.damage("DELETE FROM messages WHERE id = 3")
    assert f"{INBOX}: UID 3 holds a message that does not exist" in texts(subject.check())
    assert subject.check(repairs=True).left == []
    assert [row[2] for row in subject.uid_map()] == [1]
    # Whoever kept the mailbox is told that the UID has gone; both cursors make the next sync look at everything.
    assert subject.rows("SELECT uid FROM tombstones WHERE mailbox_id = 1 ORDER BY uid") == [(2,), (3,)]
    assert subject.rows("SELECT cursor FROM mailboxes WHERE id = 1") == [(None,)]
    assert subject.rows("SELECT cursor FROM accounts ORDER BY id") == [(None,), ("c",)]
    assert subject.rows("SELECT uidnext, messages FROM mailboxes WHERE id = 1") == [(4, 1)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE mailboxes SET uidvalidity = 0 WHERE id = 1",
        "UPDATE mailboxes SET uidnext = 4294967296 WHERE id = 1",
        "UPDATE placements SET uid = 0 WHERE uid = 1",
    ],
)
def test_uids_that_cannot_be_trusted_are_begun_anew_only_if_that_is_asked_for(subject: Subject, damage: str) -> None:
    ((before,),) = subject.rows("SELECT max(uidvalidity) FROM mailboxes")
    subject.damage(damage)
    report = subject.check(repairs=True)
    assert len(report.left) == 1
    assert "--new-uidvalidity" in report.left[0].remedy
    assert subject.check(repairs=True, renumbers=True).left == []
    ((uidvalidity, count),) = subject.rows("SELECT uidvalidity, messages FROM mailboxes WHERE id = 1")
    assert uidvalidity > before  # type: ignore[operator]
    assert count == 0
    assert subject.rows("SELECT count(*) FROM messages") == [(3,)]


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE messages SET email_id = 'X', thread_id = 'X' WHERE id = 1",
        "UPDATE accounts SET settings = '{' WHERE id = 2",
    ],
)
def test_what_cannot_be_mended_is_left_with_what_to_do(subject: Subject, damage: str) -> None:
    subject.damage(damage)
    for repairs in (False, True):
        (finding,) = subject.check(repairs=repairs).left
        assert not finding.is_mendable
        assert finding.remedy


def test_a_write_that_is_open_for_long_is_told_of_and_stays(subject: Subject) -> None:
    subject.damage(
        "INSERT INTO intents (account_id, kind, payload, state, created) VALUES "
        "(1, 'append', '{}', 'started', 1700000000), (1, 'append', '{}', 'stored 3', 1), "
        "(1, 'append', '{}', 'started', unixepoch())"
    )
    for repairs in (False, True):
        assert texts(subject.check(repairs=repairs)) == [
            "account Home of anna: an append of 2023-11-14 22:13 UTC is not settled yet"
        ]
    assert len(subject.rows("SELECT id FROM intents")) == 3


# -- files -------------------------------------------------------------------------------------------------------------


def kept_file(subject: Subject) -> Path:
    (path,) = (subject.folder / "gateway.bodies" / "1").rglob("77-0")
    return path


def cached_file(subject: Subject) -> Path:
    (path,) = (subject.folder / "cache").rglob("3-0")
    return path


def flip(path: Path, offset: int) -> None:
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x20
    path.write_bytes(data)


def test_a_damaged_file_of_the_cache_is_removed_by_a_repair(subject: Subject) -> None:
    path = cached_file(subject)
    flip(path, -1)
    assert texts(subject.check()) == [f"{path}: cannot be used: the checksum differs"]
    assert path.exists()
    assert [str(item) for item in subject.check(repairs=True).mended] == [
        f"{path}: cannot be used: the checksum differs"
    ]
    assert not path.exists()
    assert subject.check().left == []


@pytest.mark.parametrize("damage", ["lost", "cut", "flipped", "another"])
def test_a_damaged_appended_message_is_told_of_and_left_for_the_backup(subject: Subject, damage: str) -> None:
    path = kept_file(subject)
    good = path.read_bytes()
    match damage:
        case "lost":
            path.unlink()
        case "cut":
            path.write_bytes(good[:-1])
        case "flipped":
            flip(path, -1)
        case _:
            subject.damage("UPDATE messages SET size = 5 WHERE id = 1")
    (finding,) = [item for item in subject.check(repairs=True).left if item.place == str(path)]
    assert "backup" in finding.remedy
    if damage == "another":
        return
    assert path.exists() is (damage != "lost")
    path.write_bytes(good)
    assert subject.check().left == []


def test_files_that_no_message_has_are_told_of_and_removed(subject: Subject) -> None:
    subject.damage("DELETE FROM placements", "DELETE FROM messages")
    subject.damage("DELETE FROM envelopes", "DELETE FROM structures", "DELETE FROM headers", "DELETE FROM previews")
    subject.damage("UPDATE mailboxes SET messages = 0, unseen = 0, octets = 0")
    report = subject.check()
    assert (report.left, len(report.notes)) == ([], 2)
    assert kept_file(subject).exists()
    subject.check(repairs=True)
    # The only copy of something is left to the gateway, whose rows may be better than those that were mended.
    assert subject.check().notes == ["1 appended file that no message has any more: the gateway removes them in time"]
    assert [path for path in subject.folder.rglob("*-0") if path.is_file()] == [kept_file(subject)]


async def test_sealed_files_are_read_with_their_keys(configurations: Configurations) -> None:
    config = configurations.make(cache={"directory": str(configurations.folder / "cache"), "seal": True})
    sealed = Subject(config, configurations.folder)
    await sealed.fill()
    cached_file(sealed).unlink()
    assert sealed.check().left == []
    flip(kept_file(sealed), -1)
    (finding,) = sealed.check().left
    assert "block 0 does not decrypt" in finding.text


# -- the file of the database ------------------------------------------------------------------------------------------


def root_page(subject: Subject, name: str) -> int:
    ((page,),) = subject.rows(f"SELECT rootpage FROM sqlite_master WHERE name = '{name}'")
    assert isinstance(page, int)
    return page


def checkpointed(subject: Subject) -> None:
    with subject.sql() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def overwrite(subject: Subject, page: int, data: bytes = b"\xa5" * PAGE) -> None:
    with subject.database.open("r+b") as file:
        file.seek((page - 1) * PAGE)
        file.write(data)


EMPTY_INDEX = b"\x0a\0\0\0\0\x10\0\0".ljust(PAGE, b"\0")


def test_an_index_that_lost_rows_is_made_anew(subject: Subject) -> None:
    before = subject.uid_map()
    page = root_page(subject, "ix_placements_modseq")
    checkpointed(subject)
    overwrite(subject, page, EMPTY_INDEX)
    found = subject.check()
    assert any("missing from index ix_placements_modseq" in text for text in texts(found))
    mended = subject.check(repairs=True)
    assert (mended.left, len(mended.mended)) == ([], len(found.left))
    assert subject.check().left == []
    assert subject.uid_map() == before
    assert not subject.database.with_name("gateway.db.damaged").exists()


def test_a_page_of_what_can_be_read_again_is_lost_and_all_that_counts_is_saved(subject: Subject) -> None:
    subject.damage("INSERT INTO subscribed_names VALUES (1, '[\"Gone\"]', NULL), (2, '[\"Gone\"]', 'gone')")
    before = subject.uid_map()
    ids = subject.rows("SELECT seq FROM sqlite_sequence ORDER BY name")
    page = root_page(subject, "headers")
    checkpointed(subject)
    overwrite(subject, page)
    bad = subject.database.read_bytes()
    found = subject.check()
    assert found.left
    assert all(finding.place == str(subject.database) and finding.is_mendable for finding in found.left)
    mended = subject.check(repairs=True)
    assert (mended.left, mended.notes) == (
        [],
        [
            f"the damaged database is kept as {subject.database}.damaged",
            "headers of 3 messages were lost, to be read from the backend again",
        ],
    )
    assert subject.database.with_name("gateway.db.damaged").read_bytes() == bad
    assert subject.check().left == []
    assert subject.uid_map() == before
    assert subject.rows("SELECT seq FROM sqlite_sequence ORDER BY name") == ids
    assert subject.rows("SELECT count(*), sum(hydration) FROM messages") == [(3, 0)]
    assert subject.rows("SELECT count(*) FROM envelopes") == [(3,)]
    assert subject.rows("SELECT * FROM subscribed_names ORDER BY 1") == [(1, '["Gone"]', None), (2, '["Gone"]', "gone")]


@pytest.mark.parametrize("table", ["placements", "messages", "mailboxes"])
def test_a_page_of_what_counts_cannot_be_mended_and_nothing_is_touched(subject: Subject, table: str) -> None:
    page = root_page(subject, table)
    checkpointed(subject)
    overwrite(subject, page)
    bad = subject.database.read_bytes()
    report = subject.check(repairs=True)
    assert report.mended == []
    assert f"{subject.database}: is damaged where it counts: {table} cannot be read" in texts(report)[-1]
    assert "backup" in report.left[-1].remedy
    assert subject.database.read_bytes() == bad
    assert sorted(path.name for path in subject.folder.glob("gateway.db*")) == ["gateway.db", "gateway.db.lock"]


def test_rows_that_are_silently_missing_are_noticed_before_the_file_is_replaced(subject: Subject) -> None:
    headers, rows = root_page(subject, "headers"), root_page(subject, "placements")
    checkpointed(subject)
    overwrite(subject, headers)
    # A table without row ids is an index to SQLite; an empty one can be read without an error.
    overwrite(subject, rows, EMPTY_INDEX)
    report = subject.check(repairs=True)
    assert "rows of 1 mailboxes are missing" in texts(report)[-1]
    assert not subject.database.with_name("gateway.db.rebuilt").exists()


def test_a_database_whose_header_is_gone_is_said_to_be_damaged(subject: Subject) -> None:
    checkpointed(subject)
    overwrite(subject, 1)
    for repairs in (False, True):
        report = subject.check(repairs=repairs)
        assert "is damaged or is no SQLite database" in texts(report)[0]


# -- what cannot be checked --------------------------------------------------------------------------------------------


def test_a_store_that_is_served_from_is_not_checked(subject: Subject) -> None:
    with StoreLock(subject.database), pytest.raises(StoreError, match="is in use by process"):
        subject.check()


def test_a_store_that_does_not_exist_is_not_made(configurations: Configurations) -> None:
    with pytest.raises(StoreError, match="there is no database"):
        check_store(configurations.make(), CheckOptions(repairs=True), NoProgress())
    assert list(configurations.folder.iterdir()) == []


def test_a_store_of_a_newer_version_is_not_touched(subject: Subject) -> None:
    subject.damage("UPDATE alembic_version SET version_num = '9999'")
    for repairs in (False, True):
        with pytest.raises(StoreError, match="has schema 9999, written by a newer version"):
            subject.check(repairs=repairs)


def test_a_store_of_an_older_version_is_upgraded_by_a_repair_only(configurations: Configurations) -> None:
    database = configurations.folder / "gateway.db"
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.executescript((SCHEMAS / "0001.sql").read_text())
    with pytest.raises(StoreError, match="has an older schema"):
        check_store(configurations.make(), CheckOptions(), NoProgress())
    report = check_store(configurations.make(), CheckOptions(repairs=True), NoProgress())
    # The fixture has an append that was left open long ago.
    assert texts(report) == ["account Home of anna@example.org: an append of 2026-01-02 03:04 UTC is not settled yet"]
    assert "the schema was upgraded to that of this version" in report.notes


def test_a_key_that_is_another_now_is_said_to_be_so(configurations: Configurations) -> None:
    config = configurations.make(cache={"directory": str(configurations.folder / "cache"), "seal": True})
    sealed = Subject(config, configurations.folder)
    asyncio.run(sealed.fill())
    (configurations.folder / "gateway.key").write_text("00" * 32 + "\n")
    with pytest.raises(OperatorError):
        sealed.check()
