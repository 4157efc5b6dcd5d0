from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import write_code
from gateway.wire.sequence_set import SequenceSet


@pytest.mark.parametrize(
    ("code", "wire"),
    [
        (write_code.append_uid(38505, [3955]), b"APPENDUID 38505 3955"),  # RFC 4315 section 3
        (write_code.append_uid(38505, [3955, 3956, 3960, 3958]), b"APPENDUID 38505 3955:3956,3960,3958"),
        (write_code.uidvalidity(3857529045), b"UIDVALIDITY 3857529045"),
        (write_code.uidnext(4392), b"UIDNEXT 4392"),
        (write_code.unseen(12), b"UNSEEN 12"),
        (write_code.highestmodseq(715194045007), b"HIGHESTMODSEQ 715194045007"),
        (write_code.mailbox_id("F2212ea87-6097"), b"MAILBOXID (F2212ea87-6097)"),  # RFC 8474 section 4.1
        (write_code.no_update("B02"), b'NOUPDATE "B02"'),  # RFC 5267 section 4.3.1
        (write_code.modified(SequenceSet.from_numbers([7, 9])), b"MODIFIED 7,9"),
        (
            write_code.permanent_flags(["\\Deleted", "\\Seen"], allows_new=True),
            b"PERMANENTFLAGS (\\Deleted \\Seen \\*)",
        ),
        (write_code.permanent_flags([], allows_new=False), b"PERMANENTFLAGS ()"),
        (write_code.capability(["IMAP4rev1", "AUTH=PLAIN", "bad name"]), b"CAPABILITY IMAP4rev1 AUTH=PLAIN"),
        (write_code.bad_charset(["UTF-8", "US-ASCII"]), b"BADCHARSET (UTF-8 US-ASCII)"),
    ],
)
def test_codes(code: bytes, wire: bytes) -> None:
    assert code == wire


@pytest.mark.parametrize(
    ("pairs", "wire"),
    [
        ([(304, 3956), (319, 3957), (320, 3958)], b"COPYUID 38505 304,319:320 3956:3958"),  # RFC 4315 section 3
        ([(1, 9), (2, 8), (3, 7)], b"COPYUID 38505 1:3 9,8,7"),
        ([(5, 50)], b"COPYUID 38505 5 50"),
        ([(2, 11), (1, 10)], b"COPYUID 38505 1:2 10:11"),
    ],
)
def test_copyuid(pairs: list[tuple[int, int]], wire: bytes) -> None:
    assert write_code.copy_uid(38505, pairs) == wire


def test_copyuid_of_nothing_is_left_out() -> None:
    assert write_code.copy_uid(38505, []) is None


def expand(numbers: bytes) -> list[int]:
    expanded: list[int] = []
    for item in numbers.split(b","):
        low, _, high = item.partition(b":")
        expanded.extend(range(int(low), int(high or low) + 1))
    return expanded


@given(st.dictionaries(st.integers(1, 60), st.integers(1, 60), min_size=1))
def test_copyuid_pairs_up(copies: dict[int, int]) -> None:
    wire = write_code.copy_uid(7, list(copies.items()))
    assert wire is not None
    _, _, sources, targets = wire.split(b" ")
    assert dict(zip(expand(sources), expand(targets), strict=True)) == copies


def test_progress_names_the_command_unless_its_tag_would_end_the_code() -> None:
    assert write_code.in_progress("a1") == b'INPROGRESS ("a1" NIL NIL)'
    assert write_code.in_progress("a]1") == b"INPROGRESS"


def test_message_limit() -> None:
    # RFC 9738 section 3.1
    assert write_code.message_limit(1000, 23221) == b"MESSAGELIMIT 1000 23221"
    assert write_code.message_limit(1000, None) == b"MESSAGELIMIT 1000"


def test_an_undefined_filter_is_named() -> None:
    # RFC 5466 section 4
    assert write_code.undefined_filter("on-the-road") == b"UNDEFINED-FILTER on-the-road"
