"""Credentials that come of a login, through the commands that ask for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.accounts.credentials import unseal_credentials
from gateway.app.storage import open_vault, opened_store
from gateway.cli import accounts
from gateway.config import load
from gateway.store.accounts import all_accounts
from tests.gateway.cli.conftest import CommandLine, Outcome
from tests.gateway.cli.consent import SPEC


@pytest.fixture(autouse=True)
def alice(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "find_connector", lambda name, *, key: SPEC)
    assert command_line.with_config("user", "add", "alice", "--password-stdin", stdin="x\n").status == 0


def add(command_line: CommandLine, *words: str, stdin: str = "") -> Outcome:
    fixed = ("account", "add", "work", "--user", "alice", "--connector", "consent")
    return command_line.with_config(*fixed, *words, stdin=stdin)


def passwd(command_line: CommandLine, *words: str, stdin: str = "") -> Outcome:
    return command_line.with_config("account", "passwd", "work", "--user", "alice", *words, stdin=stdin)


def stored(command_line: CommandLine) -> tuple[str, dict[str, str]]:
    async def look() -> bytes:
        async with opened_store(load(command_line.config)) as store:
            (account,) = await store.read(all_accounts)
            assert account.credentials is not None
            return account.credentials

    found = unseal_credentials(open_vault(load(command_line.config)), "work", asyncio.run(look()))
    return found.form, {key: value.reveal() for key, value in found.values.items()}


def test_what_is_missing_comes_of_the_login(command_line: CommandLine) -> None:
    outcome = add(command_line, "--set", "site=here", "--credential", "client=c", stdin="yes\n")
    assert (outcome.status, outcome.err) == (0, ["Logging in at here", ""])
    assert stored(command_line) == ("consent", {"client": "c", "grant": "yes for c, secret none"})


def test_the_login_asks_for_everything_if_nothing_is_given(command_line: CommandLine) -> None:
    assert add(command_line, stdin="c\nyes\n").status == 0
    assert stored(command_line) == ("consent", {"client": "c", "grant": "yes for c, secret none"})


def test_the_login_may_be_named_by_its_form(command_line: CommandLine) -> None:
    assert add(command_line, "--form", "consent", stdin="c\nyes\n").status == 0
    assert stored(command_line)[1]["client"] == "c"


def test_what_is_given_needs_no_login(command_line: CommandLine, tmp_path: Path) -> None:
    grant = tmp_path / "grant"
    grant.write_text("given\n")
    assert add(command_line, "--credential", "client=c", "--credential", f"grant_file={grant}").err == []
    assert stored(command_line) == ("consent", {"client": "c", "grant": "given"})


def test_standard_input_may_hold_what_the_login_gives(command_line: CommandLine) -> None:
    assert add(command_line, "--credential", "client=c", "--secret-stdin", stdin="given\n").err == []
    assert stored(command_line) == ("consent", {"client": "c", "grant": "given"})


def test_other_forms_are_taken_by_their_keys(command_line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "t0k")
    assert add(command_line, "--credential", "token_env=TOKEN").err == []
    assert stored(command_line) == ("token", {"token": "t0k"})


@pytest.mark.parametrize(
    ("words", "stdin", "line"),
    [
        (("--credential", "client=c"), "no\n", "login: the consent was refused"),
        (("--credential", "client=c"), "", "login: there is nobody to ask for: Grant"),
        (("--credential", "client=c"), "\n", "--credential.grant: is missing"),
        ((), "\nyes\n", "--credential.client: is missing"),
        (("--form", "consent", "--secret-stdin"), "x\n", "--credential.client: is required by connector 'consent'"),
        (
            ("--form", "consent", "--credential", "token_env=X"),
            "",
            "--credential.token: is not taken with form consent",
        ),
    ],
)
def test_a_login_that_comes_to_nothing_adds_nothing(
    command_line: CommandLine, words: tuple[str, ...], stdin: str, line: str
) -> None:
    outcome = add(command_line, *words, stdin=stdin)
    assert outcome.status == 1
    assert outcome.err[-1].startswith(f"imap-gateway: {line}")
    assert len(command_line.with_config("account", "list").out) == 1


def test_a_new_login_keeps_what_it_does_not_find_out(
    command_line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "s3cret")
    words = ("--credential", "client=c", "--credential", "secret_env=SECRET")
    assert add(command_line, *words, stdin="first\n").status == 0
    assert passwd(command_line, stdin="second\n").status == 0
    values = {"client": "c", "secret": "s3cret", "grant": "second for c, secret s3cret"}
    assert stored(command_line) == ("consent", values)
    assert passwd(command_line, "--credential", "client=d", stdin="third\n").status == 0
    assert stored(command_line)[1]["grant"] == "third for d, secret s3cret"
    assert passwd(command_line, stdin="no\n").status == 1
    assert stored(command_line)[1]["grant"] == "third for d, secret s3cret"
