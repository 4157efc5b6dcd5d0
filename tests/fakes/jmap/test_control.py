"""The stand-in's own interface over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.control import ACTIONS
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.faults import FaultKind
from tests.fakes.jmap.options import EventSourceMode, Quirk, UrlStyle

MESSAGE = "Subject: raw\r\n\r\n"


async def control(client: Client, action: str, **arguments: Any) -> Any:
    """Do an action and return its result."""
    reply = await client.http.post(client.fake.origins.primary + "/_fake/control", json={"action": action, **arguments})
    assert reply.status_code == 200, reply.text
    assert reply.json()["done"] == action
    return reply.json()["result"]


async def stats(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = (await client.http.get(client.fake.origins.primary + "/_fake/stats")).json()
    return document


async def test_mail_can_be_changed_behind_a_clients_back(fake: FakeJmap, client: Client) -> None:
    first = await control(client, "deliver", subject="Hello", keywords=["$Seen"])
    assert fake.email(first).keywords == {"$seen"}
    assert (fake.email(first).content.field("subject") or b"").strip() == b"Hello"
    moment = "2020-01-01T00:00:00+00:00"
    second = await control(client, "deliver", raw=MESSAGE, mailbox=["Archive"], received_at=moment, user="alice")
    assert fake.email(second).received_at.isoformat() == moment
    await control(client, "set_keywords", id=second, add=["a", "b"], remove=["c"])
    assert fake.email(second).keywords == {"a", "b"}
    await control(client, "move", id=second, mailboxes=["INBOX", "Sent"])
    assert len(fake.email(second).mailbox_ids) == 2
    await control(client, "delete", id=first)
    assert first not in fake.account().emails
    await control(client, "create_mailbox", path="a/b")
    await control(client, "rename_mailbox", path="a/b", new_path=["a", "c/d"])
    await control(client, "subscribe", path=["a", "c/d"], is_subscribed=False)
    assert not fake.mailbox(("a", "c/d")).is_subscribed
    await control(client, "delete_mailbox", path="a")
    with pytest.raises(KeyError):
        fake.mailbox("a")


async def test_trouble_can_be_ordered(fake: FakeJmap, client: Client) -> None:
    await control(client, "fail", where="session", kind="status", status=500)
    assert (await client.http.get(fake.url)).status_code == 500
    await control(client, "throttle", times=1, status=503)
    assert (await client.http.get(fake.url)).status_code == 503
    state = fake.account().state("Email")
    await control(client, "expire_states")
    assert (await client.call("Email/changes", sinceState=state))["error"] == "cannotCalculateChanges"
    await control(client, "configure", quirks=["forbid-duplicates"], event_source="none-204", max_objects_in_get=3)
    assert fake.options.has(Quirk.FORBID_DUPLICATES)
    assert fake.options.max_objects_in_get == 3
    await control(client, "move_session")
    assert fake.url.endswith("/jmap/session-moved")
    for action in ("clear_faults", "drop_connections", "change_session", "release"):
        await control(client, action)
    await control(client, "hold", where="api")
    await control(client, "release")
    await control(client, "change_credentials", name="alice", token="new")
    assert (await client.http.get(fake.url)).status_code == 401


async def test_stats_count_what_happened(fake: FakeJmap, client: Client) -> None:
    fake.deliver("INBOX", b"Subject: x\r\n\r\n")
    await client.call("Mailbox/get", ids=["no id"])
    await client.upload(b"abc")
    document = await stats(client)
    assert document["requests"] == {"session": 1, "api": 1, "upload": 1}
    assert document["methods"] == {"Mailbox/get": 1}
    assert document["errors"] == {"invalidArguments": 1}
    assert document["objects"] == {"accounts": 2, "mailboxes": 12, "emails": 1, "blobs": 2, "octets": 14}
    assert document["connections"]["open"] == 1
    assert document["violations"][0]["where"] == "Mailbox/get"
    await control(client, "reset_stats")
    document = await stats(client)
    assert (document["requests"], document["violations"]) == ({}, [])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "Expecting"),
        (b"[]", "action"),
        (b"{}", "action"),
        (b'{"action": "explode"}', "unknown action 'explode'; there are: change_credentials, "),
        (b'{"action": "delete"}', "there is no 'id'"),
        (b'{"action": "delete", "id": "M0"}', "there is no 'M0'"),
        (b'{"action": "delete", "id": "M0", "now": true}', "unexpected keyword argument 'now'"),
        (b'{"action": "deliver", "mailbox": 5}', "5 is no path"),
        (b'{"action": "deliver", "mailbox": "Nowhere"}', "there is no 'Nowhere'"),
        (b'{"action": "fail", "where": "session", "kind": "odd"}', "'odd' is not a valid FaultKind"),
        (b'{"action": "configure", "color": "red"}', "unexpected keyword argument 'color'"),
        (b'{"action": "configure", "users": []}', "users and their accounts are fixed"),
        (b'{"action": "configure", "quirks": ["odd"]}', "'odd' is not a valid Quirk"),
    ],
)
async def test_wrong_actions_are_refused_with_their_reason(client: Client, body: bytes, reason: str) -> None:
    reply = await client.http.post(client.fake.origins.primary + "/_fake/control", content=body)
    assert reply.status_code == 400
    assert reason in reply.json()["error"]


def test_every_action_failure_and_quirk_is_documented() -> None:
    text = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert {name for name in ACTIONS if f"`{name}`" not in text} == set()
    for choices in (EventSourceMode, FaultKind, UrlStyle):
        assert {choice.value for choice in choices if f"`{choice.value}`" not in text} == set()
    assert {quirk.value for quirk in Quirk if f"`{quirk.value}`" not in text} == set()
