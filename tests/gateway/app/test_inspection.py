from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.app.inspection import inspect
from gateway.tls import write_self_signed
from tests.gateway.app.conftest import CHEAP_HASH, Configurations

ALICE = {"login": "alice", "password_hash": CHEAP_HASH}


def found(configurations: Configurations, **sections: Any) -> list[str]:
    return [problem.operator_text for problem in inspect(configurations.make(**sections), "gateway.toml")]


def account(**fields: Any) -> dict[str, Any]:
    return {"name": "work", "user": "alice", "connector": "memory"} | fields


def test_a_right_configuration_has_no_problem_and_nothing_is_made(configurations: Configurations) -> None:
    assert found(configurations, users=[ALICE], accounts=[account()]) == []
    assert list(configurations.folder.iterdir()) == []


def test_no_listener_is_a_problem(configurations: Configurations) -> None:
    (line,) = found(configurations, listeners=[])
    assert line.startswith("gateway.toml: listeners: there are none; add [[listeners]]")


def test_certificates_are_tried(configurations: Configurations) -> None:
    certificate, key = configurations.folder / "certificate.pem", configurations.folder / "key.pem"
    tls = {"certificate": str(certificate), "key": str(key)}
    (line,) = found(configurations, tls=tls)
    assert line == f"gateway.toml: tls.certificate: cannot read {certificate}: No such file or directory"
    write_self_signed(certificate, key)
    assert found(configurations, tls=tls) == []
    certificate.write_text("no certificate", encoding="ascii")
    (line,) = found(configurations, tls=tls)
    assert line.startswith("gateway.toml: tls.certificate: ")


def test_places_that_cannot_be_written_are_named(configurations: Configurations) -> None:
    file = configurations.folder / "file"
    file.touch()
    lines = found(configurations, cache={"directory": str(file / "cache")}, store={"url": f"sqlite:///{file.parent}"})
    assert lines == [
        f"gateway.toml: store.url: {file.parent} is a directory; name a file in it",
        f"gateway.toml: cache.directory: {file} is not a directory",
    ]


def test_places_that_cannot_be_looked_at_are_named(configurations: Configurations) -> None:
    # As the folder of another user could not be; the superuser, who may look everywhere, is shown a name too long.
    odd = configurations.folder / ("x" * 300)
    lines = found(
        configurations,
        store={"url": f"sqlite:///{odd}"},
        cache={"directory": str(odd / "cache")},
        secrets={"key_file": str(odd)},
    )
    assert lines == [
        f"gateway.toml: store.url: {odd} cannot be looked at: File name too long",
        f"gateway.toml: cache.directory: {odd / 'cache'} cannot be looked at: File name too long",
        f"gateway.toml: secrets.key_file: {odd} cannot be looked at: File name too long",
    ]


def test_secrets_are_read(configurations: Configurations) -> None:
    missing = str(configurations.folder / "none")
    lines = found(
        configurations,
        secrets={"key_env": "NO_SUCH_VARIABLE"},
        users=[{"login": "alice", "password_file": missing}],
        accounts=[
            account(
                connector="imap",
                settings={"host": "imap.example.org"},
                credentials={"username": "alice", "password_env": "NO_SUCH_VARIABLE"},
            )
        ],
    )
    assert lines == [
        "gateway.toml: secrets.key_env: the environment variable NO_SUCH_VARIABLE is not set",
        f"gateway.toml: users[alice].password_file: {missing} cannot be read: No such file or directory",
        "gateway.toml: accounts[work].credentials.password_env: the environment variable NO_SUCH_VARIABLE is not set",
    ]


def test_a_damaged_key_is_a_problem(configurations: Configurations) -> None:
    path = configurations.folder / "gateway.key"
    path.write_text("too short\n", encoding="ascii")
    (line,) = found(configurations)
    assert line.startswith(f"{path}: line 1 is no key of 32 octets")


def test_a_cut_hash_is_a_problem(configurations: Configurations) -> None:
    (line,) = found(configurations, users=[{"login": "alice", "password_hash": "$argon2id$v=19$m=8"}])
    assert line == "gateway.toml: users[alice].password_hash: is no argon2id hash; its text may be cut"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"connector": "pop3"}, "accounts[work].connector: there is no connector 'pop3'; there are: "),
        ({"connector": "../x"}, "accounts[work].connector: there is no connector '../x'"),
        ({"connector": "maildir"}, "accounts[work].settings.path: is required by connector 'maildir'"),
        (
            {"connector": "maildir", "settings": {"path": "/x", "pth": "/y"}},
            "accounts[work].settings.pth: is not a setting of connector 'maildir'; it has: path, ",
        ),
        ({"settings": {"layout": "x"}}, "accounts[work].settings.layout: must be one of folders, items, labels"),
        (
            {"connector": "imap", "settings": {"host": "x", "port": 70000}, "credentials": None},
            "accounts[work].settings.port: must be at most 65535",
        ),
        (
            {"connector": "imap", "settings": {"host": "x"}},
            "accounts[work].credentials: are required by connector 'imap'",
        ),
        (
            {"connector": "imap", "settings": {"host": "x"}, "credentials": {"username": "x", "passwort_env": "PATH"}},
            "accounts[work].credentials.passwort_env: is not known; connector 'imap' takes username and password",
        ),
        (
            {"connector": "jmap", "credentials": {"token_env": "PATH"}},
            "accounts[work].settings.url: is required, or domain instead",
        ),
        (
            {"connector": "jmap", "settings": {"url": "x.example"}, "credentials": {"token_env": "PATH"}},
            "accounts[work].settings.url: must be an address such as https://",
        ),
        (
            {"credentials": {"username": "x", "password_env": "PATH"}},
            "accounts[work].credentials: are not taken by connector 'memory'; remove them",
        ),
    ],
)
def test_accounts_are_checked_against_their_connector(
    configurations: Configurations, fields: dict[str, Any], expected: str
) -> None:
    lines = found(configurations, users=[ALICE], accounts=[account(**fields)])
    assert any(line.startswith(f"gateway.toml: {expected}") for line in lines), lines


def test_a_capability_that_does_not_exist_cannot_be_disabled(configurations: Configurations) -> None:
    (line,) = found(configurations, imap={"disabled_capabilities": ["qresync", "QRSYNC"]})
    assert line == "gateway.toml: imap.disabled_capabilities: QRSYNC is no capability of this server"


def test_exemptions_name_capabilities_that_exist_and_somebody(configurations: Configurations) -> None:
    one = {"client": "Outlook*", "disabled_capabilities": ["IDLE", "IDEL"]}
    (line,) = found(configurations, imap={"exemptions": [one]})
    key = "imap.exemptions[1].disabled_capabilities"
    assert line == f"gateway.toml: {key}: IDEL is no capability of this server"


def test_a_store_in_a_folder_yet_to_be_made_is_right(configurations: Configurations, tmp_path: Path) -> None:
    assert found(configurations, store={"url": f"sqlite:///{tmp_path}/a/b/gateway.db"}) == []
