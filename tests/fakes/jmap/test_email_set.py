"""Email/set, Email/import and Email/changes."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, Quirk

MESSAGE = b"Subject: x\r\n\r\nText\r\n"


def quirks(*names: Quirk) -> FakeOptions:
    return FakeOptions(quirks=frozenset(names))


async def test_patches_merge_and_whole_values_replace(fake: FakeJmap, client: Client) -> None:
    inbox, archive = fake.mailbox("INBOX").id, fake.mailbox("Archive").id
    patched = fake.deliver("INBOX", MESSAGE, keywords=["old", "a/b~c"])
    replaced = fake.deliver("INBOX", MESSAGE, keywords=["old"])
    reply = await client.call(
        "Email/set",
        update={
            patched: {
                "keywords/$Seen": True,
                "keywords/a~1b~0c": None,
                "keywords/none": None,
                f"mailboxIds/{archive}": True,
                f"mailboxIds/{inbox}": None,
                "size": len(MESSAGE),
            },
            replaced: {"keywords": {"$draft": True}, "mailboxIds": {archive: True}},
        },
    )
    assert reply["updated"] == {patched: None, replaced: None}
    assert reply["notUpdated"] is None
    assert fake.email(patched).keywords == {"old", "$seen"}
    assert fake.email(replaced).keywords == {"$draft"}
    assert {email.id for email in fake.emails_in("Archive")} == {patched, replaced}
    fake.assert_no_violations()


@pytest.mark.parametrize(
    ("patch", "kind", "is_violation"),
    [
        ({"mailboxIds/P1": None}, "invalidProperties", False),
        ({"mailboxIds/P999": True}, "invalidProperties", False),
        ({"mailboxIds": {}}, "invalidProperties", True),
        ({"mailboxIds": {"P1": False}}, "invalidProperties", True),
        ({"mailboxIds/P2": False}, "invalidProperties", True),
        ({"mailboxIds/a b": None}, "invalidProperties", True),
        ({"keywords/$seen": False}, "invalidProperties", True),
        ({"keywords/\\Seen": True}, "invalidProperties", True),
        ({"keywords": {"a b": True}}, "invalidProperties", True),
        ({"subject": "new"}, "invalidProperties", True),
        ({"color": "red"}, "invalidProperties", True),
        ({"size": 1}, "invalidProperties", True),
        ({"keywords": {}, "keywords/x": True}, "invalidPatch", True),
        ({"keywords/x/y": True}, "invalidPatch", True),
        ({"keywords/x~y": True}, "invalidPatch", True),
    ],
)
async def test_updates_that_are_refused(
    fake: FakeJmap, client: Client, patch: dict[str, Any], kind: str, is_violation: bool
) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    good = fake.deliver("INBOX", MESSAGE)
    reply = await client.call("Email/set", update={email_id: patch, good: {"keywords/ok": True}})
    assert reply["notUpdated"][email_id]["type"] == kind
    assert reply["updated"] == {good: None}
    assert (fake.email(email_id).mailbox_ids, fake.email(email_id).keywords) == ({"P1"}, set())
    assert bool(fake.violations) == is_violation


async def test_destroy_tells_what_was_and_was_not_there(fake: FakeJmap, client: Client) -> None:
    email_id = fake.deliver("INBOX", MESSAGE, also_in=["Archive"])
    blob_id = fake.email(email_id).blob_id
    reply = await client.call("Email/set", update={email_id: {"keywords/x": True}}, destroy=[email_id, "M0"])
    assert reply["destroyed"] == [email_id]
    assert reply["notDestroyed"] == {"M0": {"type": "notFound"}}
    assert reply["notUpdated"] == {email_id: {"type": "willDestroy"}}
    assert fake.emails_in("Archive") == []
    assert blob_id not in fake.account().blobs
    fake.assert_no_violations()


async def test_a_blob_shared_by_two_messages_stays(fake: FakeJmap, client: Client) -> None:
    first, second = fake.deliver("INBOX", MESSAGE), fake.deliver("Archive", MESSAGE)
    assert fake.email(first).blob_id == fake.email(second).blob_id
    await client.call("Email/set", destroy=[first])
    assert await client.download(fake.email(second).blob_id) == MESSAGE


async def test_messages_are_not_composed_here(client: Client) -> None:
    reply = await client.call("Email/set", create={"k": {"subject": "x"}})
    assert reply["notCreated"]["k"]["type"] == "forbidden"


async def test_if_in_state_guards_a_set(fake: FakeJmap, client: Client) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    state = (await client.call("Email/get", ids=[]))["state"]
    fake.set_keywords(email_id, add=["x"])
    update = {email_id: {"keywords/$seen": True}}
    assert (await client.call("Email/set", ifInState=state, update=update))["error"] == "stateMismatch"
    reply = await client.call("Email/set", ifInState=fake.account().state("Email"), update=update)
    assert reply["oldState"] != reply["newState"] == fake.account().state("Email")
    fake.assert_no_violations()


@pytest.mark.parametrize(
    "options", [FakeOptions(max_objects_in_set=2, max_mailboxes_per_email=1, max_keywords_per_email=2)]
)
async def test_limits_of_a_set(fake: FakeJmap, client: Client) -> None:
    ids = [fake.deliver("INBOX", MESSAGE) for _ in range(3)]
    reply = await client.call("Email/set", destroy=ids)
    assert reply["error"] == "requestTooLarge"
    reply = await client.call(
        "Email/set",
        update={
            ids[0]: {f"mailboxIds/{fake.mailbox('Archive').id}": True},
            ids[1]: {"keywords": {"a": True, "b": True, "c": True}},
        },
    )
    assert [error["type"] for error in reply["notUpdated"].values()] == ["tooManyMailboxes", "tooManyKeywords"]
    assert len(fake.violations) == 2


async def test_rights_are_enforced(fake: FakeJmap, client: Client) -> None:
    email_id = fake.deliver("INBOX", MESSAGE)
    inbox, archive = fake.mailbox("INBOX").id, fake.mailbox("Archive").id
    fake.deny("INBOX", "mayRemoveItems", "maySetSeen")
    fake.deny("Archive", "mayAddItems")
    for patch in ({"keywords/$seen": True}, {f"mailboxIds/{archive}": True}, {"mailboxIds": {archive: True}}):
        reply = await client.call("Email/set", update={email_id: patch})
        assert reply["notUpdated"][email_id]["type"] == "forbidden"
    assert (await client.call("Email/set", destroy=[email_id]))["notDestroyed"][email_id]["type"] == "forbidden"
    reply = await client.call("Email/set", update={email_id: {"keywords/$flagged": True}})
    assert reply["updated"] == {email_id: None}
    assert fake.email(email_id).mailbox_ids == {inbox}


async def test_what_may_not_be_read_is_not_seen(fake: FakeJmap, client: Client) -> None:
    hidden = fake.deliver("Archive", MESSAGE)
    shown = fake.deliver("Archive", MESSAGE, also_in=["INBOX"])
    fake.deny("Archive", "mayReadItems")
    assert (await client.call("Email/query", filter={"inMailbox": fake.mailbox("Archive").id}))["ids"] == []
    assert (await client.call("Email/query"))["ids"] == [shown]
    reply = await client.call("Email/get", ids=[hidden, shown], properties=["mailboxIds"])
    assert reply["list"] == [{"id": shown, "mailboxIds": {fake.mailbox("INBOX").id: True}}]
    assert reply["notFound"] == [hidden]
    with pytest.raises(ValueError, match="unknown right"):
        fake.deny("Archive", "mayDance")


async def test_planned_failures_hit_single_objects(fake: FakeJmap, client: Client) -> None:
    ids = [fake.deliver("INBOX", MESSAGE) for _ in range(3)]
    fake.fail_next("Email/set", "set-error", error="rateLimit", skip=1)
    reply = await client.call("Email/set", update={email_id: {"keywords/$seen": True} for email_id in ids})
    assert reply["notUpdated"][ids[1]]["type"] == "rateLimit"
    assert list(reply["updated"]) == [ids[0], ids[2]]


# -- import ------------------------------------------------------------------------------------------------------------


async def imported(client: Client, data: bytes, **values: Any) -> dict[str, Any]:
    blob_id = await client.upload(data)
    emails = {"k": {"blobId": blob_id, "mailboxIds": {"P1": True}, **values}}
    reply = await client.call("Email/import", emails=emails)
    outcome: dict[str, Any] = (reply["created"] or reply["notCreated"])["k"]
    return outcome


async def test_an_import_keeps_octets_keywords_and_date(fake: FakeJmap, client: Client) -> None:
    made = await imported(client, MESSAGE, keywords={"$Seen": True}, receivedAt="2020-02-02T02:02:02Z")
    email = fake.email(made["id"])
    assert (email.keywords, email.received_at.isoformat()) == ({"$seen"}, "2020-02-02T02:02:02+00:00")
    assert made["size"] == len(MESSAGE)
    assert await client.download(made["blobId"]) == MESSAGE
    fake.assert_no_violations()


async def test_without_a_date_the_newest_received_field_gives_it(fake: FakeJmap, client: Client) -> None:
    data = b"Received: a; Mon, 1 Jan 2024 10:00:00 +0100\r\nReceived: b; Mon, 1 Jan 2024 09:00:00 +0100\r\n\r\n"
    made = await imported(client, data)
    assert fake.email(made["id"]).received_at.isoformat() == "2024-01-01T09:00:00+00:00"


@pytest.mark.parametrize(
    ("values", "kind", "is_violation"),
    [
        ({"blobId": "Gnone"}, "invalidProperties", False),
        ({"blobId": None}, "invalidProperties", True),
        ({"mailboxIds": {}}, "invalidProperties", True),
        ({"mailboxIds": {"P999": True}}, "invalidProperties", False),
        ({"mailboxIds": ["P1"]}, "invalidProperties", True),
        ({"keywords": {"\\Seen": True}}, "invalidProperties", True),
        ({"receivedAt": "2020-02-02T02:02:02+01:00"}, "invalidProperties", True),
        ({"threadId": "T1"}, "invalidProperties", True),
    ],
)
async def test_imports_that_are_refused(
    fake: FakeJmap, client: Client, values: dict[str, Any], kind: str, is_violation: bool
) -> None:
    assert (await imported(client, MESSAGE, **values))["type"] == kind
    assert bool(fake.violations) == is_violation
    assert fake.emails_in("INBOX") == []


async def test_what_is_no_message_is_refused(client: Client) -> None:
    assert (await imported(client, b"no header at all"))["type"] == "invalidEmail"


async def test_duplicates_are_allowed_unless_the_options_forbid(fake: FakeJmap, client: Client) -> None:
    first = await imported(client, MESSAGE)
    second = await imported(client, MESSAGE)
    assert first["id"] != second["id"]
    assert first["blobId"] == second["blobId"]
    fake.configure(quirks=frozenset({Quirk.FORBID_DUPLICATES}))
    third = await imported(client, MESSAGE)
    assert (third["type"], third["existingId"]) == ("alreadyExists", first["id"])
    await client.call("Email/set", destroy=[first["id"], second["id"]])
    assert "id" in await imported(client, MESSAGE)
    fake.assert_no_violations()


@pytest.mark.parametrize("options", [quirks(Quirk.IMPORT_REPAIRS)])
async def test_an_import_may_be_repaired(fake: FakeJmap, client: Client) -> None:
    blob_id = await client.upload(b"Subject: x\n\nab\0c\n")
    made = await imported(client, b"Subject: x\n\nab\0c\n")
    assert made["blobId"] != blob_id
    assert await client.download(made["blobId"]) == b"Subject: x\r\n\r\nabc\r\n"
    assert made["size"] == len(b"Subject: x\r\n\r\nabc\r\n")


@pytest.mark.parametrize("options", [FakeOptions(quota_octets=50, quota_messages=9)])
async def test_quota_is_told_and_enforced(fake: FakeJmap, client: Client) -> None:
    assert "id" in await imported(client, MESSAGE)
    using = ("urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail", "urn:ietf:params:jmap:quota")
    reply = await client.call("Quota/get", using=using, ids=None, properties=["used", "hardLimit", "resourceType"])
    assert reply["list"] == [
        {"id": "storage", "resourceType": "octets", "used": len(MESSAGE), "hardLimit": 50},
        {"id": "messages", "resourceType": "count", "used": 1, "hardLimit": 9},
    ]
    assert (await imported(client, MESSAGE + b"x" * 30))["type"] == "overQuota"
    changed = await client.call("Quota/changes", using=using, sinceState="q0")
    assert changed["updated"] == ["storage"]
    fake.assert_no_violations()


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_changes_lead_from_state_to_state(fake: FakeJmap, client: Client) -> None:
    gone, stays = fake.deliver("INBOX", MESSAGE), fake.deliver("INBOX", MESSAGE)
    state = (await client.call("Email/get", ids=[]))["state"]
    new = fake.deliver("INBOX", MESSAGE)
    fake.set_keywords(stays, add=["$seen"])
    fake.remove(gone)
    reply = await client.call("Email/changes", sinceState=state)
    assert (reply["created"], reply["updated"], reply["destroyed"]) == ([new], [stays], [gone])
    assert reply["hasMoreChanges"] is False
    assert reply["newState"] == (await client.call("Email/get", ids=[]))["state"]
    first = await client.call("Email/changes", sinceState=state, maxChanges=1)
    assert (first["created"], first["hasMoreChanges"]) == ([new], True)
    fake.assert_no_violations()


@pytest.mark.parametrize("options", [FakeOptions(changes_clamp=1)])
async def test_the_server_may_clamp_changes(fake: FakeJmap, client: Client) -> None:
    for _ in range(2):
        fake.deliver("INBOX", MESSAGE)
    for most in (None, 500):
        reply = await client.call("Email/changes", sinceState="e0", maxChanges=most)
        assert (len(reply["created"]), reply["hasMoreChanges"]) == (1, True)


@pytest.mark.parametrize(
    ("options", "kind", "violations"),
    [
        (FakeOptions(), "cannotCalculateChanges", 0),
        (quirks(Quirk.INVALID_ARGUMENTS_FOR_BAD_STATE), "invalidArguments", 0),
        (quirks(Quirk.CANNOT_CALCULATE_CHANGES), "cannotCalculateChanges", 0),
    ],
)
async def test_a_forgotten_state_is_an_error_of_its_kind(
    fake: FakeJmap, client: Client, kind: str, violations: int
) -> None:
    state = fake.account().state("Email")
    fake.expire_states()
    assert (await client.call("Email/changes", sinceState=state))["error"] == kind
    assert len(fake.violations) == violations


@pytest.mark.parametrize("options", [quirks(Quirk.ENDLESS_CHANGES)])
async def test_changes_may_never_end(fake: FakeJmap, client: Client) -> None:
    fake.deliver("INBOX", MESSAGE)
    reply = await client.call("Email/changes", sinceState="e0")
    assert (reply["newState"], reply["hasMoreChanges"]) == ("e0", True)


@pytest.mark.parametrize("options", [quirks(Quirk.THREAD_IS_EMAIL)])
async def test_each_message_may_be_a_thread(fake: FakeJmap, client: Client) -> None:
    made = await imported(client, MESSAGE)
    assert made["threadId"] == made["id"]
