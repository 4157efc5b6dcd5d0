"""The stand-in over HTTP: session, calls, blobs."""

from __future__ import annotations

from tests.fakes.jmap.client import Client
from tests.fakes.jmap.server import running_fake


async def test_a_message_delivered_is_listed_read_and_changed() -> None:
    async with running_fake() as fake, Client(fake) as client:
        email_id = fake.deliver("INBOX", b"Subject: One\r\n\r\nText\r\n", keywords=["$seen"])
        replies = await client.calls(
            ["Email/query", {"accountId": client.account_id, "filter": {"inMailbox": fake.mailbox("INBOX").id}}, "q"],
            [
                "Email/get",
                {
                    "accountId": client.account_id,
                    "#ids": {"resultOf": "q", "name": "Email/query", "path": "/ids"},
                    "properties": ["id", "blobId", "mailboxIds", "keywords", "size", "receivedAt", "headers"],
                },
                "g",
            ],
        )
        (email,) = replies[1][1]["list"]
        assert email["id"] == email_id
        assert email["keywords"] == {"$seen": True}
        assert email["headers"] == [{"name": "Subject", "value": " One"}]
        assert await client.download(email["blobId"]) == b"Subject: One\r\n\r\nText\r\n"
        fake.assert_no_violations()


async def test_what_is_uploaded_can_be_imported() -> None:
    async with running_fake() as fake, Client(fake) as client:
        data = b"Subject: Two\r\n\r\nText\r\n"
        blob_id = await client.upload(data)
        archive = fake.mailbox("Archive").id
        reply = await client.call(
            "Email/import",
            emails={"k": {"blobId": blob_id, "mailboxIds": {archive: True}, "keywords": {"$flagged": True}}},
        )
        (email,) = fake.emails_in("Archive")
        assert reply["created"]["k"] == {
            "id": email.id,
            "blobId": blob_id,
            "threadId": email.thread_id,
            "size": len(data),
        }
        fake.assert_no_violations()
