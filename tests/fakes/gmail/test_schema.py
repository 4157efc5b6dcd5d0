"""Values against the published schemas."""

from __future__ import annotations

import pytest

from tests.fakes.gmail.discovery import description


@pytest.mark.parametrize(
    ("schema", "value", "fault"),
    [
        ("Message", {"id": "1", "labelIds": []}, None),
        ("Message", {"id": 1}, "Message.id: not a string"),
        ("Message", {"historyId": "18446744073709551615"}, None),
        ("Message", {"historyId": "18446744073709551616"}, "Message.historyId: not the decimal digits of an uint64"),
        ("Message", {"historyId": 5}, "Message.historyId: not a string, which uint64 is in JSON"),
        ("Message", {"internalDate": "-1"}, None),
        ("Message", {"internalDate": "01"}, "Message.internalDate: not the decimal digits of an int64"),
        ("Message", {"sizeEstimate": 2**31}, "Message.sizeEstimate: out of the range of int32"),
        ("Message", {"sizeEstimate": True}, "Message.sizeEstimate: not an integer"),
        ("Message", {"raw": "a b"}, "Message.raw: not base64"),
        (
            "Message",
            {"payload": {"parts": [{"body": {"sise": 1}}]}},
            'Message.payload.parts[0].body: unknown name "sise"',
        ),
        ("Message", {"labelIds": "INBOX"}, "Message.labelIds: not an array"),
        ("Message", [], "Message: not an object"),
        ("ImapSettings", {"enabled": "yes"}, "ImapSettings.enabled: not a boolean"),
        ("Label", {"type": "own"}, 'Label.type: not one of system, user: "own"'),
    ],
)
def test_gmail(schema: str, value: object, fault: str | None) -> None:
    assert description("gmail.v1").faults(schema, value) == ([fault] if fault else [])


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"publishTime": "2026-01-02T03:04:05.123Z", "attributes": {"a": "b"}}, None),
        ({"publishTime": "2026-01-02 03:04:05"}, "PubsubMessage.publishTime: not a time of RFC 3339"),
        ({"attributes": {"a": 1}}, "PubsubMessage.attributes.a: not a string"),
    ],
)
def test_pubsub(value: object, fault: str | None) -> None:
    assert description("pubsub.v1").faults("PubsubMessage", value) == ([fault] if fault else [])
