from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from connectors.memory.faults import Operation
from gateway.imap.commands import sort
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import Served, serving

# In order: who, to whom, about what, when it was sent, octets of the body, id, references.
MAIL = (
    ("Zoe <anna@example.org>", "zed@example.org", "report", "7 Feb 2020 10:00:00 +0000", 300, "1@x", ""),
    ("carl@example.org", "Bea <amy@example.org>", "Re: report", "6 Feb 2020 23:00:00 -0500", 100, "2@x", "<1@x>"),
    ("Ben <ben@example.org>", "ken@example.org", "[list] Abacus", "5 Feb 2020 10:00:00 +0000", 200, "3@x", ""),
    ("ben@example.org", "ken@example.org", "RE: Report", "7 Feb 2020 12:00:00 +0000", 200, "4@x", "<1@x> <2@x>"),
    ("", "", "", "nonsense", 50, "", ""),
)


def message(row: tuple[str, str, str, str, int, str, str]) -> bytes:
    sender, recipient, subject, date, octets, own_id, references = row
    fields = {
        "From": sender,
        "To": recipient,
        "Subject": subject,
        "Date": date,
        "Message-ID": f"<{own_id}>" if own_id else "",
        "References": references,
    }
    header = "".join(f"{name}: {value}\r\n" for name, value in fields.items() if value)
    return header.encode() + b"\r\n" + b"x" * octets + b"\r\n"


@pytest.fixture
def outside() -> OutsideMemory:
    return OutsideMemory()


@pytest.fixture
async def served(tmp_path: Path, outside: OutsideMemory) -> AsyncIterator[Served]:
    async with serving(tmp_path, outside) as running:
        yield running


@pytest.fixture
async def client(served: Served) -> AsyncIterator[LineClient]:
    client = await served.log_in()
    # UIDs and sequence numbers are to differ.
    await client.ask(b"a0 APPEND INBOX {3+}\r\nx\r\n")
    for number, row in enumerate(MAIL):
        data = message(row)
        # Received in the opposite order, one day apart.
        date = b'"%02d-Mar-2020 00:00:00 +0000"' % (20 - number)
        await client.ask(b"a%d APPEND INBOX %b {%d+}\r\n%b" % (number + 1, date, len(data), data))
    await client.ask(b"b1 SELECT INBOX")
    await client.ask(b"b2 STORE 1 +FLAGS.SILENT (\\Deleted)")
    await client.ask(b"b3 EXPUNGE")
    yield client
    await client.close()


@pytest.mark.parametrize(
    ("criteria", "order"),
    [
        ("ARRIVAL", "5 4 3 2 1"),
        ("REVERSE ARRIVAL", "1 2 3 4 5"),
        # The fifth has no date of its own; it was received last of all but long after the others were sent.
        ("DATE", "3 2 1 4 5"),
        ("REVERSE DATE", "5 4 1 2 3"),
        ("SIZE", "5 2 3 4 1"),
        ("SUBJECT", "5 3 1 2 4"),
        ("REVERSE SUBJECT", "1 2 4 3 5"),
        ("SUBJECT REVERSE DATE", "5 3 4 1 2"),
        ("FROM", "5 1 3 4 2"),
        ("DISPLAYFROM", "5 3 4 2 1"),
        ("TO", "5 2 3 4 1"),
        ("DISPLAYTO", "5 2 3 4 1"),
        ("TO REVERSE FROM DATE", "5 2 3 4 1"),
        ("CC", "1 2 3 4 5"),
    ],
)
async def test_orders(client: LineClient, criteria: str, order: str) -> None:
    assert (await client.ask(f"c SORT ({criteria}) UTF-8 ALL".encode()))[0].decode() == f"* SORT {order}"
    by_uid = " ".join(str(int(number) + 1) for number in order.split())
    assert (await client.ask(f"d UID SORT ({criteria}) UTF-8 ALL".encode()))[0].decode() == f"* SORT {by_uid}"


