from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest

from connectors.api import errors
from connectors.api.types import BytesContent
from connectors.memory.faults import Operation
from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from gateway.mailbox.search_text import IN_THREAD_OCTETS
from gateway.mailbox.view import View
from gateway.wire import search as k
from gateway.wire.commands import StoreAction
from gateway.wire.search import SearchKey
from gateway.wire.sequence_set import SequenceSet
from tests.stack import INBOX, Stack

MAIL = [
    (b"Subject: Alpha\r\nFrom: alex@example.org\r\nDate: Mon, 1 Jan 2024 23:30:00 -0500\r\n\r\nfirst text\r\n", ()),
    (b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nTo: sam@example.org\r\n\r\nsecond TEXT\r\n", ("\\Seen",)),
    (b"Subject: alphabet\r\nX-Odd: yes\r\n\r\nthird\r\n" + b"x" * 500, ("\\Seen", "\\Flagged")),
    (b"\r\nno header at all\r\n", ("$x",)),
]


async def opened(stack: Stack) -> View:
    backend = await stack.add_account("work", layout="folders")
    for number, (data, flags) in enumerate(MAIL):
        backend.deliver(INBOX, data, frozenset(flags), datetime(2024, 1, number + 1, 12, tzinfo=UTC))
    return await stack.open()


def sequence(text: bytes) -> SequenceSet:
    return SequenceSet.parse(text)


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (k.All(), [1, 2, 3, 4]),
        (k.HasFlag("\\Seen"), [2, 3]),
        (k.HasFlag("\\Seen", is_set=False), [1, 4]),
        (k.HasFlag("$X"), [4]),
        (k.HasFlag("\\Recent"), [1, 2, 3, 4]),
        (k.And((k.HasFlag("\\Seen"), k.HasFlag("\\Flagged", is_set=False))), [2]),
        (k.And(()), [1, 2, 3, 4]),
        (k.Or(k.HasFlag("\\Flagged"), k.HasFlag("$x")), [3, 4]),
        (k.Not(k.HasFlag("\\Flagged")), [1, 2, 4]),
        (k.HeaderContains("subject", "ALPHA"), [1, 3]),
        (k.HeaderContains("subject", "grüße"), [2]),
        (k.HeaderContains("x-odd", ""), [3]),
        (k.HeaderContains("from", "alex@example.org"), [1]),
        (k.BodyContains("text"), [1, 2]),
        (k.TextContains("alpha"), [1, 3]),
        (k.TextContains("no header"), [4]),
        (k.LargerThan(400), [3]),
        (k.SmallerThan(30), [4]),
        (k.InSequence(sequence(b"2:3")), [2, 3]),
        (k.InUids(sequence(b"3:*")), [3, 4]),
        (k.InSequence(sequence(b"$")), [2]),
        (k.DateIs(k.DateOf.INTERNAL, k.Comparison.ON, date(2024, 1, 2)), [2]),
        (k.DateIs(k.DateOf.INTERNAL, k.Comparison.BEFORE, date(2024, 1, 3)), [1, 2]),
        (k.DateIs(k.DateOf.INTERNAL, k.Comparison.SINCE, date(2024, 1, 3)), [3, 4]),
        (k.DateIs(k.DateOf.SENT, k.Comparison.ON, date(2024, 1, 1)), [1]),
        (k.Within(3600, is_younger=True), []),
        (k.Within(3600, is_younger=False), [1, 2, 3, 4]),
        (k.ModSeqSince(1), [1, 2, 3, 4]),
    ],
    ids=repr,
)
async def test_keys_find_what_the_rfc_says(stack: Stack, key: SearchKey, found: list[int]) -> None:
    view = await opened(stack)
    assert await view.search(key, saved=[2]) == found


async def test_only_what_the_client_was_told_of_is_found(stack: Stack) -> None:
    view = await opened(stack)
    other = await stack.open()
    await other.store([1], StoreAction.ADD, ["\\Deleted"])
    await other.expunge()
    stack.backends["work"].deliver(INBOX, MAIL[0][0])
    assert await view.search(k.All()) == [2, 3, 4]


async def test_text_that_is_not_at_hand_is_asked_of_the_backend_in_one_request(stack: Stack) -> None:
    view = await opened(stack)
    calls = stack.backends["work"].faults.calls
    assert await view.search(k.BodyContains("third")) == [3]
    assert (calls[Operation.SEARCH_TEXT], calls[Operation.FETCH]) == (1, 0)


async def test_headers_of_the_whole_mailbox_are_read_in_batches_once(stack: Stack) -> None:
    view = await opened(stack)
    calls = stack.backends["work"].faults.calls
    for _ in range(2):
        await view.search(k.HeaderContains("subject", "alpha"))
    assert (calls[Operation.OUTLINES], calls[Operation.FETCH]) == (1, 0)


