"""users.messages against Gmail's rules."""

from __future__ import annotations

import pytest

from tests.fakes.gmail.client import Client, mail, raw64, unraw
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import METADATA_SCOPE, MODIFY_SCOPE
from tests.manual_clock import ManualClock

DATED = "Date: Thu, 1 Jan 2015 12:00:00 +0000\r\n"
DATED_MS = "1420113600000"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


async def test_raw_gives_back_the_octets_with_crlf(gmail: Client) -> None:
    made = await gmail.post("messages", {"raw": raw64(b"Subject: x\n\nline\n"), "labelIds": ["INBOX"]})
    found = await gmail.get(f"messages/{made['id']}", format="raw")
    assert unraw(found["raw"]) == b"Subject: x\r\n\r\nline\r\n"
    assert made["labelIds"] == ["INBOX"]


async def test_a_message_without_labels_has_no_label_ids(gmail: Client) -> None:
    made = await gmail.post("messages", {"raw": raw64(mail())})
    assert "labelIds" not in made
    assert "labelIds" not in await gmail.get(f"messages/{made['id']}")


async def test_minimal_has_neither_payload_nor_raw(fake: FakeGmail, gmail: Client) -> None:
    message = fake.deliver(mail(body="a < b"))
    found = await gmail.get(f"messages/{message}", format="minimal")
    assert found.keys() == {"id", "threadId", "labelIds", "snippet", "historyId", "internalDate", "sizeEstimate"}
    assert found["snippet"] == "a &lt; b"
    assert found["historyId"] == (await gmail.get("profile"))["historyId"]


async def test_metadata_has_only_the_fields_asked_for(fake: FakeGmail, gmail: Client) -> None:
    message = fake.deliver(mail("=?utf-8?q?caf=C3=A9?="))
    found = await gmail.get(f"messages/{message}", format="metadata", metadataHeaders=["subject", "To"])
    assert found["payload"]["headers"] == [
        {"name": "To", "value": "user@example.com"},
        {"name": "Subject", "value": "café"},
    ]


async def test_full_shows_the_tree_and_attachment_ids_change(fake: FakeGmail, gmail: Client) -> None:
    extra = 'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n'
    body = (
        "--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: image/png\r\n"
        'Content-Disposition: attachment; filename="x.png"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--b--'
    )
    message = fake.deliver(mail(extra=extra, body=body))
    first, second = [(await gmail.get(f"messages/{message}"))["payload"]["parts"][1] for _ in range(2)]
    assert (first["partId"], first["filename"], first["body"]["size"]) == ("1", "x.png", 3)
    assert first["body"]["attachmentId"] != second["body"]["attachmentId"]
    for part in (first, second):
        found = await gmail.get(f"messages/{message}/attachments/{part['body']['attachmentId']}")
        assert unraw(found["data"]) == b"\x00\x01\x02"


async def test_size_estimate_is_no_size(fake: FakeGmail, gmail: Client) -> None:
    message = fake.deliver(mail())
    size = len(mail())
    estimates = []
    for lies in (False, True):
        fake.quirks.lie_about_sizes = lies
        estimates.append((await gmail.get(f"messages/{message}", format="minimal"))["sizeEstimate"])
    assert size not in estimates
    assert abs(estimates[0] - size) < 10 < abs(estimates[1] - size)


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("messages", {}, None),
        ("messages", {"internalDateSource": "dateHeader"}, DATED_MS),
        ("messages/import", {}, DATED_MS),
        ("messages/import", {"internalDateSource": "receivedTime"}, None),
    ],
)
async def test_internal_date_follows_its_source(
    gmail: Client, clock: ManualClock, path: str, query: dict[str, str], expected: str | None
) -> None:
    made = await gmail.post(path, {"raw": raw64(mail(extra=DATED))}, **query)
    found = await gmail.get(f"messages/{made['id']}", format="minimal")
    assert found["internalDate"] == (expected or str(int(clock.now().timestamp() * 1000)))


async def test_a_date_that_cannot_be_read_is_now(gmail: Client, clock: ManualClock) -> None:
    made = await gmail.post("messages/import", {"raw": raw64(mail(extra="Date: soon\r\n"))})
    found = await gmail.get(f"messages/{made['id']}", format="minimal")
    assert found["internalDate"] == str(int(clock.now().timestamp() * 1000))


async def test_a_known_message_id_keeps_the_first_and_merges_labels(gmail: Client) -> None:
    first = await gmail.post("messages", {"raw": raw64(mail(message_id="a@b")), "labelIds": ["INBOX"]})
    second = await gmail.post("messages", {"raw": raw64(mail("other", message_id="a@b")), "labelIds": ["STARRED"]})
    assert second["id"] == first["id"]
    assert set(second["labelIds"]) == {"INBOX", "STARRED"}
    assert b"hello" in unraw((await gmail.get(f"messages/{first['id']}", format="raw"))["raw"])


