"""What a message that came in by IMAP is recognised by at Graph."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec

from connectors.graph.flags import SIZE
from connectors.graph.imap_finding import ARTICLE, Likeness
from connectors.graph.structs import ExtendedProperty, Message
from tests.connectors.graph.writing_rig import mail

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECEIVED = datetime(2024, 5, 6, 8, 0, 0, tzinfo=UTC)
LIKENESS = Likeness.of(mail(1), RECEIVED, NOW)


def held(ref: str, *, uid: int = 1, size: int = 1000, **fields: object) -> Message:
    properties = [ExtendedProperty("Integer 0xe23", str(uid)), ExtendedProperty(SIZE, str(size))]
    return msgspec.structs.replace(Message(ref), single_value_extended_properties=properties, **fields)


def test_a_message_is_known_by_its_message_id() -> None:
    assert LIKENESS.message_id == "<1@example.org>"
    assert LIKENESS.best([held("a")], None) == held("a")
    assert LIKENESS.best([], None) is None


def test_a_message_id_that_is_none_is_of_no_use() -> None:
    for field in (b"", b"Message-ID: \r\n", b"Message-ID: <a b@c>\r\n", b"Message-ID: <\xe9@c>\r\n"):
        assert Likeness.of(b"Subject: x\r\n" + field + b"\r\nbody", RECEIVED, NOW).message_id is None
    folded = Likeness.of(b"Subject: x\r\nMessage-ID:\r\n <a@c>\r\n\r\nMessage-ID: <b@c>\r\n", RECEIVED, NOW)
    assert folded.message_id == "<a@c>"


def test_the_uid_counts_more_than_all_else() -> None:
    right = held("a", uid=42, size=1)
    near = held("b", uid=41, size=LIKENESS.octets, received_date_time=RECEIVED, created_date_time=NOW)
    assert LIKENESS.best([near, right], 42) == right
    assert LIKENESS.best([near, right], None) == near
    assert LIKENESS.best([near, right], 43) == near
    assert ARTICLE.casefold() == "integer 0x0e23"


def test_the_date_counts_more_than_the_size_and_that_more_than_which_was_last() -> None:
    dated = held("a", size=1_000_000, received_date_time=RECEIVED + timedelta(milliseconds=300))
    near = held("b", size=LIKENESS.octets + 10, received_date_time=RECEIVED + timedelta(days=1))
    far = held("c", size=LIKENESS.octets + 900, received_date_time=near.received_date_time, created_date_time=NOW)
    assert LIKENESS.best([near, dated], None) == dated
    assert LIKENESS.best([far, near], None) == near
    later = msgspec.structs.replace(near, id="d", created_date_time=NOW)
    assert LIKENESS.best([near, later], None) == later


def test_without_a_message_id_date_and_subject_must_be_right() -> None:
    likeness = Likeness.of(b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n aus  Bonn\r\n\r\nx", RECEIVED, NOW)
    right = held("a", subject="Grüße aus Bonn", received_date_time=RECEIVED)
    others = [
        msgspec.structs.replace(right, subject="Other"),
        msgspec.structs.replace(right, received_date_time=RECEIVED + timedelta(minutes=1)),
        msgspec.structs.replace(right, subject=None),
        msgspec.structs.replace(right, received_date_time=None),
    ]
    assert likeness.best([*others, right], None) == right
    assert likeness.best(others, None) is None


def test_the_date_may_be_that_of_its_header() -> None:
    likeness = Likeness.of(b"Date: Mon, 06 May 2024 10:00:00 +0200\r\nSubject: x\r\n\r\n", NOW, NOW)
    assert likeness.sent == RECEIVED
    assert likeness.best([held("a", subject="x", sent_date_time=RECEIVED)], None) is not None
