"""Messages: reading, creating, changing, moving, deleting, sending."""

from __future__ import annotations

import base64
import email

import httpx
import pytest

from tests.fakes.graph.client import ORIGIN, Client, mail, refusal
from tests.fakes.graph.fake import FakeGraph

_NOT_UNSENT = {"id": "Integer 0x0E07", "value": "1"}
_VERBS = "singleValueExtendedProperties($filter=id eq 'Integer 0x1081' or id eq 'String 0x007D')"


def _values(message: dict[str, object]) -> dict[str, str]:
    properties = message.get("singleValueExtendedProperties", [])
    assert isinstance(properties, list)
    return {each["id"]: each["value"] for each in properties}


async def test_a_delivered_message_has_its_properties(fake: FakeGraph, graph: Client) -> None:
    raw = mail("Grüße", message_id="1@example.org", extra="Cc: Bo <bo@example.org>\r\nReferences: <0@example.org>\r\n")
    found = await graph.get(f"/messages/{fake.deliver(raw, categories=['Work'])}")
    assert found["internetMessageId"] == "<1@example.org>"
    assert found["from"]["emailAddress"] == {"name": "Ada", "address": "ada@example.org"}
    assert found["ccRecipients"][0]["emailAddress"]["address"] == "bo@example.org"
    assert found["categories"] == ["Work"]
    assert found["body"]["contentType"] == "html"
    assert not found["isDraft"]
    assert "internetMessageHeaders" not in found


