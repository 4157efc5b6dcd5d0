from __future__ import annotations

from gateway.wire.write_metadata import changed, long_entries, max_size, metadata, too_many


def test_values_are_strings_literals_or_nil() -> None:
    values = [("/private/comment", b"My own"), ("/shared/comment", None), ("/private/a b", b"one\r\ntwo")]
    assert metadata("INBOX", values) == (
        b'* METADATA "INBOX" (/private/comment "My own" /shared/comment NIL "/private/a b" {8}\r\none\r\ntwo)\r\n'
    )


def test_nul_is_sent_in_a_literal8() -> None:
    assert metadata("", [("/private/x", b"a\0b")]) == b'* METADATA "" (/private/x ~{3}\r\na\0b)\r\n'


def test_nothing_is_told_of_nothing() -> None:
    assert metadata("INBOX", []) == b""


def test_response_codes() -> None:
    assert long_entries(2199) == b"METADATA LONGENTRIES 2199"
    assert max_size(60000) == b"METADATA MAXSIZE 60000"
    assert too_many() == b"METADATA TOOMANY"


def test_changes_are_told_by_name_only() -> None:
    # RFC 5465 sections 5.6 and 5.7
    assert changed("INBOX", ["/shared/comment"]) == b'* METADATA "INBOX" /shared/comment\r\n'
    assert changed("", ["/shared/comment", "/private/a b"]) == b'* METADATA "" /shared/comment "/private/a b"\r\n'
