from __future__ import annotations

import pytest

from gateway.wire import mailbox_name


def test_names_are_encoded_for_the_side_that_reads_them() -> None:
    assert mailbox_name.to_wire("Entwürfe & mehr", utf8=False) == b"Entw&APw-rfe &- mehr"
    assert mailbox_name.to_wire("Entwürfe & mehr", utf8=True) == "Entwürfe & mehr".encode()


@pytest.mark.parametrize(
    ("wire", "utf8", "name"),
    [
        (b"iNbOx", False, "INBOX"),
        (b"inbox", True, "INBOX"),
        (b"Inbox2", False, "Inbox2"),
        (b"Entw&APw-rfe", False, "Entwürfe"),
        (b"a&b", True, "a&b"),
        ("Entwürfe".encode(), False, "Entwürfe"),
    ],
)
def test_names_are_decoded(wire: bytes, utf8: bool, name: str) -> None:
    assert mailbox_name.from_wire(wire, utf8) == name


@pytest.mark.parametrize(("wire", "utf8"), [(b"AT&T", False), (b"\xff", False), (b"\xff", True)])
def test_undecodable_names_are_refused(wire: bytes, utf8: bool) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- every kind of ValueError is the contract
        mailbox_name.from_wire(wire, utf8)


@pytest.mark.parametrize(
    ("name", "folded"),
    [("inbox/a", "INBOX/a"), ("Inbox", "INBOX"), ("a/inbox", "a/inbox"), ("inbox/", "INBOX/"), ("ınbox", "ınbox")],
)
def test_inbox_is_folded_as_first_level_only(name: str, folded: str) -> None:
    assert mailbox_name.fold_first_level(name) == folded
