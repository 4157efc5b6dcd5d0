"""Mail at another IMAP server."""

from connectors.api.spec import ConnectorSpec, Setting

SPEC = ConnectorSpec(
    name="imap",
    title="An IMAP server",
    factory="connectors.imap.connector:make_connector",
    settings=(
        Setting("host", str, "name or address of the IMAP server", is_required=True),
        Setting("port", int, "its port; 993 with tls implicit, else 143, if left out", minimum=1, maximum=65535),
        Setting(
            "tls",
            str,
            "implicit: TLS from the first octet; starttls: before login; none: passwords and mail go in the clear",
            default="implicit",
            choices=("none", "starttls", "implicit"),
        ),
        Setting("ca_file", str, "certificates (PEM) to trust instead of the system's"),
        Setting(
            "verify",
            bool,
            "check the server's certificate and name; false lets anyone in between read the password and all mail",
            default=True,
        ),
        Setting(
            "auth",
            str,
            "how to log in; auto picks the best that the server and the credentials allow",
            default="auto",
            choices=("auto", "login", "plain", "xoauth2", "oauthbearer"),
        ),
        Setting(
            "max_connections",
            int,
            "connections at a time, those that wait for news (IDLE) included; keep it below the server's limit",
            default=8,
            minimum=1,
            maximum=200,
        ),
        Setting("timeout_s", float, "seconds of silence after which to give up", default=60.0, minimum=0.1),
        Setting(
            "poll_interval_s",
            float,
            "seconds between looks at an unwatched mailbox",
            default=60.0,
            minimum=1.0,
        ),
        Setting("exclude", str, "mailboxes to leave out: patterns separated by commas, levels by /, as in 'Public/*'"),
    ),
)
