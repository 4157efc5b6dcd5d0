"""Mailbox/get, /query, /changes and /set."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, Quirk

MESSAGE = b"Subject: x\r\n\r\n"
COUNTS = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]


async def mailbox(client: Client, mailbox_id: str) -> dict[str, Any]:
    reply = await client.call("Mailbox/get", ids=[mailbox_id])
    item: dict[str, Any] = reply["list"][0]
    return item


async def test_the_account_starts_with_the_usual_mailboxes(fake: FakeJmap, client: Client) -> None:
    reply = await client.call("Mailbox/get", ids=None, properties=["name", "role"])
    assert [(item["name"], item["role"]) for item in reply["list"]] == [
        ("Inbox", "inbox"),
        ("Archive", "archive"),
        ("Drafts", "drafts"),
        ("Junk", "junk"),
        ("Sent", "sent"),
        ("Trash", "trash"),
    ]
    assert (await client.call("Mailbox/get", ids=["P1", "P999"]))["notFound"] == ["P999"]
    fake.assert_no_violations()


async def test_counts_follow_the_messages(fake: FakeJmap, client: Client) -> None:
    first = fake.deliver("INBOX", b"Message-ID: <1@x>\r\n\r\n")
    second = fake.deliver("INBOX", b"Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n\r\n", also_in=["Archive"])
    fake.deliver("INBOX", b"Message-ID: <3@x>\r\n\r\n", keywords=["$seen"])
    inbox = await mailbox(client, fake.mailbox("INBOX").id)
    assert [inbox[name] for name in COUNTS] == [3, 2, 2, 1]
    fake.set_keywords(first, add=["$seen"])
    fake.set_keywords(second, add=["$draft"])
    inbox = await mailbox(client, fake.mailbox("INBOX").id)
    assert [inbox[name] for name in COUNTS] == [3, 0, 2, 0]
    fake.remove(second)
    archive = await mailbox(client, fake.mailbox("Archive").id)
    assert [archive[name] for name in COUNTS] == [0, 0, 0, 0]


async def test_a_tree_is_made_in_one_call(fake: FakeJmap, client: Client) -> None:
    reply = await client.call(
        "Mailbox/set",
        create={
            "b": {"name": "b", "parentId": "#a", "isSubscribed": False},
            "a": {"name": "a/with slash", "role": "important"},
        },
    )
    made = fake.mailbox(("a/with slash", "b"))
    assert reply["created"]["b"]["id"] == made.id
    assert reply["created"]["b"]["myRights"]["mayRename"] is True
    assert "name" not in reply["created"]["b"]
    assert not made.is_subscribed
    assert fake.mailbox(("a/with slash",)).role == "important"
    fake.assert_no_violations()


@pytest.mark.parametrize(
    ("values", "kind", "properties", "is_violation"),
    [
        ({"name": "Archive"}, "invalidProperties", ["name"], False),
        ({"name": ""}, "invalidProperties", ["name"], False),
        ({"name": "x" * 256}, "invalidProperties", ["name"], False),
        ({"name": "a\tb"}, "invalidProperties", ["name"], False),
        ({"name": "u\u0308"}, "invalidProperties", ["name"], True),
        ({"name": 5}, "invalidProperties", ["name"], True),
        ({}, "invalidProperties", ["name"], True),
        ({"name": "x", "parentId": "P999"}, "invalidProperties", ["parentId"], False),
        ({"name": "x", "role": "sent"}, "invalidProperties", ["role"], False),
        ({"name": "x", "role": "nonsense"}, "invalidProperties", ["role"], True),
        ({"name": "x", "totalEmails": 0}, "invalidProperties", ["totalEmails"], True),
        ({"name": "x", "color": "red"}, "invalidProperties", ["color"], True),
    ],
)
async def test_what_cannot_be_made(
    fake: FakeJmap, client: Client, values: dict[str, Any], kind: str, properties: list[str], is_violation: bool
) -> None:
    reply = await client.call("Mailbox/set", create={"k": values})
    error = reply["notCreated"]["k"]
    assert (error["type"], error["properties"]) == (kind, properties)
    assert reply["created"] is None
    assert reply["oldState"] == reply["newState"]
    assert bool(fake.violations) == is_violation


@pytest.mark.parametrize(
    "options", [FakeOptions(max_mailbox_depth=2, may_create_top_level=False, forbidden_in_names=".")]
)
async def test_policies_of_the_options_hold(fake: FakeJmap, client: Client) -> None:
    inbox = fake.mailbox("INBOX").id
    deep = fake.create_mailbox("Inbox/deep")
    reply = await client.call(
        "Mailbox/set",
        create={
            "top": {"name": "x"},
            "deep": {"name": "x", "parentId": deep},
            "dot": {"name": "a.b", "parentId": inbox},
            "good": {"name": "x", "parentId": inbox},
        },
    )
    assert {key: error["type"] for key, error in reply["notCreated"].items()} == {
        "top": "forbidden",
        "deep": "invalidProperties",
        "dot": "invalidProperties",
    }
    assert list(reply["created"]) == ["good"]


async def test_a_rename_keeps_id_and_children(fake: FakeJmap, client: Client) -> None:
    child = fake.create_mailbox("one/two/three")
    two, archive = fake.mailbox("one/two").id, fake.mailbox("Archive").id
    reply = await client.call("Mailbox/set", update={two: {"name": "zwei", "parentId": archive}})
    assert reply["updated"] == {two: None}
    assert fake.mailbox("Archive/zwei/three").id == child
    fake.assert_no_violations()


async def test_a_mailbox_cannot_be_put_below_itself_or_over_another(fake: FakeJmap, client: Client) -> None:
    fake.create_mailbox("one/two")
    fake.create_mailbox("two")
    one, two = fake.mailbox("one").id, fake.mailbox("one/two").id
    reply = await client.call("Mailbox/set", update={one: {"parentId": two}, two: {"parentId": None}})
    assert reply["notUpdated"][one]["properties"] == ["parentId"]
    assert reply["notUpdated"][two]["properties"] == ["name"]
    fake.assert_no_violations()


async def test_updates_that_are_refused(fake: FakeJmap, client: Client) -> None:
    inbox, archive, sent = (fake.mailbox(name).id for name in ("INBOX", "Archive", "Sent"))
    reply = await client.call(
        "Mailbox/set",
        update={
            inbox: {"name": "Other"},
            archive: {"totalEmails": 5},
            sent: {"name": "x"},
            "P999": {"name": "x"},
        },
        destroy=[sent],
    )
    assert {key: error["type"] for key, error in reply["notUpdated"].items()} == {
        inbox: "forbidden",
        archive: "invalidProperties",
        sent: "willDestroy",
        "P999": "notFound",
    }
    assert reply["destroyed"] == [sent]


async def test_a_full_mailbox_is_destroyed_only_if_said_so(fake: FakeJmap, client: Client) -> None:
    parent, child = (fake.create_mailbox(path) for path in ("p", "p/c"))
    only_here = fake.deliver("p/c", MESSAGE)
    also_there = fake.deliver("p/c", MESSAGE + b"2", also_in=["Archive"])
    reply = await client.call("Mailbox/set", destroy=[parent, child, fake.mailbox("INBOX").id, "P999"])
    assert [error["type"] for error in reply["notDestroyed"].values()] == [
        "mailboxHasChild",
        "mailboxHasEmail",
        "forbidden",
        "notFound",
    ]
    reply = await client.call("Mailbox/set", destroy=[child, parent], onDestroyRemoveEmails=True)
    assert reply["destroyed"] == [child, parent]
    assert only_here not in fake.account().emails
    assert fake.email(also_there).mailbox_ids == {fake.mailbox("Archive").id}
    fake.assert_no_violations()


async def test_changes_tell_counts_apart_from_the_rest(fake: FakeJmap, client: Client) -> None:
    state = (await client.call("Mailbox/get", ids=[]))["state"]
    fake.deliver("INBOX", MESSAGE)
    reply = await client.call("Mailbox/changes", sinceState=state)
    assert reply["updated"] == [fake.mailbox("INBOX").id]
    assert sorted(reply["updatedProperties"]) == sorted(COUNTS)
    fake.rename_mailbox("Archive", "Old mail")
    reply = await client.call("Mailbox/changes", sinceState=state)
    assert set(reply["updated"]) == {fake.mailbox("INBOX").id, fake.mailbox("Old mail").id}
    assert reply["updatedProperties"] is None


async def test_changed_properties_can_be_had_by_reference(fake: FakeJmap, client: Client) -> None:
    state = (await client.call("Mailbox/get", ids=[]))["state"]
    fake.deliver("INBOX", MESSAGE)
    replies = await client.calls(
        ["Mailbox/changes", {"accountId": client.account_id, "sinceState": state}, "c"],
        [
            "Mailbox/get",
            {
                "accountId": client.account_id,
                "#ids": {"resultOf": "c", "name": "Mailbox/changes", "path": "/updated"},
                "#properties": {"resultOf": "c", "name": "Mailbox/changes", "path": "/updatedProperties"},
            },
            "g",
        ],
    )
    assert replies[1][1]["list"] == [
        {"id": fake.mailbox("INBOX").id, **dict.fromkeys(COUNTS, 1)},
    ]


async def test_a_query_filters_and_sorts_as_a_tree(fake: FakeJmap, client: Client) -> None:
    fake.create_mailbox("b/a")
    fake.create_mailbox("a/b")
    ids = {path: fake.mailbox(path).id for path in ("a", "a/b", "b", "b/a")}
    reply = await client.call(
        "Mailbox/query",
        filter={"hasAnyRole": False},
        sort=[{"property": "name"}],
        sortAsTree=True,
        calculateTotal=True,
    )
    assert reply["ids"] == [ids["a"], ids["a/b"], ids["b"], ids["b/a"]]
    assert reply["total"] == 4
    reply = await client.call("Mailbox/query", filter={"parentId": ids["a"]})
    assert reply["ids"] == [ids["a/b"]]
    reply = await client.call("Mailbox/query", filter={"name": "b"}, filterAsTree=True, sort=[{"property": "name"}])
    assert ids["a/b"] not in reply["ids"]
    assert ids["b"] in reply["ids"]
    wanted = {"operator": "NOT", "conditions": [{"role": "inbox"}, {"hasAnyRole": False}]}
    reply = await client.call("Mailbox/query", filter=wanted, limit=2, position=1, sort=[{"property": "name"}])
    assert reply["ids"] == [fake.mailbox("Drafts").id, fake.mailbox("Junk").id]
    fake.assert_no_violations()


async def test_quirks_of_mailboxes(fake: FakeJmap, client: Client) -> None:
    fake.configure(quirks=frozenset({Quirk.ROLES_FIXED, Quirk.SUBSCRIPTIONS_SILENT, Quirk.NO_UPDATED_PROPERTIES}))
    archive = fake.mailbox("Archive").id
    state = fake.account().state("Mailbox")
    reply = await client.call("Mailbox/set", update={archive: {"isSubscribed": False}})
    assert reply["updated"] == {archive: None}
    assert reply["newState"] == state
    assert (await mailbox(client, archive))["isSubscribed"] is False
    reply = await client.call("Mailbox/set", create={"k": {"name": "x", "role": "important"}})
    assert reply["notCreated"]["k"]["properties"] == ["role"]
    fake.deliver("INBOX", MESSAGE)
    assert (await client.call("Mailbox/changes", sinceState=state))["updatedProperties"] is None
