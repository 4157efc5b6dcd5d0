from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from gateway.sync.pages import read_ahead
from tests.stack import PATIENT_S


async def test_pages_come_in_order() -> None:
    async def pages() -> AsyncIterator[int]:
        for number in range(5):
            yield number

    assert [page async for page in read_ahead(pages())] == [0, 1, 2, 3, 4]


async def test_the_next_page_is_read_while_one_is_used_and_no_more_than_one_waits() -> None:
    read: list[int] = []
    more = asyncio.Event()

    async def pages() -> AsyncIterator[int]:
        for number in range(10):
            read.append(number)
            more.set()
            yield number

    async with asyncio.timeout(PATIENT_S), aclosing(read_ahead(pages())) as ahead:
        assert await anext(ahead) == 0
        while len(read) < 3:
            more.clear()
            await more.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        # One that is used, one that waits, and one that waits to wait.
        assert read == [0, 1, 2]


async def test_an_error_comes_after_the_pages_before_it() -> None:
    async def pages() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise ValueError("no more")

    async with aclosing(read_ahead(pages())) as ahead:
        assert await anext(ahead) == 1
        assert await anext(ahead) == 2
        with pytest.raises(ValueError, match="no more"):
            await anext(ahead)


async def test_leaving_early_ends_the_request() -> None:
    ended = False

    async def pages() -> AsyncIterator[int]:
        nonlocal ended
        try:
            for number in range(10):
                yield number
        finally:
            ended = True

    async with aclosing(read_ahead(pages())) as ahead:
        assert await anext(ahead) == 0
    assert ended
