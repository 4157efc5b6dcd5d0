"""The stand-in's own HTTP interface: what it counts, and what may be done to it, as JSON."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, cast

from tests.fakes.jmap.connections import Connections
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import EventSourceMode, Quirk, UrlStyle

Action = Callable[[FakeJmap, dict[str, Any]], object]


def stats_document(fake: FakeJmap, connections: Connections) -> dict[str, object]:
    """Return what GET /_fake/stats answers."""
    stats = fake.stats
    return {
        "requests": dict(stats.requests),
        "methods": dict(stats.methods),
        "errors": dict(stats.errors),
        "throttled": stats.throttled,
        "octets": {"in": stats.octets_in, "out": stats.octets_out},
        "objects": {
            "accounts": len(fake.accounts),
            "mailboxes": sum(len(account.mailboxes) for account in fake.accounts),
            "emails": sum(len(account.emails) for account in fake.accounts),
            "blobs": sum(len(account.blobs) for account in fake.accounts),
            "octets": sum(account.octets for account in fake.accounts),
        },
        "connections": {
            "open": len(connections.open),
            "opened": connections.opened,
            "event_streams": connections.push_streams,
            "websockets": connections.websockets,
        },
        "planned_failures": fake.faults.pending,
        "violations": [{"where": each.where, "detail": each.detail} for each in stats.violations],
    }


def act(fake: FakeJmap, document: object) -> dict[str, object]:
    """Do what a POST to /_fake/control asks for.

    Raises:
        ValueError, TypeError, KeyError: the action, an argument or what it names does not exist.
    """
    if not isinstance(document, dict) or not isinstance(document.get("action"), str):
        raise ValueError('an object with "action" is needed')
    arguments = cast(dict[str, Any], document)
    name = str(arguments["action"])
    action = ACTIONS.get(name)
    if action is None:
        raise ValueError(f"unknown action {name!r}; there are: {', '.join(sorted(ACTIONS))}")
    result = action(fake, {key: value for key, value in arguments.items() if key != "action"})
    return {"done": name, "result": result}


def _path(value: object) -> str | tuple[str, ...]:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(name, str) for name in value):
        return tuple(value)
    raise ValueError(f"{value!r} is no path: one string, or an array of names")


def _deliver(fake: FakeJmap, arguments: dict[str, Any]) -> object:
    if "received_at" in arguments:
        arguments["received_at"] = datetime.fromisoformat(arguments["received_at"])
    raw = str(arguments.pop("raw")).encode("utf-8") if "raw" in arguments else _short_message(arguments)
    return fake.deliver(_path(arguments.pop("mailbox", "INBOX")), raw, **arguments)


def _short_message(arguments: dict[str, Any]) -> bytes:
    subject = str(arguments.pop("subject", "A message"))
    text = str(arguments.pop("text", "Hello."))
    fields = f"From: sender@example.com\r\nTo: user@example.com\r\nSubject: {subject}\r\n"
    return (fields + f"\r\n{text}\r\n").encode("utf-8")


def _configure(fake: FakeJmap, arguments: dict[str, Any]) -> object:
    readers: dict[str, Callable[[Any], object]] = {
        "quirks": lambda value: frozenset(Quirk(name) for name in value),
        "event_source": EventSourceMode,
        "urls": UrlStyle,
    }
    if "users" in arguments or "read_only_accounts" in arguments:
        raise ValueError("users and their accounts are fixed at the start")
    fake.configure(**{key: readers[key](value) if key in readers else value for key, value in arguments.items()})
    return None


def _move(fake: FakeJmap, arguments: dict[str, Any]) -> object:
    paths = [_path(path) for path in arguments.pop("mailboxes")]
    fake.move(arguments.pop("id"), *paths, **arguments)
    return None


def _with_path(act_on: Callable[..., object]) -> Action:
    """Return an action whose `path` is that of a mailbox."""

    def action(fake: FakeJmap, arguments: dict[str, Any]) -> object:
        return act_on(fake, _path(arguments.pop("path")), **arguments)

    return action


def _with_id(act_on: Callable[..., object]) -> Action:
    def action(fake: FakeJmap, arguments: dict[str, Any]) -> object:
        return act_on(fake, str(arguments.pop("id")), **arguments)

    return action


def _plain(act_on: Callable[..., object]) -> Action:
    return lambda fake, arguments: act_on(fake, **arguments)


def _hold(fake: FakeJmap, arguments: dict[str, Any]) -> object:
    fake.hold(str(arguments["where"]))
    return None


def _rename(fake: FakeJmap, arguments: dict[str, Any]) -> object:
    fake.rename_mailbox(_path(arguments.pop("path")), _path(arguments.pop("new_path")), **arguments)
    return None


ACTIONS: dict[str, Action] = {
    "deliver": _deliver,
    "delete": _with_id(FakeJmap.remove),
    "set_keywords": _with_id(FakeJmap.set_keywords),
    "move": _move,
    "create_mailbox": _with_path(FakeJmap.create_mailbox),
    "rename_mailbox": _rename,
    "delete_mailbox": _with_path(FakeJmap.delete_mailbox),
    "subscribe": _with_path(FakeJmap.subscribe),
    "expire_states": _plain(FakeJmap.expire_states),
    "throttle": _plain(FakeJmap.throttle),
    "fail": _plain(FakeJmap.fail_next),
    "clear_faults": _plain(FakeJmap.clear_faults),
    "hold": _hold,
    "release": _plain(FakeJmap.release_all),
    "drop_connections": _plain(FakeJmap.drop_connections),
    "configure": _configure,
    "move_session": _plain(FakeJmap.move_session),
    "change_session": _plain(FakeJmap.change_session),
    "change_credentials": _plain(FakeJmap.change_credentials),
    "reset_stats": lambda fake, arguments: fake.stats.reset(),
}
