"""users.labels."""

from __future__ import annotations

from tests.fakes.gmail.calls import Call, Handler, Json
from tests.fakes.gmail.errors import invalid
from tests.fakes.gmail.labels import Label
from tests.fakes.gmail.mailbox import Mailbox

_VISIBILITIES = ("labelListVisibility", "messageListVisibility")


def handlers() -> dict[str, Handler]:
    """Return the handlers of this module by method id."""
    return {
        "gmail.users.labels.list": list_labels,
        "gmail.users.labels.get": get,
        "gmail.users.labels.create": create,
        "gmail.users.labels.patch": change,
        "gmail.users.labels.update": change,
        "gmail.users.labels.delete": delete,
    }


def list_labels(call: Call) -> Json:
    """Answer all labels, without counts."""
    return {"labels": [label.resource() for label in call.mailbox.labels]}


def get(call: Call) -> Json:
    """Answer one label with its counts."""
    return _counted(call.mailbox, call.mailbox.labels.get(call.path["id"]))


def create(call: Call) -> Json:
    """Make a user label."""
    if "name" not in call.body:
        raise invalid("Label name is required")
    label = call.mailbox.labels.create(call.body["name"], _visibilities(call.body), call.body.get("color"))
    return label.resource()


def change(call: Call) -> Json:
    """Change what the body has (patch); update must have a name."""
    if call.method.id.endswith("update") and "name" not in call.body:
        raise invalid("Label name is required")
    if call.body.get("id", call.path["id"]) != call.path["id"]:
        raise invalid("Label id in the body does not agree with the request")
    found = call.mailbox.labels.change(
        call.path["id"], call.body.get("name"), _visibilities(call.body), call.body.get("color")
    )
    return found.resource()


def delete(call: Call) -> None:
    """Delete a user label; its messages stay."""
    call.mailbox.delete_label(call.path["id"])


def _visibilities(body: Json) -> dict[str, str]:
    return {name: body[name] for name in _VISIBILITIES if name in body}


def _counted(mailbox: Mailbox, label: Label) -> Json:
    messages = [mailbox.messages[number] for _, number in mailbox.index.newest_first(label.id, None)]
    unread = [message for message in messages if "UNREAD" in message.labels]
    return {
        **label.resource(),
        "messagesTotal": len(messages),
        "messagesUnread": len(unread),
        "threadsTotal": len({message.thread for message in messages}),
        "threadsUnread": len({message.thread for message in unread}),
    }
