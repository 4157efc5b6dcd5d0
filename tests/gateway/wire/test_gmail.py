from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import gmail
from gateway.wire.commands import StoreLabels
from gateway.wire.gmail import Label, SystemLabel, read_label
from tests.gateway.wire.reading import parse

NAMES = st.text(st.characters(min_codepoint=0x20, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("data", "label"),
    [
        (b"\\Inbox", SystemLabel.INBOX),
        (b"inbox", SystemLabel.INBOX),
        (b"\\STARRED", SystemLabel.STARRED),
        (b"\\Drafts", SystemLabel.DRAFT),
        (b"\\Flagged", SystemLabel.STARRED),
        (b"\\Junk", SystemLabel.SPAM),
        (b"Inbox/x", "Inbox/x"),
        (b"a&AOk-", "aé"),
    ],
)
def test_labels_are_read_in_any_case_and_by_their_special_use(data: bytes, label: Label) -> None:
    assert read_label(data) == label


@pytest.mark.parametrize("data", [b"\\", b"\\All", b"&x", b"\xff"])
def test_what_is_no_label_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"label|UTF-7|utf-8"):
        read_label(data)


@pytest.mark.parametrize(
    ("label", "utf8", "wire"),
    [
        (SystemLabel.INBOX, False, b'"\\\\Inbox"'),
        ("Work", False, b"Work"),
        ("Muy Importante", False, b'"Muy Importante"'),
        ("nil", False, b'"nil"'),
        ("é", False, b"&AOk-"),
        ("é", True, '"é"'.encode()),
    ],
)
def test_labels_are_written_as_strings(label: Label, utf8: bool, wire: bytes) -> None:
    assert gmail.label(label, utf8=utf8) == wire


def test_ids_are_decimal_and_may_be_missing() -> None:
    assert (gmail.number(0x11BE0C9B5C1D7411), gmail.number(None)) == (b"1278473205624697873", b"NIL")
    assert gmail.label_list([]) == b"()"


@given(st.lists(st.one_of(st.sampled_from(SystemLabel), NAMES), max_size=4))
def test_labels_are_understood_as_they_are_written(labels: list[Label]) -> None:
    named = [label for label in labels if isinstance(label, SystemLabel) or not label.startswith("\\")]
    told = [SystemLabel.INBOX if isinstance(name, str) and name.lower() == "inbox" else name for name in named]
    command = parse(b"STORE 1 X-GM-LABELS " + gmail.label_list(named))
    assert isinstance(command, StoreLabels)
    assert list(command.labels) == told
