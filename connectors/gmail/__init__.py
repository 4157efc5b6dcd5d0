"""Mail at Gmail and Google Workspace, over the Gmail API (https://developers.google.com/workspace/gmail/api)."""

from connectors.api.credentials import CredentialField, CredentialForm
from connectors.api.spec import ConnectorSpec, Setting

_PUBSUB_KEY = CredentialField(
    "pubsub_service_account",
    "the key file (JSON) of a service account that may read the subscription; only for push",
    is_secret=True,
    is_required=False,
)

OAUTH_FORM = CredentialForm(
    name="oauth",
    title="an OAuth client of your own and what the user consented to",
    fields=(
        CredentialField("client_id", "the id of the OAuth client, as in 123-abc.apps.googleusercontent.com"),
        CredentialField("client_secret", "its secret, if it has one", is_secret=True, is_required=False),
        CredentialField("refresh_token", "the refresh token of the user's consent", is_secret=True, is_from_login=True),
        _PUBSUB_KEY,
    ),
    source="connectors.gmail.oauth:oauth_source",
    login="connectors.gmail.login:log_in",
)

SERVICE_ACCOUNT_FORM = CredentialForm(
    name="service-account",
    title="a service account with domain-wide delegation",
    fields=(
        CredentialField("service_account", "its key file (JSON)", is_secret=True),
        CredentialField("subject", "the address of the user whose mail it is"),
        _PUBSUB_KEY,
    ),
    source="connectors.gmail.oauth:service_account_source",
)

SPEC = ConnectorSpec(
    name="gmail",
    title="Gmail or Google Workspace, over the Gmail API",
    factory="connectors.gmail.connector:make_connector",
    settings=(
        Setting("api_root", str, "address of the Gmail API", default="https://gmail.googleapis.com"),
        Setting("token_uri", str, "where tokens are given out", default="https://oauth2.googleapis.com/token"),
        Setting("auth_uri", str, "where users consent", default="https://accounts.google.com/o/oauth2/v2/auth"),
        Setting("user", str, "whose mail it is: an address, or me for whoever has logged in", default="me"),
        Setting("prefix", str, "the mailbox under which All Mail, Sent Mail and so on are", default="[Gmail]"),
        Setting("categories", bool, "show the categories of the inbox (Social and so on) as mailboxes", default=False),
        Setting(
            "units_per_minute", float, "quota units that the account may spend in a minute", default=6000.0, minimum=60
        ),
        Setting(
            "costs",
            str,
            "which of Google's tables of costs holds: 2025 for projects that used the API before May 2026",
            default="2026",
            choices=("2026", "2025"),
        ),
        Setting("cost_overrides", str, "costs that differ from the table, as in 'messages.get=5,messages.list=5'"),
        Setting("batch_size", int, "calls in one request of many", default=50, minimum=1, maximum=100),
        Setting("max_concurrent", int, "requests at a time", default=8, minimum=1, maximum=64),
        Setting(
            "append",
            str,
            "how messages are stored: insert as they are, import with Gmail's scanning for spam and its own sorting",
            default="insert",
            choices=("insert", "import"),
        ),
        Setting(
            "expunge",
            str,
            "what happens to a message that is expunged from the last mailbox it is in: it stays in All Mail, goes to "
            "Trash, or is deleted for good; in Trash and Spam it is always deleted",
            default="archive",
            choices=("archive", "trash", "delete"),
        ),
        Setting("auto_expunge", bool, "expunge messages as soon as they are marked \\Deleted", default=False),
        Setting("topic", str, "projects/P/topics/T: what Gmail is to publish changes to; needs subscription"),
        Setting("subscription", str, "projects/P/subscriptions/S: where changes are pulled from; needs topic"),
        Setting("pubsub_root", str, "address of Pub/Sub", default="https://pubsub.googleapis.com"),
        Setting("poll_interval_s", float, "seconds between looks for changes", default=60.0, minimum=1.0),
        Setting("timeout_s", float, "seconds of silence after which to give up", default=60.0, minimum=0.1),
        Setting("ca_file", str, "certificates (PEM) to trust instead of the system's"),
        Setting(
            "verify",
            bool,
            "check the servers' certificates and names; false lets anyone in between read the credentials and all mail",
            default=True,
        ),
    ),
    credentials=(OAUTH_FORM, SERVICE_ACCOUNT_FORM),
    parser="connectors.gmail.settings:parse_settings",
)
