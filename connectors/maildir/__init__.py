"""Maildir and Maildir++ on a local disk, shared with Dovecot and other programs."""

from connectors.api.spec import ConnectorSpec, Setting

SPEC = ConnectorSpec(
    name="maildir",
    title="Maildir on a local disk",
    factory="connectors.maildir.connector:build",
    settings=(
        Setting("path", str, "directory of the Maildir; ~ is the home directory", is_required=True),
        Setting(
            "create",
            bool,
            "create the Maildir if it is not there; say false for a disk that may not be mounted",
            default=True,
        ),
        Setting(
            "layout",
            str,
            "maildir++: folders named .Work.2024 beside cur; fs: folders in folders, as Dovecot's LAYOUT=fs",
            default="maildir++",
            choices=("maildir++", "fs"),
        ),
        Setting("fsync", bool, "wait for the disk before a write counts as done", default=True),
    ),
    credentials=(),
)
