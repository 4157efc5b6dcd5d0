from __future__ import annotations

import base64
import tracemalloc
from datetime import UTC, datetime

import msgspec
import pytest

from connectors.gmail.structs import (
    HistoryList,
    Label,
    Message,
    MessageList,
    decode_base64url,
    encode_base64url,
)


def test_a_message_may_have_no_labels_at_all() -> None:
    message = msgspec.json.decode(b'{"id": "1f", "threadId": "1e", "surprise": {}}', type=Message)
    assert message.labels == frozenset()
    assert message.label_ids is None
    assert message.received is None
    with pytest.raises(ValueError, match="without its octets"):
        message.octets()


@pytest.mark.parametrize("value", ['"1767323045678"', "1767323045678"])
def test_the_internal_date_is_in_milliseconds(value: str) -> None:
    message = msgspec.json.decode(f'{{"id": "1", "internalDate": {value}}}', type=Message)
    assert message.received == datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


@pytest.mark.parametrize("value", ["soon", "9223372036854775807", "-9223372036854775808", ""])
def test_an_internal_date_that_is_none_is_not_known(value: str) -> None:
    assert Message(id="1", internal_date=value).received is None


def test_an_empty_page_is_a_page() -> None:
    assert msgspec.json.decode(b'{"resultSizeEstimate": 0}', type=MessageList).messages == []
    page = msgspec.json.decode(b'{"nextPageToken": "t", "historyId": "12"}', type=HistoryList)
    assert (page.history, page.next_page_token, page.history_id) == ([], "t", "12")


def test_a_label_without_visibilities_is_shown() -> None:
    label = msgspec.json.decode(b'{"id": "INBOX", "name": "INBOX", "type": "system"}', type=Label)
    assert (label.label_list_visibility, label.message_list_visibility) == ("labelShow", "show")


@pytest.mark.parametrize("octets", [b"", b"a", b"ab", b"abc", bytes(range(256)), b"\xfb\xff\xfe" * 7])
def test_base64url_is_read_with_and_without_padding(octets: bytes) -> None:
    assert decode_base64url(encode_base64url(octets)) == octets
    assert decode_base64url(base64.urlsafe_b64encode(octets).decode()) == octets
    assert decode_base64url(base64.b64encode(octets).decode()) == octets


@pytest.mark.parametrize("more", range(5))
def test_long_base64url_is_read_in_pieces(more: int) -> None:
    octets = bytes(range(256)) * 12_288 + b"\xff" * more
    text = encode_base64url(octets)
    tracemalloc.start()
    try:
        assert decode_base64url(text) == octets
        assert tracemalloc.get_traced_memory()[1] < 1.5 * len(octets)
    finally:
        tracemalloc.stop()
    assert decode_base64url(base64.urlsafe_b64encode(octets).decode()) == octets


@pytest.mark.parametrize("text", ["QQ==", "QUI=", "AAA\n", "a", "ab!d"])
def test_what_is_wrong_is_refused_in_each_piece(text: str) -> None:
    for before, after in ((0, 1_000_000), (1_000_000, 4), (65_532, 65_536), (65_536, 65_536)):
        with pytest.raises(ValueError):  # noqa: PT011
            decode_base64url("A" * before + text + "A" * after)


@pytest.mark.parametrize("at", [0, 3, 262_143, 262_144, 999_999])
def test_padding_ends_base64url(at: int) -> None:
    text = "A" * 1_000_000
    with pytest.raises(ValueError):  # noqa: PT011
        decode_base64url(text[:at] + "=" + text[at:])


@pytest.mark.parametrize("text", ["a", "ab!d", "ab\ncd", "äöüß", "abc=d"])
def test_what_is_no_base64url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        decode_base64url(text)
