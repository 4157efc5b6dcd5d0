"""What makes a whole request, or a call for its form alone, fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.fakes.jmap.capabilities import CORE, MAIL, SUBMISSION
from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions

ECHO = ["Core/echo", {"x": 1}, "e"]


def request(*calls: Any, using: tuple[str, ...] = (CORE, MAIL), **more: Any) -> dict[str, Any]:
    return {"using": list(using), "methodCalls": list(calls), **more}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "notJSON"),
        (b'{"using": [], "using": [], "methodCalls": []}', "notJSON"),
        (b'{"using": [NaN], "methodCalls": []}', "notJSON"),
        (b'{"using": ["\\ud800"], "methodCalls": []}', "notJSON"),
        (b'{"using": ["\xff"], "methodCalls": []}', "notJSON"),
        ([], "notRequest"),
        ({"using": [CORE]}, "notRequest"),
        ({"methodCalls": []}, "notRequest"),
        ({"using": CORE, "methodCalls": []}, "notRequest"),
        (request(["Core/echo", {}]), "notRequest"),
        (request(["Core/echo", [], "c"]), "notRequest"),
        (request(["Core/echo", {}, 1]), "notRequest"),
        (request(extra=1), "notRequest"),
        (request(createdIds={"k": "#k"}), "notRequest"),
        (request(using=(CORE, "urn:example:none")), "unknownCapability"),
    ],
)
async def test_a_request_of_a_wrong_form_is_refused(fake: FakeJmap, client: Client, body: Any, kind: str) -> None:
    reply = await client.post(body)
    assert reply.status_code == 400
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json()["type"] == f"urn:ietf:params:jmap:error:{kind}"
    assert [violation.where for violation in fake.violations] == ["api"]


async def test_another_content_type_is_refused(fake: FakeJmap, client: Client) -> None:
    reply = await client.post(b'{"using": [], "methodCalls": []}', **{"Content-Type": "text/plain"})
    assert reply.json()["type"].endswith("notJSON")
    reply = await client.post(
        b'{"using": [], "methodCalls": []}', **{"Content-Type": "Application/JSON; charset=utf-8"}
    )
    assert reply.status_code == 200
    assert len(fake.violations) == 1


async def test_echo_gives_back_its_arguments(fake: FakeJmap, client: Client) -> None:
    assert await client.calls(ECHO, using=(CORE,)) == [("Core/echo", {"x": 1}, "e")]
    fake.assert_no_violations()


@pytest.mark.parametrize(
    ("call", "using"),
    [
        (["Email/invent", {}, "c"], (CORE, MAIL)),
        (["Email/copy", {}, "c"], (CORE, MAIL)),
        (["Mailbox/get", {}, "c"], (CORE,)),
        (["Core/echo", {}, "c"], (MAIL,)),
        (["Identity/get", {}, "c"], (CORE, MAIL)),
    ],
)
async def test_methods_need_their_capability(
    fake: FakeJmap, client: Client, call: list[Any], using: tuple[str, ...]
) -> None:
    ((name, arguments, call_id),) = await client.calls(call, using=using)
    assert (name, arguments["type"], call_id) == ("error", "unknownMethod", "c")
    assert [violation.where for violation in fake.violations] == [call[0]]


@pytest.mark.parametrize(
    ("name", "arguments", "kind"),
    [
        ("Mailbox/get", {}, "invalidArguments"),
        ("Mailbox/get", {"accountId": "{accountId}"}, "invalidArguments"),
        ("Mailbox/get", {"accountId": "A999"}, "accountNotFound"),
        ("Mailbox/get", {"accountId": "A001", "ids": ["no id"]}, "invalidArguments"),
        ("Mailbox/get", {"accountId": "A001", "ids": "P1"}, "invalidArguments"),
        ("Mailbox/get", {"accountId": "A001", "properties": ["subject"]}, "invalidArguments"),
        ("Mailbox/get", {"accountId": "A001", "id": None}, "invalidArguments"),
        ("Mailbox/query", {"accountId": "A001", "filter": {"x": 1}}, "invalidArguments"),
        ("Mailbox/query", {"accountId": "A001", "sort": [{"property": "size"}]}, "unsupportedSort"),
        ("Mailbox/set", {"accountId": "A001", "create": []}, "invalidArguments"),
        ("Email/get", {"accountId": "A001", "ids": [], "properties": ["header:From:asDate"]}, "invalidArguments"),
        ("Email/get", {"accountId": "A001", "ids": [], "properties": ["header:From:asX"]}, "invalidArguments"),
        ("Email/get", {"accountId": "A001", "ids": [], "bodyProperties": ["x"]}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "filter": {"inMailbox": 1}}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "filter": {"after": "2024-01-01"}}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "filter": {"operator": "XOR", "conditions": []}}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "filter": {"operator": "AND"}}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "sort": [{"property": "id"}]}, "unsupportedSort"),
        ("Email/query", {"accountId": "A001", "sort": [{"property": "receivedAt", "up": 1}]}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "sort": [{"property": "hasKeyword"}]}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "limit": -1}, "invalidArguments"),
        ("Email/query", {"accountId": "A001", "position": 1.5}, "invalidArguments"),
        ("Email/changes", {"accountId": "A001"}, "invalidArguments"),
        ("Email/changes", {"accountId": "A001", "sinceState": "e0", "maxChanges": 0}, "invalidArguments"),
        ("Email/set", {"accountId": "A001", "update": {"a b": {}}}, "invalidArguments"),
        ("Email/set", {"accountId": "A001", "update": {"M1": None}}, "invalidArguments"),
        ("Email/set", {"accountId": "A001", "onDestroyRemoveEmails": True}, "invalidArguments"),
        ("Email/import", {"accountId": "A001"}, "invalidArguments"),
    ],
)
async def test_wrong_arguments_are_refused_and_taken_down(
    fake: FakeJmap, client: Client, name: str, arguments: dict[str, Any], kind: str
) -> None:
    ((reply, result, _),) = await client.calls([name, arguments, "c"])
    assert (reply, result["type"]) == ("error", kind)
    assert [violation.where for violation in fake.violations] == [name]


async def test_a_failed_call_does_not_stop_the_others(client: Client) -> None:
    replies = await client.calls(["Mailbox/get", {"accountId": "A999"}, "1"], ECHO)
    assert [reply[0] for reply in replies] == ["error", "Core/echo"]


async def test_what_refers_to_a_failed_call_fails_without_blame(fake: FakeJmap, client: Client) -> None:
    fake.fail_next("Email/query", "method-error", error="serverUnavailable")
    replies = await client.calls(
        ["Email/query", {"accountId": client.account_id}, "q"],
        [
            "Email/get",
            {
                "accountId": client.account_id,
                "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"},
            },
            "g",
        ],
    )
    assert [reply[1]["type"] for reply in replies] == ["serverUnavailable", "invalidResultReference"]
    fake.assert_no_violations()


async def test_created_ids_reach_over_calls_and_requests(fake: FakeJmap, client: Client) -> None:
    account_id = client.account_id
    blob_id = await client.upload(b"Subject: x\r\n\r\n")
    import_ = {"k": {"blobId": blob_id, "mailboxIds": {"#m": True}}}
    reply = await client.post(
        request(
            ["Mailbox/set", {"accountId": account_id, "create": {"m": {"name": "New"}}}, "1"],
            ["Email/import", {"accountId": account_id, "emails": import_}, "2"],
            createdIds={},
        )
    )
    created = reply.json()["createdIds"]
    assert created == {"m": fake.mailbox("New").id, "k": fake.emails_in("New")[0].id}
    reply = await client.post(
        request(
            ["Email/set", {"accountId": account_id, "update": {"#k": {"keywords/$seen": True}}}, "1"],
            createdIds=created,
        )
    )
    assert fake.emails_in("New")[0].keywords == {"$seen"}
    fake.assert_no_violations()


@pytest.mark.parametrize("options", [FakeOptions(max_calls_in_request=2, max_size_request=500)])
async def test_calls_and_size_of_a_request_are_bounded(fake: FakeJmap, client: Client) -> None:
    reply = await client.post(request(ECHO, ECHO, ECHO))
    assert (reply.status_code, reply.json()["limit"]) == (400, "maxCallsInRequest")
    reply = await client.post(request(["Core/echo", {"x": "y" * 500}, "e"]))
    assert (reply.status_code, reply.json()["limit"]) == (400, "maxSizeRequest")
    assert len(fake.violations) == 2


@pytest.mark.parametrize("options", [FakeOptions(max_concurrent_requests=1)])
async def test_requests_at_a_time_are_bounded(fake: FakeJmap, client: Client) -> None:
    gate = fake.hold("Core/echo")
    first = asyncio.create_task(client.calls(ECHO))
    await gate.arrived()
    reply = await client.post(request(ECHO))
    assert reply.json()["limit"] == "maxConcurrentRequests"
    gate.release()
    assert (await first)[0][0] == "Core/echo"
    assert (await client.post(request(ECHO))).status_code == 200


async def test_calls_are_counted_by_name(fake: FakeJmap, client: Client) -> None:
    await client.calls(ECHO, ECHO, ["Mailbox/get", {"accountId": "A999"}, "1"])
    assert fake.stats.methods == {"Core/echo": 2, "Mailbox/get": 1}
    assert fake.stats.errors == {"accountNotFound": 1}
    assert [(call.name, call.error) for call in fake.stats.calls][-1] == ("Mailbox/get", "accountNotFound")


async def test_identities_are_told(fake: FakeJmap, client: Client) -> None:
    reply = await client.call("Identity/get", using=(CORE, SUBMISSION), properties=["email"])
    assert reply["list"] == [{"id": "I1", "email": "alice@example.com"}]
    fake.assert_no_violations()
