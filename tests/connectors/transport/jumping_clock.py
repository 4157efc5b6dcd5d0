"""A clock whose sleep takes no time but moves the clock."""

from __future__ import annotations

import asyncio

from tests.manual_clock import ManualClock


class JumpingClock(ManualClock):
    """`slept` lists how long was slept, in the order in which the sleeps began."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)
        await asyncio.sleep(0)


async def settle() -> None:
    """Let every task run until all wait for something."""
    for _ in range(20):
        await asyncio.sleep(0)
