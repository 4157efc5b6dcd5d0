from __future__ import annotations

import asyncio

import pytest

from gateway.auth.passwords import verify_password
from gateway.store.database import Store
from gateway.store.users import user_by_login
from tests.gateway.cli.conftest import CommandLine


def password_is(command_line: CommandLine, login: str, password: str) -> bool:
    async def look() -> bool:
        store = await Store.open(f"sqlite:///{command_line.folder}/gateway.db")
        try:
            user = await store.read(lambda tx: user_by_login(tx, login))
        finally:
            await store.close()
        return user is not None and user.password_hash is not None and verify_password(user.password_hash, password)

    return asyncio.run(look())


def add(command_line: CommandLine, login: str = "alice", password: str = "first") -> None:
    outcome = command_line.with_config("user", "add", login, "--password-stdin", stdin=f"{password}\n")
    assert outcome.status == 0, outcome.err


def test_a_user_is_added_with_the_password_given(command_line: CommandLine) -> None:
    add(command_line, password="p w ")
    assert password_is(command_line, "alice", "p w ")
    assert not password_is(command_line, "alice", "p w")


def test_an_existing_login_is_refused_whatever_its_case(command_line: CommandLine) -> None:
    add(command_line)
    outcome = command_line.with_config("user", "add", "ALICE", "--password-stdin", stdin="x\n")
    assert outcome.status == 1
    assert outcome.err == [
        "imap-gateway: LOGIN: there is a user 'ALICE' already; change the password with imap-gateway user passwd ALICE"
    ]


@pytest.mark.parametrize(
    ("words", "stdin", "line"),
    [
        (("user", "add", "bob", "--password-stdin"), "\n", "--password-stdin: is empty; pipe it in as one line"),
        (("user", "add", "bob", "--password-stdin"), "\udcff\n", "--password-stdin: is not UTF-8 text"),
        (("user", "add", "bob"), "", "--password-stdin: there is no terminal to ask at"),
        (("user", "add", "a\nb", "--password-stdin"), "x\n", "LOGIN: must be a text without control characters"),
        (("user", "passwd", "bob", "--password-stdin"), "x\n", "LOGIN: there is no user 'bob'"),
        (("user", "remove", "bob", "--yes"), "", "LOGIN: there is no user 'bob'; see imap-gateway user list"),
        (("user", "remove", "alice"), "", "--yes: there is no terminal to ask at; confirm with this option"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    command_line: CommandLine, words: tuple[str, ...], stdin: str, line: str
) -> None:
    add(command_line)
    outcome = command_line.with_config(*words, stdin=stdin)
    assert outcome.status == 1
    assert len(outcome.err) == 1
    assert outcome.err[0].startswith(f"imap-gateway: {line}")


def test_a_password_is_changed(command_line: CommandLine) -> None:
    add(command_line)
    assert command_line.with_config("user", "passwd", "Alice", "--password-stdin", stdin="second\n").status == 0
    assert password_is(command_line, "alice", "second")


def test_users_are_listed_with_their_accounts(command_line: CommandLine) -> None:
    add(command_line)
    add(command_line, "bob")
    command_line.with_config("account", "add", "home", "--user", "bob", "--connector", "memory")
    outcome = command_line.with_config("user", "list")
    assert outcome.out == [
        "LOGIN  LOGIN BY  ACCOUNTS  MANAGED IN",
        "alice  password  0         command line",
        "bob    password  1         command line",
    ]


def test_a_removed_user_is_gone_with_the_accounts(command_line: CommandLine) -> None:
    add(command_line)
    command_line.with_config("account", "add", "home", "--user", "alice", "--connector", "memory")
    assert command_line.with_config("user", "remove", "alice", "--yes").status == 0
    assert len(command_line.with_config("user", "list").out) == 1
    assert len(command_line.with_config("account", "list").out) == 1
