from __future__ import annotations

import asyncio

from gateway.imap.login_time import LoginTime
from tests.simulated_loop import run_simulated


async def _played(grace_s: float) -> tuple[list[float], list[bool]]:
    """Begin, begin anew after five seconds, lift after eight more, begin again; return when it ended, and was over."""
    loop = asyncio.get_running_loop()
    start = loop.time()
    ends: list[float] = []
    was_over: list[bool] = []
    login_time = LoginTime(loop, grace_s)

    def begin() -> None:
        login_time.begin(lambda: ends.append(round(loop.time() - start)))

    for act, wait_s in ((None, 20), (begin, 5), (begin, 8), (login_time.lift, 100)):
        if act is not None:
            act()
        await asyncio.sleep(wait_s)
        was_over.append(login_time.is_over)
    begin()
    await asyncio.sleep(100)
    was_over.append(login_time.is_over)
    login_time.lift()
    return ends, was_over


def test_it_ends_once_it_has_begun_and_was_not_lifted() -> None:
    assert run_simulated(1, _played(10)) == ([143], [False, False, False, False, True])
    assert run_simulated(1, _played(6)) == ([31, 139], [False, False, True, False, True])
