"""What fits Graph's types, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.graph.schema import Checker, type_name
from tests.fakes.graph.typings import typings


@pytest.fixture
def checker() -> Checker:
    return Checker(typings())


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"isRead": True, "subject": None, "categories": ["a", "b c"], "importance": "high"},
        {"flag": {"flagStatus": "flagged", "dueDateTime": {"dateTime": "2026-01-02T00:00:00", "timeZone": "UTC"}}},
        {"toRecipients": [{"emailAddress": {"name": "Ada", "address": "ada@example.org"}}]},
        {"receivedDateTime": "2026-01-02T03:04:05.1234567Z"},
        {"attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "name": "x", "contentBytes": "YWJj"}]},
        {"singleValueExtendedProperties": [{"id": "Integer 0x0E07", "value": "1"}]},
    ],
)
def test_what_graph_takes_fits(checker: Checker, value: Any) -> None:
    assert checker.request_faults("Message", value) == []


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ([], "Message: not an object"),
        ({"wellKnownName": "x"}, 'Message: unknown property "wellKnownName"'),
        ({"isRead": "true"}, "Message.isRead: 'true' is not a boolean"),
        ({"isRead": 1}, "Message.isRead: 1 is not a boolean"),
        ({"subject": 3}, "Message.subject: 3 is not a string"),
        ({"categories": "a"}, "Message.categories: not an array"),
        ({"categories": ["a", None]}, "Message.categories[1]: null, which it cannot be"),
        ({"flag": {"flagStatus": ""}}, "Message.flag.flagStatus: '' is not one of complete, flagged, notFlagged"),
        ({"receivedDateTime": "2026-01-02"}, "Message.receivedDateTime: '2026-01-02' is not a time with offset"),
        ({"subject": "\udc80"}, "Message.subject: not Unicode text: half of a surrogate pair"),
        ({"@odata.etag": "x"}, 'Message: unknown property "@odata.etag"'),
        (
            {"@odata.type": "#microsoft.graph.mailFolder"},
            "Message: '#microsoft.graph.mailFolder' is no kind of Message",
        ),
        (
            {"attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "item": {}}]},
            'Message.attachments[0]: unknown property "item"',
        ),
        (
            {"attachments": [{"@odata.type": "#microsoft.graph.fileAttachment", "contentBytes": "a-b_"}]},
            "Message.attachments[0].contentBytes: not base64",
        ),
    ],
)
def test_what_graph_does_not_take_is_told(checker: Checker, value: Any, fault: str) -> None:
    assert checker.request_faults("Message", value) == [fault]


def test_replies_may_carry_annotations_and_requests_may_not(checker: Checker) -> None:
    value = {"@odata.etag": "W/x", "@odata.context": "c", "attachments@odata.context": "d", "id": "x"}
    assert checker.reply_faults("Message", value) == []
    assert len(checker.request_faults("Message", value)) == 3


def test_counts_are_not_negative(checker: Checker) -> None:
    assert checker.reply_faults("MailFolder", {"totalItemCount": -1}) == ["MailFolder.totalItemCount: -1 is negative"]


def test_properties_are_found_by_their_path(checker: Checker) -> None:
    found = checker.property("Message", "from/emailAddress/address")
    assert found is not None
    assert found.name == "string"
    assert checker.property("Message", "from/emailAddress/town") is None
    assert checker.property("Message", "isRead/x") is None


def test_names_of_types_are_read_off_annotations() -> None:
    assert type_name("#microsoft.graph.fileAttachment") == "FileAttachment"
    assert type_name("fileAttachment") == ""
