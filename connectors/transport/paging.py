"""Walking through pages without going round in circles."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from connectors.api.errors import Unavailable

P = TypeVar("P")

MAX_PAGES = 100_000


async def pages(
    fetch: Callable[[str | None], Awaitable[tuple[P, str | None]]],
    *,
    first: str | None = None,
    most: int = MAX_PAGES,
    repeat_ends: bool = False,
) -> AsyncGenerator[P, None]:
    """Yield page after page. `fetch` gets a page's token and returns the page and the token of the next, None if last.

    A next token that equals the page's own leads to the same page for ever. With `repeat_ends` that page counts as the
    last, for streams of changes where the server then has nothing more to tell; in a listing it means that the rest
    cannot be had, and taking what came for everything would make the rest look deleted.

    Raises:
        Unavailable: a token came twice, or there are more than `most` pages.
    """
    token, seen = first, set[str]()
    for _ in range(most):
        page, following = await fetch(token)
        yield page
        if following is None or (repeat_ends and following == token):
            return
        if following == token or following in seen:
            raise Unavailable("the server's pages lead in a circle")
        if token is not None:
            seen.add(token)
        token = following
    raise Unavailable(f"the server has more than {most} pages")
