"""Waiting for what blocks: logins by MSAL, which may take as long as a service that is out of reach."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def in_own_thread(work: Callable[[], T]) -> T:
    """Do something that blocks in a thread of its own; return its result, or raise what it raises.

    Not in the pool of the event loop: that has few threads, which read and write everybody's mail, and a few accounts
    whose logins hang would bring all of it to a halt. Who is cancelled leaves the work to end unseen.
    """
    outcome: Future[T] = Future()
    # From here on it cannot be cancelled any more, only abandoned.
    outcome.set_running_or_notify_cancel()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as exc:
            outcome.set_exception(exc)
        else:
            outcome.set_result(result)

    threading.Thread(target=run, name="graph login", daemon=True).start()
    return await asyncio.wrap_future(outcome)
