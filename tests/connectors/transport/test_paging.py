from __future__ import annotations

import pytest

from connectors.api.errors import Unavailable
from connectors.transport.paging import pages


class Server:
    """Pages by token; records which were asked for."""

    def __init__(self, following: dict[str | None, str | None]) -> None:
        self.following = following
        self.asked: list[str | None] = []

    async def fetch(self, token: str | None) -> tuple[str, str | None]:
        self.asked.append(token)
        return f"page {token}", self.following[token]


async def test_pages_are_walked_to_the_last() -> None:
    server = Server({None: "a", "a": "b", "b": None})
    assert [page async for page in pages(server.fetch)] == ["page None", "page a", "page b"]


async def test_a_walk_can_begin_at_a_token() -> None:
    server = Server({"a": None})
    assert [page async for page in pages(server.fetch, first="a")] == ["page a"]


async def test_a_token_that_leads_to_itself_is_an_error() -> None:
    server = Server({None: "a", "a": "a"})
    with pytest.raises(Unavailable, match="circle"):
        [page async for page in pages(server.fetch)]
    assert server.asked == [None, "a"]


async def test_a_token_that_leads_to_itself_ends_a_stream_of_changes() -> None:
    server = Server({"a": "a"})
    assert [page async for page in pages(server.fetch, first="a", repeat_ends=True)] == ["page a"]


async def test_a_longer_circle_is_an_error() -> None:
    server = Server({None: "a", "a": "b", "b": "a"})
    with pytest.raises(Unavailable, match="circle"):
        [page async for page in pages(server.fetch, repeat_ends=True)]
    assert server.asked == [None, "a", "b"]


async def test_the_number_of_pages_is_bounded() -> None:
    async def fetch(token: str | None) -> tuple[int, str]:
        return 0, str(int(token or 0) + 1)

    with pytest.raises(Unavailable, match="more than 5 pages"):
        [page async for page in pages(fetch, most=5)]