async def test_only_what_is_found_is_sorted(client: LineClient) -> None:
    assert (await client.ask(b"c SORT (REVERSE SUBJECT) UTF-8 SUBJECT report"))[0] == b"* SORT 1 2 4"
    assert (await client.ask(b"d SORT (DATE) UTF-8 SUBJECT nothing"))[0] == b"* SORT"


async def test_extended_results_are_in_the_order_asked_for(client: LineClient) -> None:
    told = await client.ask(b"c UID SORT RETURN (MIN MAX ALL COUNT) (DATE) UTF-8 ALL")
    assert told[0] == b'* ESEARCH (TAG "c") UID MIN 4 MAX 6 ALL 4,3,2,5:6 COUNT 5'
    await client.ask(b"d SORT RETURN (SAVE MIN) (REVERSE DATE) UTF-8 SUBJECT report")
    assert (await client.ask(b"e SEARCH $"))[0] == b"* SEARCH 4"
    await client.ask(b"f SORT RETURN (SAVE) (REVERSE DATE) UTF-8 SUBJECT report")
    assert (await client.ask(b"g SEARCH $"))[0] == b"* SEARCH 1 2 4"


async def test_a_part_of_the_result_is_one_of_its_order(client: LineClient) -> None:
    told = await client.ask(b"c SORT RETURN (PARTIAL 1:2) (REVERSE DATE) UTF-8 SUBJECT report")
    assert told[0] == b'* ESEARCH (TAG "c") PARTIAL (1:2 4,1)'
    told = await client.ask(b"d UID SORT RETURN (SAVE PARTIAL -1:-1 MIN) (REVERSE DATE) UTF-8 SUBJECT report")
    assert told[0] == b'* ESEARCH (TAG "d") UID MIN 5 PARTIAL (-1:-1 3)'
    assert (await client.ask(b"e SEARCH $"))[0] == b"* SEARCH 2 4"
    told = await client.ask(b"f SORT RETURN (PARTIAL 4:9) (REVERSE DATE) UTF-8 SUBJECT report")
    assert told[0] == b'* ESEARCH (TAG "f") PARTIAL (4:9 NIL)'


async def test_mod_sequences_are_told_where_they_were_asked_for(client: LineClient) -> None:
    told = await client.ask(b"c SORT (DATE) UTF-8 MODSEQ 1 SUBJECT report")
    assert any(line.startswith(b"* SORT 2 1 4 (MODSEQ ") for line in told)


@pytest.mark.parametrize(
    ("algorithm", "threads"),
    [
        ("REFERENCES", "(3)(1 2 4)(5)"),
        ("REFS", "(3)(1 2 4)(5)"),
        ("ORDEREDSUBJECT", "(3)(2 (1)(4))(5)"),
    ],
)
async def test_threads(client: LineClient, algorithm: str, threads: str) -> None:
    for _ in range(2):
        assert (await client.ask(f"c THREAD {algorithm} UTF-8 ALL".encode()))[0].decode() == f"* THREAD {threads}"


