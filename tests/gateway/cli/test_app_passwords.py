from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.app.storage import opened_store
from gateway.auth.users import AuthFailed, UserDirectory
from gateway.config import load
from gateway.store.scram_keys import every_password_has_keys
from tests.gateway.cli.conftest import CommandLine


@pytest.fixture(autouse=True)
def alice(command_line: CommandLine) -> None:
    assert command_line.with_config("user", "add", "alice", "--password-stdin", stdin="x\n").status == 0


def logs_in(command_line: CommandLine, password: str) -> bool:
    async def attempt() -> bool:
        async with opened_store(load(command_line.config)) as store:
            try:
                await UserDirectory(store).authenticate("alice", password, "127.0.0.1")
            except AuthFailed:
                return False
            return True

    return asyncio.run(attempt())


def test_a_printed_app_password_logs_in_until_it_is_taken_back(command_line: CommandLine) -> None:
    outcome = command_line.with_config("app-password", "add", "alice", "old telephone")
    (password,) = outcome.out
    assert logs_in(command_line, password)
    assert command_line.with_config("app-password", "remove", "alice", "old telephone").status == 0
    assert not logs_in(command_line, password)


def test_scram_can_be_offered_after_every_command_that_sets_a_password(command_line: CommandLine) -> None:
    async def is_complete() -> bool:
        async with opened_store(load(command_line.config)) as store:
            return await store.read(every_password_has_keys)

    assert asyncio.run(is_complete())
    for words in (
        ("app-password", "add", "alice", "telephone"),
        ("user", "passwd", "alice", "--password-stdin"),
        ("app-password", "remove", "alice", "telephone"),
    ):
        assert command_line.with_config(*words, stdin="y\n").status == 0
        assert asyncio.run(is_complete())


def test_app_passwords_are_listed_without_what_they_are(command_line: CommandLine) -> None:
    (password,) = command_line.with_config("app-password", "add", "alice", "scanner").out
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    lines = command_line.with_config("app-password", "list", "alice").out
    assert lines[0].split() == ["NAME", "MADE"]
    assert lines[1].split() == ["scanner", today]
    assert password not in "\n".join(lines)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("add", "alice", "scanner"), "NAME: alice has an app password 'scanner' already"),
        (("add", "bob", "x"), "LOGIN: there is no user 'bob'"),
        (("add", "alice", "a\nb"), "NAME: must be a text without control characters"),
        (("remove", "alice", "x"), "NAME: alice has no app password 'x'; see imap-gateway app-password list alice"),
    ],
)
def test_what_cannot_be_done_is_one_line(command_line: CommandLine, words: tuple[str, ...], line: str) -> None:
    command_line.with_config("app-password", "add", "alice", "scanner")
    outcome = command_line.with_config("app-password", *words)
    assert outcome.status == 1
    assert len(outcome.err) == 1
    assert outcome.err[0].startswith(f"imap-gateway: {line}")
