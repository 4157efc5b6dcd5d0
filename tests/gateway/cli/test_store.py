"""`imap-gateway store check`: what is printed, and the exit status."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

from tests.gateway.cli.conftest import PATIENCE_S, CommandLine, Start, lines_until


@pytest.fixture
def filled(command_line: CommandLine) -> CommandLine:
    command_line.with_config("user", "add", "alice", "--password-stdin", stdin="secret\n")
    return command_line


def damage(command_line: CommandLine, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(command_line.folder / "gateway.db")) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_sound_store_is_one_line(filled: CommandLine) -> None:
    outcome = filled.with_config("store", "check")
    assert (outcome.status, outcome.err) == (0, [])
    assert outcome.out == [
        f"{filled.folder}/gateway.db: 0 accounts, 0 mailboxes, 0 messages, "
        "0 appended and 0 cached files: no problem found"
    ]


def test_what_is_wrong_is_a_line_each_and_mended_when_that_is_asked_for(filled: CommandLine) -> None:
    damage(filled, "INSERT INTO previews VALUES (4711, 'x')")
    database = filled.folder / "gateway.db"
    text = f"{database}: 1 row of previews without a row of messages"
    outcome = filled.with_config("store", "check")
    assert (outcome.status, outcome.out[0]) == (3, f"wrong: {text} (with --repair they are removed)")
    assert outcome.out[-1].endswith(": 1 finding")
    outcome = filled.with_config("store", "check", "--repair")
    assert (outcome.status, outcome.out[0]) == (0, f"mended: {text} (they are removed)")
    assert outcome.out[-1].endswith(": 1 finding, all mended")
    assert filled.with_config("store", "check").status == 0


def test_what_cannot_be_mended_says_what_to_do(filled: CommandLine) -> None:
    database = filled.folder / "gateway.db"
    database.write_bytes(b"no database".ljust(8192, b"."))
    for options in ((), ("--repair",)):
        outcome = filled.with_config("store", "check", *options)
        assert outcome.status == 3
        assert outcome.out[0].startswith(f"wrong: {database}: is damaged or is no SQLite database")
        assert "restore it from a backup" in outcome.out[0]
        assert outcome.err == []


def test_no_store_is_one_line_and_status_1(command_line: CommandLine) -> None:
    outcome = command_line.with_config("store", "check")
    assert (outcome.status, outcome.out) == (1, [])
    assert outcome.err == [
        f"imap-gateway: {command_line.folder}/gateway.db: there is no database; nothing was ever stored, "
        "or store.url names another file"
    ]


def test_a_store_that_cannot_be_looked_at_is_one_line(command_line: CommandLine) -> None:
    # As one in the folder of another user; the superuser, who may look everywhere, is shown a name too long.
    odd = "x" * 300
    text = command_line.config.read_text(encoding="utf-8")
    command_line.config.write_text(text.replace("gateway.db", odd), encoding="utf-8")
    outcome = command_line.with_config("store", "check")
    assert outcome.status == 1
    assert outcome.err == [f"imap-gateway: {command_line.folder}/{odd}: cannot be opened: File name too long"]


def test_new_uidvalidities_are_given_by_a_repair_only(filled: CommandLine) -> None:
    outcome = filled.with_config("store", "check", "--new-uidvalidity")
    assert (outcome.status, outcome.err) == (1, ["imap-gateway: --new-uidvalidity: goes together with --repair"])


def test_neither_a_check_nor_a_second_gateway_runs_beside_a_gateway(command_line: CommandLine, start: Start) -> None:
    command_line.write('[log]\nformat = "json"\n')
    process = start("serve", "--config", str(command_line.config))
    lines_until(process, '"ready"')
    refusal = (
        f"imap-gateway: {command_line.folder}/gateway.db: is in use by process {process.pid}; "
        "stop the gateway that runs on it"
    )
    outcome = command_line.with_config("store", "check")
    assert (outcome.status, outcome.err) == (1, [refusal])
    second = start("serve", "--config", str(command_line.config))
    output, _ = second.communicate(timeout=PATIENCE_S)
    assert second.returncode == 1
    assert refusal in output
    assert "Traceback" not in output
    # Commands that only add rows go on working.
    assert command_line.with_config("user", "add", "bob", "--password-stdin", stdin="x\n").status == 0
    process.kill()
    process.wait()
    assert command_line.with_config("store", "check").status == 0
