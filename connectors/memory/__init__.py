"""A backend in the memory of the process: the reference for what a connector does, and for trying things out."""

from connectors.api.spec import ConnectorSpec, Setting

SPEC = ConnectorSpec(
    name="memory",
    title="Mail in memory, gone when the process ends",
    factory="connectors.memory.connector:build",
    settings=(
        Setting(
            "layout",
            str,
            "folders: a copy is a message of its own; items: ids stay when a message moves; labels: many mailboxes",
            default="folders",
            choices=("folders", "items", "labels"),
        ),
        Setting("uids", bool, "the backend keeps UIDs; with layout folders only", default=False),
        Setting(
            "listing",
            str,
            "what listings carry beside ids and flags: dates and sizes too, or nothing",
            default="full",
            choices=("full", "sparse"),
        ),
        Setting("lists_account", bool, "with layout labels: all messages can be listed at once", default=False),
        Setting("reports_tree", bool, "with layout labels: changes tell of mailboxes too", default=False),
        Setting(
            "bodies_vary", bool, "messages are composed anew, in other octets, each time they are read", default=False
        ),
        Setting("exact_headers", bool, "headers read alone are those of the message, octet for octet", default=True),
        Setting("gmail_ids", bool, "with layout labels: ids and search are like Gmail's", default=False),
        Setting("backend", str, "name of a shared backend, where the process keeps such", default=""),
    ),
    credentials=(),
)
