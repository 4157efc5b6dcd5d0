from __future__ import annotations

import asyncio
import contextlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.accounts.credentials import unseal_credentials
from gateway.app.storage import open_vault, opened_store
from gateway.config import load
from gateway.store.accounts import AccountRow, all_accounts
from tests.gateway.cli.conftest import CommandLine

IMAP = ("--connector", "imap", "--set", "host=imap.example.org", "--username", "alice@example.org", "--secret-stdin")

JMAP = ("--connector", "jmap", "--set", "domain=example.org")


@pytest.fixture(autouse=True)
def alice(command_line: CommandLine) -> None:
    assert command_line.with_config("user", "add", "alice", "--password-stdin", stdin="x\n").status == 0


def add(command_line: CommandLine, name: str, *words: str, stdin: str = "") -> list[str]:
    return command_line.with_config("account", "add", name, "--user", "alice", *words, stdin=stdin).err


def stored(command_line: CommandLine) -> list[AccountRow]:
    async def look() -> list[AccountRow]:
        async with opened_store(load(command_line.config)) as store:
            return await store.read(all_accounts)

    return asyncio.run(look())


def given(command_line: CommandLine) -> tuple[str, dict[str, str]]:
    """Return the form and the values of the only account's credentials."""
    (account,) = stored(command_line)
    assert account.credentials is not None
    found = unseal_credentials(open_vault(load(command_line.config)), account.name, account.credentials)
    return found.form, {key: value.reveal() for key, value in found.values.items()}


def test_an_account_is_added_with_its_secret_sealed(command_line: CommandLine) -> None:
    assert add(command_line, "work", *IMAP, "--set", "port=1143", "--set", "tls=none", stdin="s3cret\n") == []
    (account,) = stored(command_line)
    assert account.settings["host"] == "imap.example.org"
    assert account.settings["port"] == 1143
    assert b"s3cret" not in (command_line.folder / "gateway.db").read_bytes()
    assert given(command_line) == ("password", {"username": "alice@example.org", "password": "s3cret"})


@pytest.mark.parametrize(
    ("words", "stdin", "form", "values"),
    [
        ((), "t0k\n", "token", {"token": "t0k"}),
        (("--username", "alice"), "s3cret\n", "password", {"username": "alice", "password": "s3cret"}),
        (("--username", "alice", "--form", "token"), "t0k\n", "token", {"username": "alice", "token": "t0k"}),
        (("--credential", "token_env=WORK_TOKEN"), "", "token", {"token": "from the environment"}),
        (
            ("--credential", "username=alice", "--credential", "token_env=WORK_TOKEN"),
            "",
            "token",
            {"username": "alice", "token": "from the environment"},
        ),
    ],
)
def test_the_form_follows_from_what_is_given(
    command_line: CommandLine,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    stdin: str,
    form: str,
    values: dict[str, str],
) -> None:
    monkeypatch.setenv("WORK_TOKEN", "from the environment")
    jmap = ("--connector", "jmap", "--set", "domain=example.org", "--secret-stdin")
    assert add(command_line, "work", *jmap, *words, stdin=stdin) == []
    assert given(command_line) == (form, values)


def test_the_key_is_made_beside_the_database_for_its_owner_only(command_line: CommandLine) -> None:
    add(command_line, "work", *IMAP, stdin="s3cret\n")
    assert (command_line.folder / "gateway.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("name", "words", "line"),
    [
        ("work", ("--connector", "pop3"), "--connector: there is no connector 'pop3'; there are: "),
        ("work", ("--connector", "maildir"), "--set.path: is required by connector 'maildir'"),
        ("work", ("--connector", "maildir", "--set", "path"), "--set: 'path' is not of the form KEY=VALUE"),
        ("work", ("--connector", "memory", "--set", "x=1"), "--set.x: is not a setting of connector 'memory'; it has"),
        ("work", ("--connector", "memory", "--set", "uids=1"), "--set.uids: must be true or false"),
        ("work", ("--connector", "memory", "--username", "x"), "--username: connector 'memory' takes no credentials"),
        ("work", ("--connector", "imap", "--set", "host=h"), "--username: is required by connector 'imap'"),
        ("work", ("--connector", "jmap"), "--set.url: is required, or domain instead"),
        ("work", (*JMAP, "--set", "url=https://h"), "--set.domain: does not go together with url"),
        ("work", (*JMAP, "--credential", "token=x"), "--credential.token: is a secret and is not written here; give"),
        ("work", (*JMAP, "--credential", "tokn=x"), "--credential.tokn: is not known; connector 'jmap' takes username"),
        ("work", (*JMAP, "--credential", "token"), "--credential: 'token' is not of the form KEY=VALUE"),
        ("work", (*JMAP, "--form", "oauth"), "--form: oauth is not a form of credentials of connector 'jmap'; it has"),
        ("work", (*JMAP, "--form", "password"), "--username: is required by connector 'jmap'"),
        ("work", (*JMAP, "--username", "x", "--credential", "username=x"), "--username: is given twice"),
        ("a/b", ("--connector", "memory"), "NAME: must not be empty"),
        ("home", ("--connector", "memory"), "NAME: alice has an account 'home' already"),
        ("work", ("--connector", "memory", "--primary"), "--primary: home is the primary account of alice already"),
        ("work", IMAP, "--secret-stdin: is empty; pipe it in as one line"),
    ],
)
def test_what_cannot_be_added_is_one_line(
    command_line: CommandLine, name: str, words: tuple[str, ...], line: str
) -> None:
    assert add(command_line, "home", "--connector", "memory", "--primary") == []
    errors = add(command_line, name, *words)
    assert len(errors) == 1
    assert errors[0].startswith(f"imap-gateway: {line}")
    assert [account.name for account in stored(command_line)] == ["home"]