async def test_long_threads_are_the_same(client: LineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    short = await client.ask(b"c THREAD REFERENCES UTF-8 ALL")
    monkeypatch.setattr(sort, "_TOKENS_AT_ONCE", 0)
    assert await client.ask(b"c THREAD REFERENCES UTF-8 ALL") == short


async def test_threads_of_what_was_found_by_uid(client: LineClient) -> None:
    assert (await client.ask(b"c UID THREAD REFERENCES UTF-8 NOT UID 3"))[0] == b"* THREAD (4)(2 5)(6)"
    assert (await client.ask(b"d THREAD REFERENCES UTF-8 SUBJECT nothing"))[0] == b"* THREAD"


async def test_what_comes_and_goes_is_sorted_anew(client: LineClient) -> None:
    await client.ask(b"c SORT (SUBJECT) UTF-8 ALL")
    await client.ask(b"d THREAD REFERENCES UTF-8 ALL")
    data = message(("x@y", "z@y", "Aaa", "1 Jan 2019 00:00:00 +0000", 10, "9@x", ""))
    await client.ask(b"e APPEND INBOX {%d+}\r\n%b" % (len(data), data))
    assert (await client.ask(b"f SORT (SUBJECT) UTF-8 ALL"))[0] == b"* SORT 5 6 3 1 2 4"
    assert (await client.ask(b"g THREAD REFERENCES UTF-8 ALL"))[0] == b"* THREAD (6)(3)(1 2 4)(5)"
    await client.ask(b"h STORE 3 +FLAGS.SILENT (\\Deleted)")
    await client.ask(b"i EXPUNGE")
    assert (await client.ask(b"j SORT (SUBJECT) UTF-8 ALL"))[0] == b"* SORT 4 5 1 2 3"


async def test_one_that_another_session_removed_is_not_told(client: LineClient, served: Served) -> None:
    other = await served.log_in()
    await other.ask(b"a SELECT INBOX")
    await other.ask(b"b STORE 1 +FLAGS.SILENT (\\Deleted)")
    await other.ask(b"c EXPUNGE")
    # The numbers are still those that this client knows.
    assert (await client.ask(b"c SORT (DATE) UTF-8 ALL"))[0] == b"* SORT 3 2 4 5"
    assert (await client.ask(b"d THREAD ORDEREDSUBJECT UTF-8 ALL"))[0] == b"* THREAD (3)(2 4)(5)"
    await other.close()


async def test_nothing_is_read_twice_from_the_backend(client: LineClient, outside: OutsideMemory) -> None:
    calls = outside.backend.faults.calls
    await client.ask(b"c SORT (SUBJECT) UTF-8 ALL")
    before = calls[Operation.FETCH] + calls[Operation.OUTLINES]
    for command in (b"SORT (FROM TO DATE) UTF-8 ALL", b"THREAD REFERENCES UTF-8 ALL", b"SORT (SUBJECT) UTF-8 SEEN"):
        await client.ask(b"d " + command)
    assert calls[Operation.FETCH] + calls[Operation.OUTLINES] == before


async def test_texts_are_compared_by_casemap_and_not_octet_by_octet(served: Served) -> None:
    """I18NLEVEL=1 (RFC 5255 section 4.5): i;unicode-casemap (RFC 5051) for SEARCH, SORT and THREAD alike."""
    client = await served.log_in()
    assert b"I18NLEVEL=1" in (await client.ask(b"a CAPABILITY"))[0].split()
    await client.ask(b"b CREATE Letters")
    for number, subject in enumerate(("ÉTÉ", "Zoo", "été", "Äpfel", "=?iso-8859-1?q?=C9t=E9?="), start=1):
        text = f"Subject: {subject}\r\nDate: {number} Feb 2020 10:00:00 +0000\r\n\r\n{subject}\r\n".encode()
        assert (await client.ask(b"c APPEND Letters {%d+}\r\n%b" % (len(text), text)))[-1].startswith(b"c OK ")
    await client.ask(b"d SELECT Letters")
    assert (await client.ask(b"e SEARCH CHARSET UTF-8 SUBJECT {5+}\r\n" + "éTé".encode()))[0] == b"* SEARCH 1 3 5"
    assert (await client.ask(b"f SEARCH CHARSET UTF-8 BODY {6+}\r\n" + "äPFEL".encode()))[0] == b"* SEARCH 4"
    # The three that are the same but for their case are in the order of the mailbox.
    order = (await client.ask(b"g SORT (SUBJECT) UTF-8 ALL"))[0].split()[2:]
    assert [number for number in order if number in {b"1", b"3", b"5"}] == [b"1", b"3", b"5"]
    assert order.index(b"3") - order.index(b"1") == order.index(b"5") - order.index(b"3") == 1
    assert b"(1 (3)(5))" in (await client.ask(b"h THREAD ORDEREDSUBJECT UTF-8 ALL"))[0]
