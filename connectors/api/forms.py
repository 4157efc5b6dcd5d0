"""The forms of credentials that most backends take: a password, or a token that does not change."""

from __future__ import annotations

from connectors.api.credentials import (
    BearerCredential,
    CredentialField,
    CredentialForm,
    CredentialRecord,
    CredentialSource,
    FixedCredential,
    PasswordCredential,
)

_USERNAME = CredentialField("username", "the user name at the backend")

PASSWORD_FORM = CredentialForm(
    name="password",
    title="a user name and a password",
    fields=(_USERNAME, CredentialField("password", "the password", is_secret=True)),
    source="connectors.api.forms:password_source",
)

TOKEN_FORM = CredentialForm(
    name="token",
    title="a bearer token that the backend's operator has given out",
    fields=(
        CredentialField("token", "the token", is_secret=True),
        CredentialField("username", "the user name at the backend", is_required=False),
    ),
    source="connectors.api.forms:token_source",
)


def password_source(record: CredentialRecord) -> CredentialSource:
    """Return the source for a filled-in `PASSWORD_FORM`."""
    return FixedCredential(PasswordCredential(record.values["username"].reveal(), record.values["password"]))


def token_source(record: CredentialRecord) -> CredentialSource:
    """Return the source for a filled-in `TOKEN_FORM`."""
    username = record.values.get("username")
    return FixedCredential(BearerCredential(username.reveal() if username else "", record.values["token"]))