def test_a_user_that_does_not_exist_is_named(command_line: CommandLine) -> None:
    outcome = command_line.with_config("account", "add", "work", "--user", "bob", "--connector", "memory")
    assert outcome.err == ["imap-gateway: --user: there is no user 'bob'; see imap-gateway user list"]


def test_accounts_are_listed(command_line: CommandLine) -> None:
    add(command_line, "home", "--connector", "memory", "--primary")
    command_line.with_config("user", "add", "bob", "--password-stdin", stdin="x\n")
    command_line.with_config("account", "add", "work", "--user", "bob", "--connector", "memory")
    assert command_line.with_config("account", "list").out == [
        "NAME            USER   CONNECTOR  STATE  MANAGED IN    LAST ERROR",
        "home (primary)  alice  memory     new    command line",
        "work            bob    memory     new    command line",
    ]
    assert len(command_line.with_config("account", "list", "--user", "BOB").out) == 2


def test_the_login_is_tried(command_line: CommandLine, tmp_path: Path) -> None:
    add(command_line, "files", "--connector", "maildir", "--set", f"path={tmp_path}/Maildir")
    outcome = command_line.with_config("account", "test", "files", "--user", "alice")
    assert outcome.status == 0
    assert outcome.err == ["Connecting with maildir ..."]
    assert outcome.out[0].startswith("files: 1 mailboxes")


def test_a_login_that_fails_says_why(command_line: CommandLine, tmp_path: Path) -> None:
    add(command_line, "files", "--connector", "maildir", "--set", f"path={tmp_path}/none", "--set", "create=false")
    outcome = command_line.with_config("account", "test", "files", "--user", "alice")
    assert outcome.status == 1
    assert outcome.err[-1].startswith("imap-gateway: account files: ")
    assert f"{tmp_path}/none" in outcome.err[-1]


@contextlib.contextmanager
def refusing_server() -> Iterator[str]:
    """Answer 401 to everything; yield the address."""

    class Refusal(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/session"
        finally:
            server.shutdown()
            thread.join()


def test_refused_credentials_are_told_with_what_to_do(command_line: CommandLine) -> None:
    with refusing_server() as url:
        words = ("--connector", "jmap", "--set", f"url={url}", "--username", "alice", "--secret-stdin")
        assert add(command_line, "work", *words, stdin="wrong-secret\n") == []
        outcome = command_line.with_config("account", "test", "work", "--user", "alice")
    assert outcome.status == 1
    assert outcome.err[-1].endswith(
        "/session was answered 401: the server refuses the credentials;"
        " give other credentials with: imap-gateway account passwd work --user alice"
    )
    assert "wrong-secret" not in "".join(outcome.err)


def test_settings_that_no_longer_hold_are_one_line(command_line: CommandLine, tmp_path: Path) -> None:
    authorities = tmp_path / "ca.pem"
    authorities.write_text("")
    words = (*JMAP, "--set", f"ca_file={authorities}", "--username", "alice", "--secret-stdin")
    assert add(command_line, "work", *words, stdin="secret\n") == []
    authorities.unlink()
    outcome = command_line.with_config("account", "test", "work", "--user", "alice")
    assert outcome.err == [f"imap-gateway: work.settings.ca_file: there is no file {authorities}"]


def test_an_account_is_removed(command_line: CommandLine) -> None:
    add(command_line, "home", "--connector", "memory")
    outcome = command_line.with_config("account", "remove", "home", "--user", "alice", "--yes")
    assert (outcome.status, outcome.out) == (0, ["Removed account home."])
    assert stored(command_line) == []
    again = command_line.with_config("account", "remove", "home", "--user", "alice", "--yes")
    assert again.err == ["imap-gateway: NAME: alice has no account 'home'; see imap-gateway account list"]


def test_a_new_secret_keeps_the_account_and_the_user_name(command_line: CommandLine) -> None:
    add(command_line, "work", *IMAP, stdin="first\n")
    (before,) = stored(command_line)
    words = ("account", "passwd", "work", "--user", "alice", "--secret-stdin")
    assert command_line.with_config(*words, stdin="second\n").status == 0
    (after,) = stored(command_line)
    assert after.id == before.id
    assert given(command_line) == ("password", {"username": "alice@example.org", "password": "second"})
    command_line.with_config(*words, "--username", "bob", stdin="third\n")
    assert given(command_line) == ("password", {"username": "bob", "password": "third"})


def test_a_new_secret_may_be_of_another_form(command_line: CommandLine) -> None:
    assert add(command_line, "work", *JMAP, "--username", "alice", "--secret-stdin", stdin="first\n") == []
    words = ("account", "passwd", "work", "--user", "alice", "--secret-stdin")
    assert command_line.with_config(*words, "--form", "token", stdin="t0k\n").err == []
    assert given(command_line) == ("token", {"token": "t0k"})
    assert command_line.with_config(*words, stdin="t1k\n").err == []
    assert given(command_line) == ("token", {"token": "t1k"})
    assert command_line.with_config(*words, "--form", "password", "--username", "bob", stdin="pw\n").err == []
    assert given(command_line) == ("password", {"username": "bob", "password": "pw"})


def test_an_account_without_credentials_takes_no_secret(command_line: CommandLine) -> None:
    add(command_line, "home", "--connector", "memory")
    outcome = command_line.with_config("account", "passwd", "home", "--user", "alice", "--secret-stdin", stdin="x\n")
    assert outcome.err == ["imap-gateway: home: connector 'memory' takes no credentials"]
