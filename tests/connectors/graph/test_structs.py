"""Replies as Graph sends them."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from connectors.graph.structs import BatchReply, MailFolder, Message, Page, UploadSession


def test_a_page_has_its_links() -> None:
    body = b'{"@odata.context":"x","value":[{"id":"a","new":1}],"@odata.nextLink":"n","@odata.deltaLink":"d"}'
    page = msgspec.json.decode(body, type=Page[Message])
    assert [message.id for message in page.value] == ["a"]
    assert (page.next_link, page.delta_link) == ("n", "d")


def test_a_message_is_what_was_selected_of_it() -> None:
    body = b"""{"id":"a","isRead":true,"flag":{"flagStatus":"flagged"},"categories":["To Do"],
        "receivedDateTime":"2026-01-02T03:04:05Z","from":{"emailAddress":{"name":"A","address":null}},
        "singleValueExtendedProperties":[{"id":"Integer 0x1081","value":"102"}],"subject":null}"""
    message = msgspec.json.decode(body, type=Message)
    assert message.is_read
    assert message.flag is not None
    assert message.flag.flag_status == "flagged"
    assert message.received_date_time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert message.from_ is not None
    assert message.single_value_extended_properties is not None
    assert message.single_value_extended_properties[0].value == "102"
    assert message.is_draft is None
    assert message.removed is None


def test_what_is_gone_from_a_delta_says_so() -> None:
    body = b'{"id":"a","@removed":{"reason":"changed"}}'
    message = msgspec.json.decode(body, type=Message)
    assert message.removed is not None
    assert message.removed.reason == "changed"


def test_a_search_folder_is_told_by_its_type() -> None:
    body = b'{"@odata.type":"#microsoft.graph.mailSearchFolder","id":"f","displayName":"A/B","isHidden":false}'
    folder = msgspec.json.decode(body, type=MailFolder)
    assert folder.odata_type == "#microsoft.graph.mailSearchFolder"
    assert folder.display_name == "A/B"


def test_replies_of_a_batch_keep_their_bodies_as_they_are() -> None:
    body = b"""{"responses":[{"id":"1","status":200,"headers":{"Retry-After":10},"body":{"a":1}},
        {"id":"2","status":204,"body":null},{"id":"3","status":429,"headers":null}]}"""
    first, second, third = msgspec.json.decode(body, type=BatchReply).responses
    assert bytes(first.body) == b'{"a":1}'
    assert first.headers == {"Retry-After": 10}
    assert bytes(second.body) == b"null"
    assert bytes(third.body) == b""


def test_an_upload_session_says_what_it_waits_for() -> None:
    body = b'{"uploadUrl":"https://x","expirationDateTime":"2026","nextExpectedRanges":["0-"]}'
    assert msgspec.json.decode(body, type=UploadSession).next_expected_ranges == ["0-"]
