"""Which form of credentials the configuration means, and what is wrong with it in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.api.credentials import CredentialField, CredentialForm, Secret
from connectors.api.forms import PASSWORD_FORM, TOKEN_FORM
from connectors.api.spec import ConnectorSpec
from gateway.accounts.credentials import AccountCredentials
from gateway.app.credentials import given_credentials
from gateway.errors import OperatorError

SERVICE = CredentialForm(
    "service",
    "a key",
    (CredentialField("key", "", is_secret=True), CredentialField("subject", "", is_required=False)),
    "shelf:service",
)
SPEC = ConnectorSpec("shelf", "A shelf", "shelf:build", (), credentials=(PASSWORD_FORM, TOKEN_FORM, SERVICE))
KEY = "accounts[work].credentials"


@pytest.fixture
def secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("WORK_SECRET", "from the environment")
    path = tmp_path / "secret"
    path.write_text("from a file\n", encoding="ascii")
    return str(path)


def test_the_form_follows_from_the_keys(secret: str) -> None:
    def given(**keys: str) -> AccountCredentials | None:
        return given_credentials(SPEC, keys, key=KEY)

    file, variable = Secret("from a file"), Secret("from the environment")
    assert given(username="alex", password_file=secret) == AccountCredentials(
        "password", {"username": Secret("alex"), "password": file}
    )
    assert given(token_env="WORK_SECRET") == AccountCredentials("token", {"token": variable})
    assert given(username="alex", token_file=secret) == AccountCredentials(
        "token", {"username": Secret("alex"), "token": file}
    )
    assert given(key_file=secret, subject="sam") == AccountCredentials(
        "service", {"key": file, "subject": Secret("sam")}
    )


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ({"username": "x"}, f"{KEY}.password: is required; connector 'shelf' takes username and password; or token"),
        ({"password": "x"}, f"{KEY}.password: is a secret and is not written here; give password_file or password_env"),
        ({"tokn_file": "x"}, f"{KEY}.tokn_file: is not known; connector 'shelf' takes "),
        ({"username_file": "x"}, f"{KEY}.username_file: is not known; "),
        ({"token_env": "WORK_SECRET", "token_file": "x"}, f"{KEY}: give token_file or token_env, not both"),
        ({"token_env": "WORK_SECRET", "subject": "x"}, f"{KEY}.token: does not go together with subject; "),
        ({"username": "", "token_env": "WORK_SECRET"}, f"{KEY}.username: is empty"),
        ({"token_env": "NOT_SET_HERE"}, f"{KEY}.token_env: the environment variable NOT_SET_HERE is not set"),
        ({"token_file": "/none"}, f"{KEY}.token_file: /none cannot be read: No such file or directory"),
        (None, f"{KEY}: are required by connector 'shelf'"),
    ],
)
@pytest.mark.usefixtures("secret")
def test_what_is_wrong_is_one_line_with_file_and_key(keys: dict[str, str] | None, line: str) -> None:
    with pytest.raises(OperatorError) as caught:
        given_credentials(SPEC, keys, key=KEY, source="gateway.toml")
    assert caught.value.operator_text.startswith(f"gateway.toml: {line}")
    assert "\n" not in caught.value.operator_text


def test_a_connector_without_credentials_takes_none() -> None:
    spec = ConnectorSpec("shelf", "A shelf", "shelf:build", (), credentials=())
    assert given_credentials(spec, None, key=KEY) is None
    with pytest.raises(OperatorError, match="are not taken by connector 'shelf'"):
        given_credentials(spec, {"username": "x"}, key=KEY)
