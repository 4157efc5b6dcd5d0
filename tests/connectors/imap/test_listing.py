from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from connectors.api.columns import StateColumns
from connectors.api.types import MessageRef, MessageState
from connectors.imap.listing import WINDOW_MESSAGES
from connectors.imap.names import INBOX
from tests.connectors.imap.rig import DovecotRig
from tests.connectors.imap.scripted import Peer, opened, scripted
from tests.servers.dovecot import Dovecot

DATE = b'"03-Nov-2026 12:00:00 +0100"'
WHEN = datetime(2026, 11, 3, 12, tzinfo=timezone(timedelta(hours=1)))


def row(number: int, uid: int, flags: bytes = b"", size: int = 100) -> bytes:
    return b"* %d FETCH (UID %d FLAGS (%b) INTERNALDATE %b RFC822.SIZE %d)\r\n" % (number, uid, flags, DATE, size)


def state(uid: int, *flags: str, size: int = 100) -> MessageState:
    return MessageState(MessageRef(str(uid)), flags=frozenset(flags), uid=uid, internal_date=WHEN, size=size)


async def listed(answer: bytes, uids: Sequence[int], capabilities: bytes = b"") -> list[Sequence[MessageState]]:
    """Return the pages of a mailbox with these UIDs, whose FETCH is answered so."""

    async def script(peer: Peer) -> None:
        await peer.welcome(capabilities)
        await peer.select(exists=len(uids))
        await peer.answer(b"UID SEARCH ALL", b"* SEARCH " + b" ".join(b"%d" % uid for uid in uids) + b"\r\n")
        await peer.answer(b"UID FETCH %d:%d " % (uids[0], uids[-1]), answer)

    async with scripted(script) as server, opened(server) as connector:
        return [page async for page in connector.listing(INBOX)]


async def test_plain_lines_become_columns() -> None:
    (page,) = await listed(b"".join(row(number, 10 * number) for number in range(1, 6)), range(10, 60, 10))
    assert isinstance(page, StateColumns)
    assert list(page) == [state(10 * number) for number in range(1, 6)]


async def test_news_of_flags_that_come_after_a_line_count() -> None:
    answer = row(1, 10) + row(2, 20) + row(3, 30) + b"* 2 FETCH (UID 20 FLAGS (\\Seen))\r\n" + row(4, 40)
    (page,) = await listed(answer, [10, 20, 30, 40])
    assert list(page) == [state(10), state(20, "\\Seen"), state(30), state(40)]


async def test_news_of_flags_that_come_before_the_line_are_in_it() -> None:
    answer = row(1, 10) + row(2, 20) + b"* 4 FETCH (UID 40 FLAGS (\\Seen))\r\n" + row(3, 30) + row(4, 40, b"\\Flagged")
    (page,) = await listed(answer, [10, 20, 30, 40])
    assert list(page)[-1] == state(40, "\\Flagged")


async def test_news_without_a_uid_and_expunges_are_no_messages() -> None:
    answer = row(1, 10) + b"* 2 FETCH (FLAGS (\\Seen))\r\n* 3 EXPUNGE\r\n* 3 EXISTS\r\n" + row(2, 20)
    (page,) = await listed(answer, [10, 20])
    assert list(page) == [state(10), state(20)]


async def test_lines_out_of_order_are_put_in_order_and_those_not_asked_for_left_out() -> None:
    (page,) = await listed(row(9, 20) + row(1, 30) + row(2, 10) + row(7, 99), [10, 20, 30])
    assert list(page) == [state(10), state(20), state(30)]


async def test_of_two_lines_of_one_message_the_later_counts() -> None:
    (page,) = await listed(row(1, 10) + row(2, 20) + row(2, 20, b"\\Seen") + row(3, 30), [10, 20, 30])
    assert list(page) == [state(10), state(20, "\\Seen"), state(30)]


async def test_a_server_with_ids_of_its_own_is_listed_with_them() -> None:
    line = b"* 1 FETCH (UID 10 FLAGS () INTERNALDATE %b RFC822.SIZE 100 EMAILID (M1) THREADID (T1))\r\n" % DATE
    (page,) = await listed(line, [10], b"OBJECTID")
    assert [(found.uid, found.email_id, found.thread_id) for found in page] == [(10, "M1", "T1")]


async def test_a_line_without_a_size_leaves_the_size_unknown() -> None:
    (page,) = await listed(row(1, 10) + row(2, 20) + b"* 3 FETCH (UID 30 FLAGS (x))\r\n", [10, 20, 30])
    assert list(page) == [state(10), state(20), MessageState(MessageRef("30"), flags=frozenset({"x"}), uid=30)]


async def test_a_listing_takes_few_requests() -> None:
    windows: list[bytes] = []
    count = 2 * WINDOW_MESSAGES + 1

    async def script(peer: Peer) -> None:
        await peer.welcome(b"ESEARCH")
        await peer.select(exists=count)
        await peer.answer(b"UID SEARCH RETURN (ALL) ALL", b"* ESEARCH (TAG x) UID ALL 1:%d\r\n" % count)
        for start in range(1, count + 1, WINDOW_MESSAGES):
            end = min(start + WINDOW_MESSAGES - 1, count)
            windows.append(b"%d:%d" % (start, end))
            await peer.answer(
                b"UID FETCH %d:%d " % (start, end), b"".join(row(uid, uid) for uid in range(start, end + 1))
            )

    async with scripted(script) as server, opened(server) as connector:
        pages = [page async for page in connector.listing(INBOX)]
    assert [len(page) for page in pages] == [WINDOW_MESSAGES, WINDOW_MESSAGES, 1]
    assert len(windows) == 3
    assert [found.uid for page in pages for found in page] == list(range(1, count + 1))


async def test_dovecot_is_listed_as_columns_with_all_that_it_says(dovecot: Dovecot) -> None:
    rig = DovecotRig(dovecot)
    with rig.client() as client:
        for flags in ("", "(\\Seen \\Flagged)", "($Label1)"):
            client.append("INBOX", flags, "03-Nov-2026 12:00:00 +0100".join('""'), b"Subject: x\r\n\r\nText\r\n")
    connector: Any = rig.connector()
    await connector.open()
    pages = [page async for page in connector.listing(INBOX)]
    await connector.close()
    (page,) = pages
    assert isinstance(page, StateColumns)
    size = len(b"Subject: x\r\n\r\nText\r\n")
    assert list(page) == [
        state(1, size=size),
        state(2, "\\Seen", "\\Flagged", size=size),
        state(3, "$Label1", size=size),
    ]
