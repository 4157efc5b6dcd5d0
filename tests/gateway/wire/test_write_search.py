from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import write
from gateway.wire.context import ResultChange
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.write_search import changes, of_mailbox, search_marked


def numbers_of(marks: bytes) -> list[int]:
    return [number for number, octet in enumerate(marks, 1) if octet]


@given(st.lists(st.booleans(), max_size=40).map(bytes), st.sampled_from([None, 7]))
def test_marks_are_written_as_the_numbers_are(marks: bytes, modseq: int | None) -> None:
    assert search_marked(marks, modseq) == write.search(numbers_of(marks), modseq)


@pytest.mark.parametrize("marks", [b"\1" * 9000, b"\0" * 9000, bytes(4096) + b"\1" + bytes(4095) + b"\1\0"])
def test_blocks_join_without_a_seam(marks: bytes) -> None:
    assert search_marked(marks) == write.search(numbers_of(marks))


def test_long_results_are_split_into_lines() -> None:
    marks = b"\1" * 200_000
    lines = search_marked(marks, 5).split(b"\r\n")
    assert max(map(len, lines)) < 1_000_000
    assert lines.pop() == b""
    assert [int(word) for line in lines for word in line.split() if word.isdigit()] == numbers_of(marks)
    assert lines[-1].endswith(b"(MODSEQ 5)")


@pytest.mark.parametrize("marks", [b"\1" * 100_000, b"\1" + bytes(400_000) + b"\1", bytes(200_000)])
def test_what_fits_a_line_is_one_line_however_many_messages_there_are(marks: bytes) -> None:
    # Whoever takes one line for all would miss the rest.
    assert search_marked(marks).count(b"\r\n") == 1
    assert search_marked(marks) == write.search(numbers_of(marks))


def test_a_result_is_told_with_its_mailbox() -> None:
    # RFC 7377 section 3
    response = write.esearch("tag1", is_uid=True, found=SequenceSet(((3002, 3002), (4004, 4004))))
    assert of_mailbox(response, "tag1", "folder2/banana", 503) == (
        b'* ESEARCH (TAG "tag1" MAILBOX "folder2/banana" UIDVALIDITY 503) UID ALL 3002,4004\r\n'
    )


def test_names_are_written_as_the_client_reads_them() -> None:
    response = write.esearch("a)", is_uid=True, count=2)
    assert of_mailbox(response, "a)", "Ü", 1) == b'* ESEARCH (TAG "a)" MAILBOX "&ANw-" UIDVALIDITY 1) UID COUNT 2\r\n'
    told = of_mailbox(response, "a)", "Ü", 1, utf8=True)
    assert told == '* ESEARCH (TAG "a)" MAILBOX "Ü" UIDVALIDITY 1) UID COUNT 2\r\n'.encode()


def change(is_added: bool, position: int, numbers: bytes) -> ResultChange:
    return ResultChange(is_added, position, SequenceSet.parse(numbers))


@pytest.mark.parametrize(
    ("changed", "wire"),
    [
        # RFC 5267 sections 4.3.3 and 4.3.4
        ([change(True, 0, b"32768:32769")], b"ADDTO (0 32768:32769)"),
        (
            [change(True, 1, b"2733"), change(True, 1, b"2732"), change(True, 1, b"2731")],
            b"ADDTO (1 2733 1 2732 1 2731)",
        ),
        ([change(True, 1, b"2731:2733")], b"ADDTO (1 2731:2733)"),
        ([change(False, 0, b"32768")], b"REMOVEFROM (0 32768)"),
        (
            [change(False, 3, b"9,7"), change(False, 5, b"1"), change(True, 2, b"7,9")],
            b"REMOVEFROM (3 9,7 5 1) ADDTO (2 7,9)",
        ),
    ],
)
def test_changes_of_a_result(changed: list[ResultChange], wire: bytes) -> None:
    assert changes("B01", changed, is_uid=True) == b'* ESEARCH (TAG "B01") UID %b\r\n' % wire
    assert changes("B01", changed, is_uid=False) == b'* ESEARCH (TAG "B01") %b\r\n' % wire
    told = of_mailbox(changes("B01", changed, is_uid=True), "B01", "INBOX", 7)
    assert told == b'* ESEARCH (TAG "B01" MAILBOX "INBOX" UIDVALIDITY 7) UID %b\r\n' % wire
