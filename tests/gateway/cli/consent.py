"""A form of credentials with a login, as a connector may have one, and the login."""

from __future__ import annotations

from collections.abc import Mapping

from connectors.api.credentials import CredentialField, CredentialForm, LoginDialog, Secret
from connectors.api.errors import Denied
from connectors.api.forms import TOKEN_FORM
from connectors.api.settings import SettingValue
from connectors.api.spec import ConnectorSpec, Setting

SPEC = ConnectorSpec(
    name="consent",
    title="a connector whose credentials come of a login",
    factory="connectors.memory.connector:make_connector",
    settings=(Setting("site", str, "where to log in", default="example.org"),),
    credentials=(
        CredentialForm(
            name="consent",
            title="a client and what the user consented to",
            fields=(
                CredentialField("client", "the client"),
                CredentialField("secret", "its secret", is_secret=True, is_required=False),
                CredentialField("grant", "what the login gives", is_secret=True, is_from_login=True),
            ),
            source="connectors.api.forms:token_source",
            login="tests.gateway.cli.consent:log_in",
        ),
        TOKEN_FORM,
    ),
)


async def log_in(
    values: Mapping[str, Secret[str]], settings: Mapping[str, SettingValue], dialog: LoginDialog
) -> Mapping[str, Secret[str]]:
    """Ask for what is missing, and for the grant; the answer `no` is a refusal."""
    found: dict[str, Secret[str]] = {}
    await dialog.tell(f"Logging in at {settings['site']}")
    if "client" not in values:
        found["client"] = Secret(await dialog.ask("Client"))
    answer = await dialog.ask("Grant", is_secret=True)
    if answer == "no":
        raise Denied("the consent was refused")
    client = {**values, **found}["client"].reveal()
    secret = values["secret"].reveal() if "secret" in values else "none"
    return {**found, "grant": Secret(answer and f"{answer} for {client}, secret {secret}")}
