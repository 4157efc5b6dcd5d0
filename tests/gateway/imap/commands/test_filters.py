from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.mailbox import filters
from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import OutsideMemory
from tests.scenarios.serving import serving

SUBJECTS = (b"IMAP break", b"Broken: imap is BREAKing", b"a break", b"one two three", b"three of one")


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[LineClient]:
    async with serving(tmp_path, OutsideMemory()) as served:
        client = await served.log_in()
        for number, subject in enumerate(SUBJECTS, 1):
            flags = b"(\\Seen)" if number == 1 else b"()"
            message = b"Subject: %b\r\n\r\nfirst second %d\r\n" % (subject, number)
            await client.ask(b"a APPEND INBOX %b {%d+}\r\n%b" % (flags, len(message), message))
        await client.ask(b"b SELECT INBOX")
        yield client


async def found(client: LineClient, criteria: bytes) -> list[int]:
    told = await client.ask(b"f SEARCH " + criteria)
    assert told[-1].startswith(b"f OK "), told
    return [int(word) for word in told[0].split()[2:]]


async def set_filter(client: LineClient, name: bytes, value: bytes, root: bytes = b"private") -> bytes:
    command = b's SETMETADATA "" (/%b/filters/values/%b {%d+}\r\n%b)' % (root, name, len(value), value)
    return (await client.ask(command))[-1]


# -- FUZZY -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        # RFC 6203 section 3
        (b'SUBJECT "IMAP break"', [1]),
        (b'FUZZY (SUBJECT "IMAP break")', [1, 2]),
        (b'FUZZY SUBJECT "break, IMAP!" UNSEEN', [2]),
        (b'NOT FUZZY SUBJECT "IMAP break"', [3, 4, 5]),
        (b'FUZZY SUBJECT "one two three"', [4, 5]),
        (b'FUZZY OR SUBJECT "three one" SEEN', [1, 4, 5]),
        (b'FUZZY TEXT "second imap 2"', [1, 2]),
        (b'FUZZY BODY "second 2"', [2]),
        (b'FUZZY HEADER subject "BREAK a"', [1, 2, 3]),
        (b'FUZZY SUBJECT ""', [1, 2, 3, 4, 5]),
        (b'FUZZY SUBJECT "!?"', []),
        (b"FUZZY FUZZY 2:3", [2, 3]),
        (b"FUZZY NOT SEEN", [2, 3, 4, 5]),
    ],
)
async def test_texts_are_found_by_their_words(client: LineClient, criteria: bytes, expected: list[int]) -> None:
    assert await found(client, criteria) == expected


@pytest.mark.parametrize("criteria", [b"FUZZY", b"FUZZY ()", b"RETURN (RELEVANCY ALL) FUZZY TEXT x"])
async def test_what_is_not_offered_is_refused(client: LineClient, criteria: bytes) -> None:
    assert (await client.ask(b"a SEARCH " + criteria))[-1].startswith(b"a BAD ")


# -- FILTER ------------------------------------------------------------------------------------------------------------


async def test_a_filter_stands_for_what_it_holds(client: LineClient) -> None:
    # RFC 5466 section 3.2
    told = await client.ask(
        b'a007 SETMETADATA "" ("/private/filters/values/on-the-road" "OR SMALLER 5 SUBJECT \\"imap\\"")'
    )
    assert told[-1].startswith(b"a007 OK ")
    assert await found(client, b"UID 1:900 FILTER On-The-Road UNSEEN") == [2]
    assert await found(client, b"NOT FILTER on-the-road") == [3, 4, 5]
    assert await client.ask(b"b UID SORT (SUBJECT) UTF-8 FILTER on-the-road") == [
        b"* SORT 2 1",
        b"b OK Sort completed",
    ]
    assert (await client.ask(b"c THREAD REFS UTF-8 FILTER on-the-road"))[0] == b"* THREAD (1)(2)"
    assert b" UID ALL 1:2" in (await client.ask(b"d ESEARCH IN (personal) FILTER on-the-road"))[0]


async def test_a_private_filter_hides_a_shared_one(client: LineClient, monkeypatch: pytest.MonkeyPatch) -> None:
    await set_filter(client, b"x", b"SUBJECT three")
    monkeypatch.setattr(filters, "PRIVATE", "/private/elsewhere/")
    monkeypatch.setattr(filters, "SHARED", "/private/filters/values/")
    assert await found(client, b"FILTER x") == [4, 5]
    await client.ask(b'a SETMETADATA "" (/private/elsewhere/x "SUBJECT imap")')
    assert await found(client, b"FILTER x") == [1, 2]


async def test_filters_may_refer_to_others_but_not_without_end(client: LineClient) -> None:
    await set_filter(client, b"f1", b"SUBJECT imap")
    for number in range(2, 6):
        await set_filter(client, b"f%d" % number, b"(FILTER f%d) UNSEEN" % (number - 1))
    assert await found(client, b"FILTER f5") == [2]
    await set_filter(client, b"f1", b"FILTER f5")
    told = await client.ask(b"a SEARCH RETURN (SAVE) FILTER f5")
    assert told[-1].startswith(b"a NO [UNDEFINED-FILTER f")
    assert await found(client, b"$") == []


async def test_filters_that_multiply_are_stopped(client: LineClient) -> None:
    await set_filter(client, b"f1", b"ALL")
    for number in range(2, 5):
        await set_filter(client, b"f%d" % number, b" ".join([b"FILTER f%d" % (number - 1)] * 8))
    assert (await client.ask(b"a SEARCH FILTER f4"))[-1].startswith(b"a NO [UNDEFINED-FILTER ")


async def test_a_filter_that_is_not_there_is_told_by_its_name(client: LineClient) -> None:
    told = await client.ask(b"a SEARCH FILTER Gone")
    assert told[0].startswith(b"a NO [UNDEFINED-FILTER Gone] ")


@pytest.mark.parametrize(
    "value", [b"OR SMALLER", b"", b"NONSENSE", b"ALL\r\nb LOGOUT", b"RETURN () ALL", b"SUBJECT {9}\r\nabc", b"(ALL"]
)
async def test_what_is_no_search_cannot_be_a_filter(client: LineClient, value: bytes) -> None:
    assert (await set_filter(client, b"x", value)).startswith(b"s NO ")
    assert (await client.ask(b"a SEARCH FILTER x"))[-1].startswith(b"a NO [UNDEFINED-FILTER x] ")


async def test_a_filter_may_hold_literals_and_utf8(client: LineClient) -> None:
    assert (await set_filter(client, b"x", b"SUBJECT {4}\r\nimap UNSEEN")).startswith(b"s OK ")
    assert await found(client, b"FILTER x") == [2]
    assert (await set_filter(client, b"y", 'SUBJECT "für"'.encode())).startswith(b"s OK ")
    assert await found(client, b"FILTER y") == []


async def test_sequence_numbers_in_a_filter_hold_expunges_back(client: LineClient) -> None:
    await set_filter(client, b"x", b"5")
    assert await found(client, b"FILTER x") == [5]


@pytest.mark.parametrize("criteria", [b"FILTER", b"FILTER a/b", b'FILTER "a"', b"FILTER a*"])
async def test_names_that_no_filter_can_have_are_bad(client: LineClient, criteria: bytes) -> None:
    assert (await client.ask(b"a SEARCH " + criteria))[-1].startswith(b"a BAD ")