async def test_a_copy_in_trash_is_revived_with_its_date(gmail: Client, clock: ManualClock) -> None:
    first = await gmail.post("messages", {"raw": raw64(mail(message_id="a@b")), "labelIds": ["TRASH"]})
    clock.advance(1000)
    second = await gmail.post("messages", {"raw": raw64(mail(message_id="a@b")), "labelIds": ["INBOX"]})
    assert (second["id"], second["labelIds"]) == (first["id"], ["INBOX"])
    found = await gmail.get(f"messages/{first['id']}", format="minimal")
    assert int(found["internalDate"]) == int((clock.now().timestamp() - 1000) * 1000)


async def test_import_files_spam_unless_told_not_to(gmail: Client) -> None:
    body = {"raw": raw64(mail(body=GTUBE)), "labelIds": ["INBOX"]}
    assert (await gmail.post("messages/import", body))["labelIds"] == ["SPAM"]
    assert (await gmail.post("messages/import", body, neverMarkSpam="true"))["labelIds"] == ["INBOX"]
    assert (await gmail.post("messages", body))["labelIds"] == ["INBOX"]


async def test_replies_join_the_thread_of_what_they_answer(gmail: Client) -> None:
    first = await gmail.post("messages", {"raw": raw64(mail("plan", message_id="1@x"))})
    reply = mail("Re: plan", message_id="2@x", extra="In-Reply-To: <1@x>\r\n")
    second = await gmail.post("messages", {"raw": raw64(reply)})
    other = await gmail.post("messages", {"raw": raw64(mail("Re: else", extra="In-Reply-To: <1@x>\r\n"))})
    assert second["threadId"] == first["threadId"] == first["id"]
    assert other["threadId"] == other["id"]
    thread = await gmail.get(f"threads/{first['threadId']}", format="minimal")
    assert [each["id"] for each in thread["messages"]] == [first["id"], second["id"]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "No label add or removes specified"),
        ({"removeLabelIds": ["SENT"]}, "Invalid label: SENT"),
        ({"addLabelIds": ["DRAFT"]}, "Invalid label: DRAFT"),
        ({"addLabelIds": ["CHAT"]}, "Invalid label: CHAT"),
        ({"addLabelIds": ["Label_99"]}, "labelId not found"),
        ({"addLabelIds": ["INBOX", "TRASH"]}, "Can only add one of: INBOX, SPAM, TRASH"),
        ({"addLabelIds": ["STARRED"], "removeLabelIds": ["STARRED"]}, "Cannot both add and remove the same label"),
    ],
)
async def test_modify_refuses(fake: FakeGmail, gmail: Client, body: object, message: str) -> None:
    target = fake.deliver(mail())
    for path, more in ((f"messages/{target}/modify", {}), ("messages/batchModify", {"ids": [target]})):
        assert isinstance(body, dict)
        assert await gmail.refused("POST", path, {**body, **more}) == (400, "invalidArgument", message)
    assert fake.violations == []


