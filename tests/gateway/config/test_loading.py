from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.credentials import Secret
from gateway.config import ConfigError, load, read_secret
from gateway.errors import OperatorError

MINIMAL = """
[store]
url = "sqlite:////var/lib/imap-gateway/gateway.db"
[cache]
directory = "/var/cache/imap-gateway"
"""

WHOLE = (
    MINIMAL
    + """
[[listeners]]
protocol = "imap"
bind = "127.0.0.1:1143"
[[listeners]]
protocol = "imaps"
bind = "[::1]:1993"
[tls]
certificate = "/etc/imap-gateway/fullchain.pem"
key = "/etc/imap-gateway/privkey.pem"
[[users]]
login = "alice"
password_file = "/run/secrets/alice"
[[accounts]]
name = "work"
user = "alice"
connector = "imap"
settings = { host = "127.0.0.1", port = 20143, tls = "none" }
credentials = { username = "alice", password_file = "/run/secrets/work" }
"""
)


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return [problem.operator_text for problem in caught.value.problems]


def test_the_declared_form_of_containers_loads(tmp_path: Path) -> None:
    config = load(written(tmp_path, WHOLE))
    assert [listener.address for listener in config.listeners] == [("127.0.0.1", 1143), ("::1", 1993)]
    assert config.users[0].password_file == Path("/run/secrets/alice")
    assert config.accounts[0].settings == {"host": "127.0.0.1", "port": 20143, "tls": "none"}
    assert config.accounts[0].credentials == {"username": "alice", "password_file": "/run/secrets/work"}
    assert not config.accounts[0].primary


def test_credentials_are_texts(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE.replace('username = "alice"', "username = 7"))
    assert problems(path) == [f"{path}: accounts[work].credentials.username: must be a valid string"]


def test_a_variable_that_credentials_name_sets_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_GATEWAY_WORK__TOKEN", "t0k")
    text = WHOLE.replace('password_file = "/run/secrets/work"', 'token_env = "IMAP_GATEWAY_WORK__TOKEN"')
    assert load(written(tmp_path, text)).accounts[0].credentials is not None


def test_settings_of_an_account_keep_their_types(tmp_path: Path) -> None:
    text = WHOLE.replace('tls = "none"', 'tls = "1", a = true, b = 1, c = 1.5')
    settings = load(written(tmp_path, text)).accounts[0].settings
    assert [type(value) for value in settings.values()] == [str, int, str, bool, int, float]


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_GATEWAY_LOG__LEVEL", "debug")
    monkeypatch.setenv("IMAP_GATEWAY_CACHE__MAX_SIZE", "3 GiB")
    monkeypatch.setenv("IMAP_GATEWAY_LISTENERS", '[{"protocol": "imap", "bind": "*:143"}]')
    config = load(written(tmp_path, WHOLE))
    assert config.log.level == "debug"
    assert config.cache.max_size == 3 << 30
    assert config.cache.directory == Path("/var/cache/imap-gateway")
    assert [listener.address for listener in config.listeners] == [("", 143)]


@pytest.mark.parametrize(
    ("replaced", "by", "expected"),
    [
        (
            'bind = "127.0.0.1:1143"',
            'bnd = "x"',
            "listeners[1].bnd: is not a key of the configuration; did you mean bind?",
        ),
        ("[tls]", "[tsl]", "tsl: is not a key of the configuration; did you mean tls?"),
        ('login = "alice"', "", "users[1].login: is required"),
        ('"imaps"', '"pop3"', "listeners[[::1]:1993].protocol: must be 'imap' or 'imaps'"),
        ("[::1]:1993", "::1:1993", "listeners[::1:1993].bind: an IPv6 address is written in brackets: [::1]:1143"),
        (
            "127.0.0.1:1143",
            "nowhere",
            'listeners[nowhere].bind: must be an address and a port, such as "127.0.0.1:1143"',
        ),
        ('key = "/etc/imap-gateway/privkey.pem"', "key = 5", "tls.key: must be a path"),
        (
            "[tls]",
            "[[imap.exemptions]]\ndisabled_capabilities = []\n[tls]",
            "imap.exemptions[1].disabled_capabilities: must not be empty",
        ),
        ("[tls]", '[oauth]\nissuer = "https://id"\naudience = ""\n[tls]', "oauth.audience: must not be empty"),
        ('user = "alice"', 'user = "bob"', "accounts[work].user: there is no [[users]] entry with login 'bob'"),
        ("port = 20143", "port = [1]", "accounts[work].settings.port: must be a text, a number, or true or false"),
        ('password_file = "/run/secrets/alice"', "", "users[alice]: give exactly one of password_file, password_env"),
        ('name = "work"', 'name = "a/b"', "accounts[a/b].name: must not be empty"),
        ('name = "work"', 'name = "inbox"', "accounts[inbox].name: must not be INBOX"),
        ("sqlite:////", "postgresql://", "store.url: must be sqlite:/// and a path"),
        ("[::1]:1993", "127.0.0.1:1143", "listeners[127.0.0.1:1143].bind: is used by more than one listener"),
    ],
)
def test_a_wrong_key_is_named_with_its_file(tmp_path: Path, replaced: str, by: str, expected: str) -> None:
    assert replaced in WHOLE
    path = written(tmp_path, WHOLE.replace(replaced, by))
    lines = problems(path)
    assert any(line.startswith(f"{path}: {expected}") for line in lines), lines


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE.replace("protocol", "protocoll").replace("[tls]", "[tsl]"))
    assert len(problems(path)) == 5


