"""What the common forms make of what was given."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.api.credentials import (
    BearerCredential,
    CredentialForm,
    CredentialRecord,
    CredentialSource,
    PasswordCredential,
    Secret,
)
from connectors.api.forms import PASSWORD_FORM, TOKEN_FORM


async def keep_nothing(values: Mapping[str, Secret[str]]) -> None:
    raise AssertionError("a fixed credential has nothing to keep")


def source(form: CredentialForm, **values: str) -> CredentialSource:
    return form.build(CredentialRecord({key: Secret(value) for key, value in values.items()}, {}, keep_nothing))


async def test_password_form_gives_name_and_password() -> None:
    credential = await source(PASSWORD_FORM, username="alex", password="pässwörd").get()
    assert credential == PasswordCredential("alex", Secret("pässwörd"))


async def test_token_form_gives_a_bearer_token() -> None:
    assert await source(TOKEN_FORM, token="t0k").get() == BearerCredential("", Secret("t0k"))
    assert await source(TOKEN_FORM, token="t0k", username="alex").get() == BearerCredential("alex", Secret("t0k"))


async def test_a_record_does_not_show_its_values() -> None:
    record = CredentialRecord({"token": Secret("t0k")}, {}, keep_nothing)
    assert "t0k" not in repr(record)
