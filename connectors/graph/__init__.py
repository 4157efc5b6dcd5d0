"""Mail at Microsoft 365 and Outlook.com, over Microsoft Graph v1.0 (https://learn.microsoft.com/graph)."""

from connectors.api.credentials import CredentialField, CredentialForm
from connectors.api.spec import ConnectorSpec, Setting

_CLIENT_ID = CredentialField("client_id", "the application (client) ID of the app registration")
_TENANT = CredentialField("tenant", "the ID or a domain of the organisation")

CONSENT_FORM = CredentialForm(
    name="consent",
    title="an app registration of your own and what the user consented to",
    fields=(
        _CLIENT_ID,
        CredentialField(
            "tenant",
            "whose accounts may log in: an organisation's ID or domain, organizations, consumers, or common for all",
            is_required=False,
        ),
        CredentialField("client_secret", "a secret of the app, if it is a web app", is_secret=True, is_required=False),
        CredentialField("token_cache", "the tokens of the user's consent", is_secret=True, is_from_login=True),
    ),
    source="connectors.graph.tokens:consent_source",
    login="connectors.graph.login:log_in",
)

APP_SECRET_FORM = CredentialForm(
    name="app-secret",
    title="an app registration that may read mail by itself, and its secret",
    fields=(_CLIENT_ID, _TENANT, CredentialField("client_secret", "a secret of the app", is_secret=True)),
    source="connectors.graph.tokens:app_secret_source",
)

APP_CERTIFICATE_FORM = CredentialForm(
    name="app-certificate",
    title="an app registration that may read mail by itself, and its certificate",
    fields=(
        _CLIENT_ID,
        _TENANT,
        CredentialField(
            "certificate", "certificate and private key, as PEM or as a PFX file in base64", is_secret=True
        ),
        CredentialField("passphrase", "the passphrase of the private key", is_secret=True, is_required=False),
    ),
    source="connectors.graph.tokens:app_certificate_source",
)

TOKEN_FORM = CredentialForm(
    name="token",
    title="an access token, which is good for about an hour",
    fields=(
        CredentialField("access_token", "the access token", is_secret=True),
        CredentialField("imap_access_token", "another for IMAP, for append = imap", is_secret=True, is_required=False),
    ),
    source="connectors.graph.tokens:fixed_source",
)

SPEC = ConnectorSpec(
    name="graph",
    title="Microsoft 365 or Outlook.com, over Microsoft Graph",
    factory="connectors.graph.connector:make_connector",
    settings=(
        Setting(
            "cloud",
            str,
            "whose servers: global for Microsoft 365 and Outlook.com, or a national cloud",
            default="global",
            choices=("global", "us-gov", "us-dod", "china"),
        ),
        Setting("api_root", str, "address of Microsoft Graph with its version, if it is not the cloud's own"),
        Setting("authority", str, "where logins go to, without the tenant, if it is not the cloud's own"),
        Setting(
            "mailbox",
            str,
            "whose mail it is: an address or id, or me for whoever has logged in",
            default="me",
        ),
        Setting("max_concurrent", int, "requests at a time", default=4, minimum=1, maximum=64),
        Setting(
            "requests_per_10_minutes",
            int,
            "requests that the account may make in ten minutes, each in a batch counted",
            default=10_000,
            minimum=100,
        ),
        Setting(
            "append",
            str,
            "how messages are stored that are no drafts: rebuild makes them anew from their parts, draft leaves them "
            "drafts, refuse stores none, imap hands them as they are to Exchange's IMAP server",
            default="rebuild",
            choices=("rebuild", "draft", "refuse", "imap"),
        ),
        Setting("imap_host", str, "Exchange's IMAP server for append = imap, if it is not the cloud's own"),
        Setting("imap_port", int, "its port, with TLS", default=993, minimum=1, maximum=65535),
        Setting(
            "expunge",
            str,
            "what happens to a message that is expunged: it goes to Deleted Items (and is deleted there), is deleted, "
            "or is deleted beyond recovery",
            default="trash",
            choices=("trash", "delete", "permanent"),
        ),
        Setting(
            "labels",
            str,
            "the categories that stand for $label1 to $label5, with commas between",
            default="Important,Work,Personal,To Do,Later",
        ),
        Setting("hidden", bool, "show hidden folders", default=False),
        Setting("poll_interval_s", float, "seconds between looks for changes", default=60.0, minimum=1.0),
        Setting(
            "notification_url",
            str,
            "the https address on the Internet at which Graph may tell of changes; what comes there is to be passed on "
            "to notification_listen",
        ),
        Setting("notification_listen", str, "where to listen for what comes to notification_url: 127.0.0.1:8085"),
        Setting("timeout_s", float, "seconds of silence after which to give up", default=60.0, minimum=0.1),
        Setting("ca_file", str, "certificates (PEM) to trust instead of the system's"),
        Setting(
            "verify",
            bool,
            "check the servers' certificates and names; false lets anyone in between read the credentials and all mail",
            default=True,
        ),
    ),
    credentials=(CONSENT_FORM, APP_SECRET_FORM, APP_CERTIFICATE_FORM, TOKEN_FORM),
    parser="connectors.graph.settings:parse_settings",
)
