"""Mail at a JMAP server (RFC 8620, RFC 8621)."""

from connectors.api.forms import PASSWORD_FORM, TOKEN_FORM
from connectors.api.spec import ConnectorSpec, Setting

SPEC = ConnectorSpec(
    name="jmap",
    title="A JMAP server",
    factory="connectors.jmap.connector:make_connector",
    settings=(
        Setting("url", str, "address of the session document, or of the server that has it at /.well-known/jmap"),
        Setting("domain", str, "instead of url: the part behind the @, whose DNS names the server"),
        Setting("ca_file", str, "certificates (PEM) to trust instead of the system's"),
        Setting(
            "verify",
            bool,
            "check the server's certificate and name; false lets anyone in between read the credentials and all mail",
            default=True,
        ),
        Setting("timeout_s", float, "seconds of silence after which to give up", default=60.0, minimum=0.1),
        Setting("poll_interval_s", float, "seconds between looks where there is no push", default=60.0, minimum=1.0),
        Setting(
            "push",
            str,
            "how to learn of changes at once; auto takes a WebSocket if there is one, else an event source, else polls",
            default="auto",
            choices=("auto", "eventsource", "websocket", "off"),
        ),
        Setting(
            "max_concurrent", int, "requests at a time, if the server allows so many", default=4, minimum=1, maximum=64
        ),
        Setting(
            "allowed_hosts",
            str,
            "hosts that get the credentials besides that of url or domain, separated by commas, as in '*.example.com'; "
            "if left out, those that the session document names",
        ),
        Setting("account_id", str, "which of several JMAP accounts of the login; its primary one for mail if left out"),
        Setting(
            "expunge",
            str,
            "where a message goes that is expunged from the last mailbox it is in; in Trash and Junk it is destroyed",
            default="trash",
            choices=("trash", "archive", "destroy"),
        ),
    ),
    credentials=(PASSWORD_FORM, TOKEN_FORM),
    parser="connectors.jmap.settings:parse_settings",
)
