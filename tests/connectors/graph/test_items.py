"""Decoding items each by itself."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from connectors.graph.items import decode_item, decode_items
from connectors.graph.structs import MailFolder, Message


def test_an_item_with_an_odd_field_keeps_the_others() -> None:
    item = b'{"id":"m","isRead":"yes","isDraft":false,"receivedDateTime":"2024-05-06T08:00:00Z","flag":7,"subject":"S"}'

    found = decode_item(item, Message)

    assert found == Message("m", is_draft=False, received_date_time=datetime(2024, 5, 6, 8, tzinfo=UTC), subject="S")


@pytest.mark.parametrize("item", [b"[]", b"{", b"17", b'{"subject":"S"}', b'{"id":7,"subject":"S"}', b"\xff"])
def test_what_has_no_id_is_no_item(item: bytes) -> None:
    assert decode_item(item, Message) is None


def test_one_odd_item_does_not_take_the_others_with_it() -> None:
    items = [msgspec.Raw(b'{"id":"a"}'), msgspec.Raw(b'{"id":[]}'), msgspec.Raw(b'{"id":"c","displayName":{}}')]

    assert decode_items(items, MailFolder) == [MailFolder("a"), MailFolder("c")]
