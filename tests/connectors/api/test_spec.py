"""Which form of credentials is meant follows from the keys that are given."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from connectors.api.credentials import CredentialField, CredentialForm
from connectors.api.forms import PASSWORD_FORM, TOKEN_FORM
from connectors.api.spec import ConnectorSpec, Setting, SettingError, SettingValue

SPEC = ConnectorSpec("shelf", "A shelf", "shelf:build", (), credentials=(PASSWORD_FORM, TOKEN_FORM))


@pytest.mark.parametrize(
    ("keys", "form"),
    [
        (("username", "password"), PASSWORD_FORM),
        (("token",), TOKEN_FORM),
        (("username", "token"), TOKEN_FORM),
    ],
)
def test_the_form_follows_from_the_keys(keys: tuple[str, ...], form: CredentialForm) -> None:
    assert SPEC.form_of(keys) is form


@pytest.mark.parametrize(
    ("keys", "key", "reason"),
    [
        (("username",), "password", "is required; connector 'shelf' takes username and password; or token"),
        ((), "username", "is required"),
        (("username", "passwort"), "passwort", "is not known"),
        (("username", "password", "token"), "token", "does not go together with username"),
    ],
)
def test_wrong_keys_are_named(keys: tuple[str, ...], key: str, reason: str) -> None:
    with pytest.raises(SettingError) as caught:
        SPEC.form_of(keys)
    assert caught.value.key == key
    assert reason in caught.value.reason


def test_a_connector_without_credentials_takes_no_key() -> None:
    spec = ConnectorSpec("shelf", "A shelf", "shelf:build", (), credentials=())
    with pytest.raises(SettingError, match="takes no credentials") as caught:
        spec.form_of(("username",))
    assert caught.value.key == "username"


def test_a_user_name_and_a_password_are_the_default() -> None:
    assert ConnectorSpec("shelf", "A shelf", "shelf:build", ()).credentials == (PASSWORD_FORM,)


def test_a_form_is_found_by_its_name() -> None:
    assert SPEC.form_named("token") is TOKEN_FORM
    with pytest.raises(SettingError, match="oauth"):
        SPEC.form_named("oauth")


def test_the_summary_names_optional_keys_apart() -> None:
    fields = (CredentialField("key", "", is_secret=True), CredentialField("subject", "", is_required=False))
    assert CredentialForm("service", "", fields, "shelf:source").summary == "key (and, if wanted, subject)"


def parse(settings: Mapping[str, SettingValue]) -> None:
    if settings.get("left") == settings.get("right"):
        raise SettingError("right", "must not be like left")


def test_settings_that_do_not_go_together_are_wrong() -> None:
    settings = (Setting("left", str, ""), Setting("right", str, ""))
    spec = ConnectorSpec("shelf", "A shelf", "shelf:build", settings, parser=f"{__name__}:parse")
    assert spec.check({"left": "a", "right": "b"}) == {"left": "a", "right": "b"}
    with pytest.raises(SettingError, match="must not be like left"):
        spec.check({"left": "a", "right": "a"})