async def test_a_selection_gives_that_and_the_id(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    found = await graph.get(f"/messages/{message_id}", _select="isRead,internetMessageHeaders")
    assert found.keys() == {"@odata.context", "@odata.etag", "id", "isRead", "internetMessageHeaders"}
    assert found["internetMessageHeaders"][0] == {"name": "From", "value": "Ada <ada@example.org>"}


async def test_bodies_come_as_text_where_that_is_preferred(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail(body="<b> & text"))
    prefer = 'IdType="ImmutableId", outlook.body-content-type="text"'
    response = await graph.call("GET", f"/messages/{message_id}", prefer=prefer)
    assert response.json()["body"] == {"contentType": "text", "content": "<b> & text\r\n"}
    assert "outlook.body-content-type" in response.headers["preference-applied"]


async def test_ids_change_on_a_move_unless_they_are_immutable(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    classic = (await graph.get(f"/messages/{message_id}", prefer=""))["id"]
    assert len(classic) > 140
    assert (await graph.get(f"/messages/{classic}"))["id"] == message_id
    moved = await graph.post(f"/messages/{classic}/move", {"destinationId": "archive"}, prefer="")
    assert moved["id"] != classic
    assert await graph.refused("GET", f"/messages/{classic}") == (404, "ErrorItemNotFound")
    again = await graph.post(f"/messages/{message_id}/move", {"destinationId": "inbox"})
    assert again["id"] == message_id


async def test_a_copy_has_another_id_and_the_same_marks(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail(), categories=["x"], is_read=True, is_flagged=True)
    made = await graph.post(f"/messages/{message_id}/copy", {"destinationId": "archive"})
    assert made["id"] != message_id
    assert (made["categories"], made["isRead"], made["flag"]["flagStatus"]) == (["x"], True, "flagged")
    assert await graph.ids("archive") == [made["id"]]
    assert await graph.ids() == [message_id]


@pytest.mark.parametrize(("prefer", "expected"), [('IdType="ImmutableId"', 403), ("", 404)])
async def test_deleting_twice_is_told_by_the_form_of_the_id(
    fake: FakeGraph, graph: Client, prefer: str, expected: int
) -> None:
    message_id = fake.deliver(mail())
    assert (await graph.call("DELETE", f"/messages/{message_id}", prefer=prefer)).status_code == 204
    status, code = await graph.refused("DELETE", f"/messages/{message_id}", prefer=prefer)
    assert status == expected
    assert code == ("ErrorCannotDeleteObject" if expected == 403 else "ErrorItemNotFound")
    assert await graph.refused("GET", f"/messages/{message_id}") == (404, "ErrorItemNotFound")
    assert await graph.ids("recoverableitemsdeletions") == [message_id]
    fake.assert_no_violations()


async def test_a_deleted_message_may_still_be_found(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    fake.delete(message_id)
    fake.quirks.deleted_are_found = True
    found = await graph.get(f"/messages/{message_id}", _select="parentFolderId")
    assert found["parentFolderId"] == fake.folder_id("recoverableitemsdeletions")


async def test_permanent_deletion_leaves_nothing(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    assert await graph.post(f"/messages/{message_id}/permanentDelete") is None
    assert await graph.refused("GET", f"/messages/{message_id}") == (404, "ErrorItemNotFound")
    assert await graph.ids("recoverableitemsdeletions") == []


async def test_mime_is_always_a_draft_in_drafts(fake: FakeGraph, graph: Client) -> None:
    response = await graph.post_mime(mail("draft", message_id="d@example.org"))
    assert response.status_code == 201
    made = response.json()
    assert made["isDraft"]
    assert made["parentFolderId"] == fake.folder_id("drafts")
    assert made["internetMessageId"] == "<d@example.org>"
    assert refusal(await graph.post_mime(mail(), "/mailFolders/inbox/messages")) == (400, "UnableToDeserializePostBody")


async def test_mime_that_is_not_base64_is_refused(fake: FakeGraph, graph: Client) -> None:
    response = await graph.call("POST", "/messages", content=mail(), headers={"Content-Type": "text/plain"})
    assert refusal(response) == (400, "ErrorMimeContentInvalidBase64String")
    assert fake.violations


async def test_json_honours_mapi_and_ignores_the_received_time(fake: FakeGraph, graph: Client) -> None:
    extended = [
        _NOT_UNSENT,
        {"id": "SystemTime 0x0E06", "value": "2020-01-02T03:04:05Z"},
        {"id": "SystemTime 0x0039", "value": "2020-01-02T03:04:00Z"},
        {"id": "String 0x007D", "value": "Received: from a by b\r\nSubject: x\r\n"},
        {"id": "String 0x1039", "value": "<0@example.org>"},
        {"id": "String 0x1042", "value": "<0@example.org>"},
    ]
    given = {
        "subject": "x",
        "internetMessageId": "<1@example.org>",
        "from": {"emailAddress": {"address": "ada@example.org"}},
        "receivedDateTime": "1999-01-01T00:00:00Z",
        "body": {"contentType": "text", "content": "hello"},
        "isRead": False,
        "singleValueExtendedProperties": extended,
    }
    made = await graph.post("/mailFolders/inbox/messages", given)
    assert made["receivedDateTime"] == "2020-01-02T03:04:05Z"
    assert made["sentDateTime"] == "2020-01-02T03:04:00Z"
    assert (made["isDraft"], made["isRead"]) == (False, False)
    found = await graph.get(f"/messages/{made['id']}", _select="internetMessageHeaders", _expand=_VERBS)
    assert found["internetMessageHeaders"][0] == {"name": "Received", "value": "from a by b"}
    assert _values(found) == {"String 0x7d": "Received: from a by b\r\nSubject: x\r\n"}
    mime = email.message_from_bytes(await graph.mime(made["id"]))
    assert (mime["Message-ID"], mime["References"], mime["From"]) == (
        "<1@example.org>", "<0@example.org>", "<ada@example.org>",
    )  # fmt: skip


async def test_json_without_message_flags_is_a_draft(graph: Client) -> None:
    made = await graph.post("/mailFolders/inbox/messages", {"subject": "x"})
    assert (made["isDraft"], made["isRead"]) == (True, True)
    assert made["from"]["emailAddress"]["address"] == "user@example.com"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"bogus": 1}, "UnableToDeserializePostBody"),
        ({"isRead": "yes"}, "UnableToDeserializePostBody"),
        ({"id": "x"}, "ErrorInvalidPropertySet"),
        ({"parentFolderId": "x"}, "ErrorInvalidPropertySet"),
        ({"internetMessageHeaders": [{"name": "Received", "value": "x"}]}, "InvalidInternetMessageHeader"),
        (
            {"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "x"}]},
            "ErrorInvalidExtendedPropertyValue",
        ),
        ({"singleValueExtendedProperties": [{"id": "0x0E07", "value": "1"}]}, "ErrorInvalidExtendedProperty"),
        ({"attachments": [{"name": "x"}]}, "UnableToDeserializePostBody"),
    ],
)
async def test_wrong_properties_are_refused_and_noted(fake: FakeGraph, graph: Client, body: object, code: str) -> None:
    assert await graph.refused("POST", "/messages", body) == (400, code)
    assert len(fake.violations) == 1
    assert fake.ids_in("drafts") == []


async def test_marks_are_changed(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    body = {
        "isRead": True,
        "flag": {"flagStatus": "flagged"},
        "categories": ["Red", "Blue"],
        "singleValueExtendedProperties": [{"id": "Integer 0x1081", "value": "102"}],
    }
    found = await graph.patch(f"/messages/{message_id}", body)
    assert (found["isRead"], found["flag"], found["categories"]) == (
        True, {"flagStatus": "flagged"}, ["Red", "Blue"],
    )  # fmt: skip
    assert _values(await graph.get(f"/messages/{message_id}", _expand=_VERBS))["Integer 0x1081"] == "102"
    assert (await graph.get("/mailFolders/inbox"))["unreadItemCount"] == 0


async def test_what_belongs_to_drafts_is_refused_elsewhere(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    assert await graph.refused("PATCH", f"/messages/{message_id}", {"subject": "y"}) == (400, "ErrorInvalidPropertySet")
    draft = (await graph.post_mime(mail("x"))).json()["id"]
    assert (await graph.patch(f"/messages/{draft}", {"subject": "y"}))["subject"] == "y"
    assert email.message_from_bytes(await graph.mime(draft))["Subject"] == "y"
    fake.assert_no_violations()


async def test_a_draft_stays_one_whatever_its_flags_are_set_to(fake: FakeGraph, graph: Client) -> None:
    draft = (await graph.post_mime(mail())).json()["id"]
    await graph.patch(f"/messages/{draft}", {"singleValueExtendedProperties": [_NOT_UNSENT]})
    assert (await graph.get(f"/messages/{draft}"))["isDraft"]


async def test_a_size_cannot_be_set(fake: FakeGraph, graph: Client) -> None:
    body = {"singleValueExtendedProperties": [{"id": "Long 0x0E08", "value": "1"}]}
    assert (await graph.refused("PATCH", f"/messages/{fake.deliver(mail())}", body))[1] == "ErrorItemSavePropertyError"


async def test_conflicts_come_now_and_then(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    fake.quirks.conflict_every = 2
    statuses = [(await graph.call("PATCH", f"/messages/{message_id}", {"isRead": True})).status_code for _ in range(4)]
    assert statuses == [200, 412, 200, 412]


async def test_value_is_not_what_was_delivered_and_may_vary(fake: FakeGraph, graph: Client) -> None:
    parts = "--b\r\nContent-Type: text/plain\r\n\r\none\r\n--b\r\nContent-Type: text/plain\r\n\r\ntwo\r\n--b--\r\n"
    raw = mail(extra='MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n', body=parts)
    message_id = fake.deliver(raw)
    first = await graph.mime(message_id)
    assert first != raw
    read = email.message_from_bytes(first)
    assert [part.get_payload() for part in read.get_payload()] == ["one", "two"]  # type: ignore[union-attr]
    assert await graph.mime(message_id) == first
    fake.quirks.mime_varies = True
    assert await graph.mime(message_id) != await graph.mime(message_id)


async def test_value_has_no_length_and_no_other_way_in(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail())
    response = await graph.call("GET", f"/messages/{message_id}/$value")
    assert "content-length" not in response.headers
    assert response.headers["content-type"] == "text/plain"
    path = f"/mailFolders/inbox/messages/{message_id}/$value"
    assert await graph.refused("GET", path) == (400, "ErrorInvalidRequest")
    assert (await graph.call("HEAD", f"/messages/{message_id}/$value")).status_code == 405


async def test_a_draft_is_sent_and_keeps_its_id(fake: FakeGraph, graph: Client) -> None:
    draft = (await graph.post_mime(mail("go"))).json()["id"]
    assert (await graph.call("POST", f"/messages/{draft}/send")).status_code == 202
    assert await graph.ids("sentitems") == [draft]
    assert [content.envelope.subject for _, content in fake.sent] == ["go"]


async def test_mail_is_sent_from_mime_and_from_json(fake: FakeGraph, graph: Client) -> None:
    assert (await graph.post_mime(mail("one"), "/sendMail")).status_code == 202
    message = {"subject": "two", "toRecipients": [{"emailAddress": {"address": "bo@example.org"}}]}
    assert await graph.post("/sendMail", {"message": message, "saveToSentItems": False}) is None
    assert [content.envelope.subject for _, content in fake.sent] == ["one", "two"]
    assert len(fake.ids_in("sentitems")) == 1
    refused = await graph.post_mime(b"Subject: x\r\n\r\n", "/sendMail")
    assert refusal(refused) == (400, "ErrorInvalidRecipients")


async def test_too_much_is_refused_or_silently_ignored(fake: FakeGraph, graph: Client) -> None:
    raw = mail(body="x" * 3_200_000)
    assert refusal(await graph.post_mime(raw)) == (413, "ErrorMessageSizeExceeded")
    fake.quirks.oversize_is_ignored = True
    response = await graph.post_mime(raw)
    assert (response.status_code, response.json()) == (200, {})
    assert fake.ids_in("drafts") == []


async def test_the_same_path_with_a_key_in_brackets_is_read(fake: FakeGraph, graph: Client) -> None:
    message_id = fake.deliver(mail("x"))
    response = await graph.http.get(f"{ORIGIN}/v1.0/users('user@example.com')/messages('{message_id}')?$select=subject")
    assert isinstance(response, httpx.Response)
    assert response.json()["subject"] == "x"


async def test_attached_octets_survive(fake: FakeGraph, graph: Client) -> None:
    data = bytes(range(256))
    attachment = {
        "@odata.type": "#microsoft.graph.fileAttachment",
        "name": "ü.bin",
        "contentType": "application/x-thing",
        "contentBytes": base64.b64encode(data).decode(),
    }
    given = {"subject": "x", "attachments": [attachment], "singleValueExtendedProperties": [_NOT_UNSENT]}
    made = await graph.post("/mailFolders/inbox/messages", given)
    assert made["hasAttachments"]
    part = email.message_from_bytes(await graph.mime(made["id"])).get_payload(1)
    assert isinstance(part, email.message.Message)
    assert part.get_payload(decode=True) == data
    assert part.get_content_type() == "application/x-thing"