async def test_cheap_keys_spare_the_dear_ones(stack: Stack) -> None:
    view = await opened(stack)
    calls = stack.backends["work"].faults.calls
    assert await view.search(k.And((k.BodyContains("x"), k.HasFlag("\\Draft")))) == []
    assert calls[Operation.SEARCH_TEXT] == 0


async def test_a_search_that_needs_a_dead_backend_is_refused(stack: Stack) -> None:
    view = await opened(stack)
    stack.backends["work"].faults.fail_next(Operation.SEARCH_TEXT, errors.Unavailable("down"))
    with pytest.raises(MailError) as refused:
        await view.search(k.TextContains("nothing like it"))
    assert refused.value.kind is ErrorKind.UNAVAILABLE


async def test_text_that_the_backend_cannot_look_for_is_looked_for_here(stack: Stack) -> None:
    view = await opened(stack)
    faults = stack.backends["work"].faults
    faults.fail_next(Operation.SEARCH_TEXT, errors.Unsupported("no word"))

    assert await view.search(k.BodyContains("xxx")) == [3]
    assert faults.calls[Operation.SEARCH_TEXT] == 1


async def test_text_at_hand_is_looked_for_in_headers_too(stack: Stack) -> None:
    view = await opened(stack)
    async for block in view.fetch(list(view.uids), Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass
    assert await view.search(k.TextContains("x-odd: YES")) == [3]
    assert await view.search(k.TextContains("grüße")) == [2]
    assert await view.search(k.BodyContains("x-odd")) == []
    assert stack.backends["work"].faults.calls[Operation.SEARCH_TEXT] == 0


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (k.LargerThan(400), [3]),
        (k.SmallerThan(400), [1, 2, 4]),
        (k.DateIs(k.DateOf.INTERNAL, k.Comparison.SINCE, date(2024, 1, 3)), [3, 4]),
        (k.Within(86_400, is_younger=False), [1, 2, 3, 4]),
    ],
)
async def test_sizes_and_dates_that_a_listing_does_not_tell_are_found_out(
    stack: Stack, key: SearchKey, found: list[int]
) -> None:
    backend = await stack.add_account("work", layout="folders", listing="sparse")
    backend.is_sparse = True
    for number, (data, flags) in enumerate(MAIL):
        backend.deliver(INBOX, data, frozenset(flags), datetime(2024, 1, number + 1, 12, tzinfo=UTC))
    view = await stack.open()
    assert await view.search(key) == found


async def test_what_is_gone_is_found_by_no_key(stack: Stack) -> None:
    view = await opened(stack)
    other = await stack.open()
    await other.store([1], StoreAction.ADD, ["\\Deleted"])
    await other.expunge()
    for key in (k.HasFlag("\\Seen", is_set=False), k.Not(k.HasFlag("\\Seen"))):
        assert await view.search(key) == [4]


async def test_a_search_of_texts_at_hand_lets_others_be_served(stack: Stack) -> None:
    view = await opened(stack)
    async for block in view.fetch(list(view.uids), Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass
    turns = 0
    searching = asyncio.create_task(view.search(k.BodyContains("nowhere")))
    while not searching.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > len(view.uids)
    assert await searching == []


async def test_a_large_text_at_hand_is_searched_as_well(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="folders")
    backend.deliver(INBOX, b"Subject: Large\r\n\r\n" + b"hay " * IN_THREAD_OCTETS + b"needle\r\n")
    view = await stack.open()
    async for block in view.fetch([1], Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass
    assert await view.search(k.BodyContains("NEEDLE")) == [1]
    assert backend.faults.calls[Operation.SEARCH_TEXT] == 0


async def test_header_values_are_searched_without_reading_whole_messages(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="items", exact_headers=False, bodies_vary=True)
    for data, _ in MAIL:
        backend.deliver(INBOX, data)
    view = await stack.open()
    assert await view.search(k.HeaderContains("subject", "alpha")) == [1, 3]
    assert await view.search(k.DateIs(k.DateOf.SENT, k.Comparison.ON, date(2024, 1, 1))) == [1]
    calls = backend.faults.calls
    assert (calls[Operation.OUTLINES], calls[Operation.FETCH], calls[Operation.FETCH_MANY]) == (1, 0, 0)


async def test_text_of_what_was_appended_is_searched_here(stack: Stack) -> None:
    backend = await stack.add_account("work", layout="items", bodies_vary=True)
    user = await stack.user()
    await user.append("INBOX", BytesContent(MAIL[0][0]), (), None)
    backend.mailbox(INBOX).messages[next(iter(backend.mailbox(INBOX).messages))].data = MAIL[1][0]
    view = await stack.open()
    assert await view.search(k.BodyContains("first")) == [1]
    assert await view.search(k.BodyContains("second")) == []
    assert backend.faults.calls[Operation.SEARCH_TEXT] == 0