async def test_modify_takes_a_hundred_labels_and_not_one_more(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    labels = [fake.new_label(f"label {number}") for number in range(101)]
    assert (await gmail.refused("POST", f"messages/{target}/modify", {"addLabelIds": labels}))[0] == 400
    await gmail.post(f"messages/{target}/modify", {"addLabelIds": labels[:100]})
    assert len(await gmail.labels_of(target)) == 102


async def test_places_exclude_each_other_unless_told_otherwise(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail(), {"INBOX"})
    assert (await gmail.post(f"messages/{target}/modify", {"addLabelIds": ["TRASH"]}))["labelIds"] == ["TRASH"]
    fake.quirks.exclusive_places = False
    found = await gmail.post(f"messages/{target}/modify", {"addLabelIds": ["INBOX"]})
    assert found["labelIds"] == ["INBOX", "TRASH"]


async def test_trash_and_untrash(fake: FakeGmail, gmail: Client) -> None:
    label = fake.new_label("Kept")
    target = fake.deliver(mail(), {"INBOX", label})
    assert set((await gmail.post(f"messages/{target}/trash"))["labelIds"]) == {"TRASH", label}
    assert (await gmail.post(f"messages/{target}/untrash"))["labelIds"] == [label]


async def test_batch_modify_takes_a_thousand_ids_and_passes_over_missing_ones(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    ids = [target, *(f"{number:x}" for number in range(1, 1000))]
    assert await gmail.post("messages/batchModify", {"ids": ids, "addLabelIds": ["STARRED"]}) is None
    assert "STARRED" in await gmail.labels_of(target)
    status, reason, _ = await gmail.refused(
        "POST", "messages/batchModify", {"ids": [*ids, "abc"], "addLabelIds": ["SPAM"]}
    )
    assert (status, reason) == (400, "badRequest")
    assert len(fake.violations) == 1


async def test_batch_modify_with_a_draft_changes_nothing(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    draft = fake.mailbox.messages[fake.mailbox.drafts[fake.new_draft(mail())]].id
    body = {"ids": [target, draft], "addLabelIds": ["STARRED"]}
    assert (await gmail.refused("POST", "messages/batchModify", body))[0] == 400
    assert "STARRED" not in await gmail.labels_of(target)


async def test_deleting_for_good_needs_the_full_scope(fake: FakeGmail, gmail: Client) -> None:
    target = fake.deliver(mail())
    lesser = Client(fake, [MODIFY_SCOPE])
    async with lesser.http:
        for verb, path, body in (
            ("DELETE", f"messages/{target}", None),
            ("POST", "messages/batchDelete", {"ids": [target]}),
        ):
            response = await lesser.call(verb, path, body)
            assert response.status_code == 403
            assert response.json()["error"]["errors"][0]["reason"] == "insufficientPermissions"
            assert "insufficient_scope" in response.headers["WWW-Authenticate"]
    assert await gmail.post("messages/batchDelete", {"ids": [target, "123"]}) is None
    assert await gmail.refused("GET", f"messages/{target}") == (404, "notFound", "Requested entity was not found.")


async def test_metadata_scope_gives_neither_octets_nor_search(fake: FakeGmail) -> None:
    target = fake.deliver(mail())
    lesser = Client(fake, [METADATA_SCOPE])
    async with lesser.http:
        for form in ("raw", "full"):
            assert (await lesser.refused("GET", f"messages/{target}", format=form))[:2] == (403, "forbidden")
        assert (await lesser.refused("GET", "messages", q="x"))[0] == 403
        assert (await lesser.get(f"messages/{target}", format="metadata"))["id"] == target


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("abc123", 404),
        ("1", 404),
        ("18c9a1b2c3d4e5f6", 404),
        ("ffffffffffffffff", 400),
        ("18c9a1b2c3d4e5f6aa", 400),
        ("nosuchmessageid", 400),
    ],
)
async def test_what_is_no_id_is_400_and_what_is_none_404(gmail: Client, text: str, status: int) -> None:
    assert (await gmail.refused("GET", f"messages/{text}"))[0] == status


async def test_sent_mail_arrives_where_it_is_sent(fake: FakeGmail, gmail: Client) -> None:
    other = fake.add_user("other@example.com")
    raw = b"To: other@example.com\r\nSubject: x\r\n\r\nhi\r\n"
    made = await gmail.post("messages/send", {"raw": raw64(raw)})
    assert made["labelIds"] == ["SENT"]
    stored = unraw((await gmail.get(f"messages/{made['id']}", format="raw"))["raw"])
    assert b"Message-ID: <CA" in stored
    assert stored.endswith(raw)
    assert [message.labels for message in other.messages.values()] == [frozenset({"INBOX", "UNREAD"})]
    assert (await gmail.refused("POST", "messages/send", {"raw": raw64(b"Subject: x\r\n\r\n")}))[0] == 400


async def test_only_the_sender_sees_blind_copies(fake: FakeGmail, gmail: Client) -> None:
    other = fake.add_user("other@example.com")
    raw = b"Subject: x\r\nbcc: a@example.org,\r\n other@example.com\r\nTo: b@example.org\r\n\r\nBcc: text\r\n"
    made = await gmail.post("messages/send", {"raw": raw64(raw)})
    assert b"bcc" in unraw((await gmail.get(f"messages/{made['id']}", format="raw"))["raw"])
    (received,) = other.messages.values()
    assert received.content().raw.endswith(b"Subject: x\r\nTo: b@example.org\r\n\r\nBcc: text\r\n")


async def test_insert_without_a_message_is_refused(gmail: Client) -> None:
    status, _, message = await gmail.refused("POST", "messages", {"labelIds": ["INBOX"]})
    assert status == 400
    assert "payload message string" in message


async def test_another_users_mailbox_is_refused(fake: FakeGmail, gmail: Client) -> None:
    fake.add_user("other@example.com")
    response = await gmail.http.get("/gmail/v1/users/other%40example.com/profile")
    assert (response.status_code, response.json()["error"]["message"]) == (
        403,
        "Delegation denied for user@example.com",
    )
    assert (await gmail.http.get("/gmail/v1/users/user%40example.com/profile")).is_success


async def test_unknown_labels_show_in_messages_and_not_in_the_list(fake: FakeGmail, gmail: Client) -> None:
    fake.quirks.unknown_labels = True
    target = fake.deliver(mail())
    extra = await gmail.labels_of(target) - {"INBOX", "UNREAD"}
    listed = {each["id"] for each in (await gmail.get("labels"))["labels"]}
    assert extra
    assert not extra & listed
