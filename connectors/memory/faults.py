"""Trouble on request: what a test asks a memory backend to do wrong, and what it counts."""

from __future__ import annotations

import asyncio
import enum
from collections import Counter, deque

from connectors.api.errors import ConnectorError, OutcomeUnknown, Unavailable
from connectors.api.types import MessageRef


class Operation(enum.Enum):
    """The calls of a connector, by the names of its methods."""

    OPEN = "open"
    LIST_MAILBOXES = "list_mailboxes"
    POSITION = "position"
    LISTING = "listing"
    LIST_ACCOUNT = "list_account"
    CHANGES = "changes"
    STATES = "states"
    OUTLINES = "outlines"
    FETCH = "fetch"
    FETCH_MANY = "fetch_many"
    STORE_FLAGS = "store_flags"
    APPEND = "append"
    APPEND_MANY = "append_many"
    COPY = "copy"
    MOVE = "move"
    EXPUNGE = "expunge"
    CREATE_MAILBOX = "create_mailbox"
    RENAME_MAILBOX = "rename_mailbox"
    DELETE_MAILBOX = "delete_mailbox"
    SUBSCRIBE = "subscribe"
    SEARCH_TEXT = "search_text"
    SEARCH_NATIVE = "search_native"
    QUOTA = "quota"
    WATCH = "watch"


class Gate:
    """Holds calls back between `Faults.hold` and `release`."""

    def __init__(self) -> None:
        self._reached = asyncio.Event()
        self._opened = asyncio.Event()

    async def reached(self) -> None:
        """Wait until a call stands at the gate."""
        await self._reached.wait()

    def release(self) -> None:
        """Let through whoever stands at the gate or comes later."""
        self._opened.set()

    async def pass_through(self) -> None:
        self._reached.set()
        await self._opened.wait()


class Faults:
    """Switches for one backend. Nothing here waits by the clock: a call is held until it is released.

    `is_offline` makes every call raise `Unavailable`; `MemoryBackend.set_offline` sets it and ends the watches.
    `calls` counts the calls by operation, failed ones included.
    `refused` holds messages whose writes fail with the given error while the rest of the batch is done.
    """

    def __init__(self) -> None:
        self.is_offline = False
        self.calls: Counter[Operation] = Counter()
        self.refused: dict[MessageRef, ConnectorError] = {}
        self._before: dict[Operation, deque[ConnectorError]] = {}
        self._after: dict[Operation, deque[ConnectorError]] = {}
        self._gates: dict[tuple[Operation, bool], Gate] = {}

    def fail_next(self, operation: Operation, *errors: ConnectorError) -> None:
        """Let the next calls fail with these errors, one each, nothing being done."""
        self._before.setdefault(operation, deque()).extend(errors)

    def fail_after_doing(self, operation: Operation, error: ConnectorError | None = None) -> None:
        """Let the next call do its work and then fail, with `OutcomeUnknown` unless told otherwise."""
        lost = error or OutcomeUnknown(f"the connection was lost during {operation.value}")
        self._after.setdefault(operation, deque()).append(lost)

    def hold(self, operation: Operation, *, is_after: bool = False) -> Gate:
        """Hold back calls of `operation`, before the work or with `is_after` behind it, and return the gate."""
        gate = Gate()
        self._gates[operation, is_after] = gate
        return gate

    def release(self, operation: Operation, *, is_after: bool = False) -> None:
        """Remove the gate of `operation` and let through whoever stands at it."""
        gate = self._gates.pop((operation, is_after), None)
        if gate is not None:
            gate.release()

    async def before(self, operation: Operation) -> None:
        """Run what was asked for before the work of a call. Called by the connector."""
        self.calls[operation] += 1
        gate = self._gates.get((operation, False))
        if gate is not None:
            await gate.pass_through()
        self.check_online(operation)
        _raise_next(self._before.get(operation))

    async def after(self, operation: Operation) -> None:
        """Run what was asked for behind the work of a call. Called by the connector."""
        gate = self._gates.get((operation, True))
        if gate is not None:
            await gate.pass_through()
        _raise_next(self._after.get(operation))

    def check_online(self, operation: Operation) -> None:
        if self.is_offline:
            raise Unavailable(f"the memory backend is offline; {operation.value} was asked for")


def _raise_next(errors: deque[ConnectorError] | None) -> None:
    if errors:
        raise errors.popleft()
