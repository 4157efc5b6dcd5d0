"""Searches with the index and without it: the answers are the same, only the ways to them differ."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from connectors.memory.backend import MemoryBackend
from connectors.memory.faults import Operation
from gateway.mailbox.fetch import Needs
from gateway.mailbox.view import View
from gateway.message.scan import scan
from gateway.message.text import all_header_text, body_text, normalise
from gateway.store.search_index import AccountIndex, SearchIndex
from gateway.store.search_rows import IndexEntry
from gateway.sync.indexer import Indexer
from gateway.wire import search as k
from gateway.wire.search import SearchKey
from gateway.wire.sequence_set import SequenceSet
from tests.corpus.generate import messages as generated
from tests.gateway.message.samples import vectors
from tests.stack import INBOX, PATIENT_S, Stack, running_stack

ODD = (
    b"Subject: one\r\nSubject: two\x1fthree\r\nX-Odd: a\0b\r\n\r\ntext with a \0 in it\r\n",
    b'From: =?utf-8?q?Gr=C3=BC=C3=9Fe?= <a@example.org>\r\nCc:\r\n\r\nSTRASSE "quoted" * OR NEAR(\r\n',
    b"Content-Type: text/plain; charset=utf-7\r\n\r\n+2AA- lone\r\n",
    b"no header at all",
    b"",
    b"\r\n",
)
ROUNDS = 60


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with running_stack(tmp_path, has_search_index=True) as running:
        yield running


async def delivered(stack: Stack, mail: list[bytes]) -> tuple[MemoryBackend, View]:
    backend = await stack.add_account("work", layout="folders")
    for data in mail:
        backend.deliver(INBOX, data)
    return backend, await stack.open()


async def read(view: View, uids: list[int]) -> None:
    async for block in view.fetch(uids, Needs(body=True)):
        for row in block:
            assert row.body is not None
            async with row.body:
                pass


async def fill(stack: Stack) -> AccountIndex:
    engine = stack.engine()
    assert engine.context.search is not None
    await Indexer(engine.context, engine.bodies, engine.context.search).fill()
    return engine.context.search


def random_needle(chance: random.Random, texts: list[str]) -> str:
    text = chance.choice(texts)
    start = chance.randrange(len(text) + 1)
    needle = text[start : start + chance.choice((1, 2, 3, 4, 8, 30, 200))]
    match chance.randrange(6):
        case 0:
            return needle.upper()
        case 1:
            return needle + chance.choice(("", "x", "\x1f", '"', "é"))
        case _:
            return needle


def random_key(chance: random.Random, texts: list[str], count: int) -> SearchKey:
    needle = random_needle(chance, texts)
    names = ("subject", "from", "to", "cc", "bcc", "x-odd", "message-id", "date", "received", "Öl")
    match chance.randrange(7):
        case 0 | 1:
            return k.HeaderContains(chance.choice(names), chance.choice((needle, "", needle[:3])))
        case 2:
            return k.BodyContains(needle)
        case 3:
            day = date(2023, 1, 1) + timedelta(days=chance.randrange(1500))
            return k.DateIs(k.DateOf.SENT, chance.choice(list(k.Comparison)), day)
        case 4:
            uids = frozenset(chance.sample(range(1, count + 1), chance.randrange(1, count)))
            return k.And((k.InUids(_set_of(uids)), k.TextContains(needle)))
        case 5:
            return k.Or(k.Not(k.TextContains(needle)), k.BodyContains(random_needle(chance, texts)))
        case _:
            return k.TextContains(needle)


def _set_of(uids: frozenset[int]) -> SequenceSet:
    return SequenceSet.from_numbers(uids)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0], ids=["headers only", "some bodies", "all bodies"])
async def test_the_index_changes_no_answer(stack: Stack, seed: int, share: float) -> None:
    chance = random.Random(seed)
    mail = [*(found.data for found in generated(12, seed)), *vectors().values(), *ODD]
    _, view = await delivered(stack, mail)
    chosen = [uid for uid in view.uids if chance.random() < share]
    await read(view, chosen)
    async for _ in view.fetch(list(view.uids), Needs(envelope=True)):
        pass
    index = await fill(stack)
    context = stack.engine().context
    texts = []
    for data in mail:
        part = scan(data)
        texts += [*all_header_text(data[: part.body_start]), *(normalise(text) for text in body_text(data, part))]
    for _ in range(ROUNDS):
        key = random_key(chance, texts, len(mail))
        context.search = index
        with_index = await view.search(key)
        context.search = None
        assert with_index == await view.search(key), key
    context.search = index


async def test_what_is_in_the_index_is_asked_of_nobody_else(stack: Stack) -> None:
    backend, view = await delivered(stack, [b"Subject: a\r\n\r\nneedle\r\n", b"Subject: b\r\n\r\nhay\r\n"])
    await read(view, [1, 2])
    await fill(stack)
    before = dict(backend.faults.calls)
    assert await view.search(k.BodyContains("NEEDLE")) == [1]
    assert await view.search(k.TextContains("subject: B")) == [2]
    assert await view.search(k.HeaderContains("subject", "A")) == [1]
    assert dict(backend.faults.calls) == before


async def test_what_is_not_in_the_index_is_asked_of_the_backend_in_one_request(stack: Stack) -> None:
    backend, view = await delivered(stack, [b"Subject: a\r\n\r\nneedle one\r\n", b"Subject: b\r\n\r\nneedle two\r\n"])
    await read(view, [1])
    await fill(stack)
    assert await view.search(k.BodyContains("needle")) == [1, 2]
    assert backend.faults.calls[Operation.SEARCH_TEXT] == 1


async def test_a_text_stays_searchable_after_it_has_left_the_cache(stack: Stack) -> None:
    backend, view = await delivered(stack, [b"Subject: a\r\n\r\nneedle\r\n"])
    await read(view, [1])
    await fill(stack)
    stack.engine().context.cache.remove_account(stack.engine().context.account_id)
    assert await view.search(k.BodyContains("needle")) == [1]
    assert backend.faults.calls[Operation.SEARCH_TEXT] == 0


async def test_what_was_looked_through_comes_into_the_index(stack: Stack) -> None:
    _, view = await delivered(stack, [b"Subject: a\r\n\r\nneedle\r\n"])
    context = stack.engine().context
    told: asyncio.Queue[list[int]] = asyncio.Queue()
    context.on_learned = lambda message_ids: told.put_nowait(list(message_ids))
    await read(view, [1])
    async with asyncio.timeout(PATIENT_S):
        read_ids = await told.get()
    # Of the background's own work nothing is in it yet for sure.
    context.search = None
    assert await view.search(k.BodyContains("needle")) == [1]
    assert told.get_nowait() == read_ids
    assert told.empty()


async def test_an_index_that_fails_is_done_without(stack: Stack, tmp_path: Path) -> None:
    _, view = await delivered(stack, [b"Subject: a\r\n\r\nneedle\r\n"])
    await read(view, [1])
    await fill(stack)
    closed = await SearchIndex.open(tmp_path / "closed.search")
    stack.engine().context.search = closed.account(1, "tag")
    await closed.close()
    assert await view.search(k.BodyContains("needle")) == [1]
    assert await view.search(k.HeaderContains("subject", "a")) == [1]


async def test_nothing_is_found_of_other_accounts(stack: Stack) -> None:
    _, view = await delivered(stack, [b"Subject: a\r\n\r\nhay\r\n"])
    await read(view, [1])
    index = await fill(stack)
    await index.add([IndexEntry(10**6, ("needle",) + (None,) * 4, "subject: needle", None, "needle")])
    assert await view.search(k.TextContains("needle")) == []