def test_imaps_without_a_certificate_is_a_problem(tmp_path: Path) -> None:
    text = WHOLE.replace("[tls]\n", "").replace("certificate = ", "# ").replace("key = ", "# ")
    path = written(tmp_path, text)
    assert problems(path) == [
        f"{path}: listeners[[::1]:1993].protocol: imaps needs a certificate; add the section [tls]"
    ]


def test_two_primary_accounts_are_a_problem(tmp_path: Path) -> None:
    account = '[[accounts]]\nname = "{}"\nuser = "alice"\nconnector = "memory"\nprimary = true\n'
    path = written(tmp_path, WHOLE + account.format("a") + account.format("b"))
    assert problems(path) == [f"{path}: accounts: user alice has 2 primary accounts; keep one"]


def test_a_login_or_account_declared_twice_is_a_problem(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE + WHOLE[WHOLE.index("[[users]]") :])
    assert problems(path) == [
        f"{path}: users[alice]: is declared more than once",
        f"{path}: accounts[work]: is declared more than once for user alice",
    ]


def test_a_missing_file_and_broken_toml_are_one_line(tmp_path: Path) -> None:
    (line,) = problems(tmp_path / "none.toml")
    assert line.startswith(f"{tmp_path}/none.toml: there is no such file; name the configuration with --config")
    path = written(tmp_path, "[store\n")
    (line,) = problems(path)
    assert line.startswith(f"{path}: is not valid TOML: ")
    assert "line 1" in line


def test_a_wrong_environment_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, MINIMAL)
    monkeypatch.setenv("IMAP_GATEWAY_LOG__LEVEL", "loud")
    (line,) = problems(path)
    assert line.startswith("environment variable IMAP_GATEWAY_LOG__LEVEL: log.level: must be 'debug'")
    monkeypatch.setenv("IMAP_GATEWAY_LOG__LEVEL", "info")
    monkeypatch.setenv("IMAP_GATEWAY_LISTENERS", "no json")
    assert problems(path) == ["environment variable IMAP_GATEWAY_LISTENERS: must be JSON"]


def test_a_variable_that_sets_nothing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_GATEWAY_LOGS__LEVEL", "info")
    assert problems(written(tmp_path, MINIMAL)) == [
        "environment variable IMAP_GATEWAY_LOGS__LEVEL: sets no key of the configuration"
    ]


def test_a_variable_that_holds_a_named_secret_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAP_GATEWAY_ALICE__PASSWORD", "s3cret")
    user = '[[users]]\nlogin = "alice"\npassword_env = "IMAP_GATEWAY_ALICE__PASSWORD"\n'
    assert load(written(tmp_path, MINIMAL + user)).users[0].password_env == "IMAP_GATEWAY_ALICE__PASSWORD"


def test_errors_do_not_show_what_was_given(tmp_path: Path) -> None:
    text = WHOLE.replace('password_file = "/run/secrets/work"', 'password_file = ["hunter2"]')
    assert not any("hunter2" in line for line in problems(written(tmp_path, text)))


@pytest.mark.parametrize(("text", "octets"), [("7", 7), ("1 KiB", 1024), ("2GiB", 2 << 30), ("5 mib", 5 << 20)])
def test_sizes_have_units(tmp_path: Path, text: str, octets: int) -> None:
    config = load(written(tmp_path, MINIMAL + f'max_size = "{text}"\n'))
    assert config.cache.max_size == octets


def test_a_size_of_unknown_unit_is_a_problem(tmp_path: Path) -> None:
    (line,) = problems(written(tmp_path, MINIMAL + 'max_size = "5 MB"\n'))
    assert 'cache.max_size: must be a number of octets, or a text such as "50 MiB"' in line


def test_a_secret_is_read_without_its_line_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "password"
    file.write_text(" pass word \n", encoding="utf-8")
    assert read_secret(file, None, key="users[a].password") == Secret(" pass word ")
    monkeypatch.setenv("A_PASSWORD", "x")
    assert read_secret(None, "A_PASSWORD", key="users[a].password") == Secret("x")


def test_an_unreadable_or_empty_secret_names_its_key(tmp_path: Path) -> None:
    key = "users[a].password"
    with pytest.raises(OperatorError, match=r"users\[a\].password_file: .*/none cannot be read: No such file"):
        read_secret(tmp_path / "none", None, key=key)
    (tmp_path / "empty").write_text("\n", encoding="utf-8")
    with pytest.raises(OperatorError, match=r"password_file: .*/empty is empty"):
        read_secret(tmp_path / "empty", None, key=key)
    with pytest.raises(OperatorError, match=r"password_env: the environment variable NOT_SET_HERE is not set"):
        read_secret(None, "NOT_SET_HERE", key=key)


def test_a_loaded_configuration_cannot_be_changed(tmp_path: Path) -> None:
    config = load(written(tmp_path, MINIMAL))
    with pytest.raises(ValueError, match="frozen"):
        config.log.level = "debug"
