"""Email/get and Thread/get: properties of messages."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.corpus.generate import messages
from tests.fakes.jmap.client import Client
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions

HEADER = (
    b"Received: from a\r\n\tby b; Mon, 1 Jan 2024 10:00:00 +0100\r\n"
    b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.com>\r\n"
    b'To: Team: a@example.com, "B, C" <b@example.com>;, d@example.com\r\n'
    b"Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n =?utf-8?Q?_aus?= K\r\n"
    b"Message-ID: <1@example.com>\r\n"
    b"References: <a@x>\r\n <b@x>\r\n"
    b"Date: Mon, 1 Jan 2024 10:00:00 +0100\r\n"
    b"List-Unsubscribe: <mailto:x@example.com>, <https://example.com/>\r\n"
    b"X-Twice: one\r\nX-Twice:two\r\n"
    b"X-Octets: \xc3\xbc\xff\r\n"
)
MIXED = (
    b"Subject: parts\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n"
    b"--o\r\nContent-Type: multipart/alternative; boundary=i\r\n\r\n"
    b"--i\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\ngr\xfc\xdfe\r\n"
    b"--i\r\nContent-Type: text/html\r\n\r\n<p>gr&uuml;&szlig;e</p>\r\n--i--\r\n"
    b"--o\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Disposition: attachment\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n--o--\r\n"
)


async def get(client: Client, email_id: str, *properties: str, **more: Any) -> dict[str, Any]:
    reply = await client.call("Email/get", ids=[email_id], properties=list(properties), **more)
    item: dict[str, Any] = reply["list"][0]
    return item


async def test_metadata_is_exact(fake: FakeJmap, client: Client) -> None:
    data = HEADER + b"\r\nText\r\n"
    moment = datetime(2024, 1, 1, 9, 0, 5, tzinfo=UTC)
    email_id = fake.deliver("INBOX", data, keywords=["$Seen", "work"], received_at=moment, also_in=["Archive"])
    email = fake.email(email_id)
    names = ("blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
    assert await get(client, email_id, *names) == {
        "id": email_id,
        "blobId": email.blob_id,
        "threadId": email.thread_id,
        "mailboxIds": {fake.mailbox("INBOX").id: True, fake.mailbox("Archive").id: True},
        "keywords": {"$seen": True, "work": True},
        "size": len(data),
        "receivedAt": "2024-01-01T09:00:05Z",
    }
    assert await client.download(email.blob_id) == data
    fake.assert_no_violations()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("subject", "Grüße aus K"),
        ("from", [{"name": "Jörg", "email": "joerg@example.com"}]),
        ("messageId", ["1@example.com"]),
        ("references", ["a@x", "b@x"]),
        ("inReplyTo", None),
        ("sentAt", "2024-01-01T10:00:00+01:00"),
        ("cc", None),
        ("header:X-Twice", "two"),
        ("header:x-twice:all", [" one", "two"]),
        ("header:X-None:all", []),
        ("header:X-Octets:asRaw", " ü\ufffd"),
        ("header:Received:asRaw", " from a\r\n\tby b; Mon, 1 Jan 2024 10:00:00 +0100"),
        ("header:Subject:asText", "Grüße aus K"),
        ("header:List-Unsubscribe:asURLs", ["mailto:x@example.com", "https://example.com/"]),
        (
            "header:To:asGroupedAddresses",
            [
                {
                    "name": "Team",
                    "addresses": [{"name": None, "email": "a@example.com"}, {"name": "B, C", "email": "b@example.com"}],
                },
                {"name": None, "addresses": [{"name": None, "email": "d@example.com"}]},
            ],
        ),
    ],
)
async def test_header_fields_come_in_the_form_asked_for(
    fake: FakeJmap, client: Client, name: str, value: object
) -> None:
    email_id = fake.deliver("INBOX", HEADER + b"\r\n")
    assert (await get(client, email_id, name))[name] == value
    fake.assert_no_violations()


async def test_headers_give_every_field_octet_for_octet(fake: FakeJmap, client: Client) -> None:
    for message in messages(60, 5):
        email_id = fake.deliver("INBOX", message.data)
        fields = (await get(client, email_id, "headers"))["headers"]
        rebuilt = "".join(f"{field['name']}:{field['value']}\r\n" for field in fields).encode() + b"\r\n"
        assert message.data.startswith(rebuilt)


async def test_bodies_are_told_apart(fake: FakeJmap, client: Client) -> None:
    email_id = fake.deliver("INBOX", MIXED)
    names = ("textBody", "htmlBody", "attachments", "hasAttachment", "bodyValues", "preview", "bodyStructure")
    item = await get(client, email_id, *names, fetchAllBodyValues=True, bodyProperties=["partId", "type", "name"])
    assert item["textBody"] == [{"partId": "1", "type": "text/plain", "name": None}]
    assert item["htmlBody"] == [{"partId": "2", "type": "text/html", "name": None}]
    assert item["attachments"] == [{"partId": "3", "type": "application/pdf", "name": "a.pdf"}]
    assert item["hasAttachment"] is True
    assert item["bodyValues"]["1"] == {"value": "grüße", "isEncodingProblem": False, "isTruncated": False}
    assert item["preview"].startswith("grüße")
    assert [part["type"] for part in item["bodyStructure"]["subParts"]] == ["multipart/alternative", "application/pdf"]
    cut = await get(client, email_id, "bodyValues", fetchTextBodyValues=True, maxBodyValueBytes=4)
    assert cut["bodyValues"]["1"] == {"value": "grü", "isEncodingProblem": False, "isTruncated": True}
    fake.assert_no_violations()


async def test_every_generated_message_has_all_default_properties(fake: FakeJmap, client: Client) -> None:
    for message in messages(80, 9):
        fake.deliver("INBOX", message.data)
    reply = await client.call("Email/get", ids=None)
    assert len(reply["list"]) == 80
    assert all("preview" in item and "textBody" in item for item in reply["list"])


async def test_ids_that_are_gone_are_named(fake: FakeJmap, client: Client) -> None:
    email_id = fake.deliver("INBOX", MIXED)
    fake.remove(email_id)
    reply = await client.call("Email/get", ids=[email_id, email_id], properties=["id"])
    assert (reply["list"], reply["notFound"]) == ([], [email_id])


@pytest.mark.parametrize("options", [FakeOptions(max_objects_in_get=2)])
async def test_more_than_the_limit_is_too_large(fake: FakeJmap, client: Client) -> None:
    ids = [fake.deliver("INBOX", MIXED) for _ in range(3)]
    assert (await client.call("Email/get", ids=ids))["error"] == "requestTooLarge"
    assert len(fake.violations) == 1
    assert (await client.call("Email/get", ids=None))["error"] == "requestTooLarge"
    assert len((await client.call("Email/get", ids=ids[:2]))["list"]) == 2
    assert len(fake.violations) == 1


async def test_answers_share_the_thread_of_what_they_answer(fake: FakeJmap, client: Client) -> None:
    late = datetime(2024, 5, 1, tzinfo=UTC)
    answer = fake.deliver("INBOX", b"Message-ID: <2@x>\r\nIn-Reply-To: <1@x>\r\n\r\n", received_at=late)
    first = fake.deliver("INBOX", b"Message-ID: <1@x>\r\n\r\n", received_at=datetime(2024, 4, 1, tzinfo=UTC))
    other = fake.deliver("INBOX", b"Message-ID: <3@x>\r\n\r\n")
    thread = fake.email(first).thread_id
    assert fake.email(answer).thread_id == thread != fake.email(other).thread_id
    reply = await client.call("Thread/get", ids=[thread, "T999"])
    assert reply["list"] == [{"id": thread, "emailIds": [first, answer]}]
    assert reply["notFound"] == ["T999"]
    state = reply["state"]
    fake.remove(answer)
    fake.remove(other)
    reply = await client.call("Thread/changes", sinceState=state)
    assert reply["updated"] == [thread]
    assert len(reply["destroyed"]) == 1
    fake.assert_no_violations()
