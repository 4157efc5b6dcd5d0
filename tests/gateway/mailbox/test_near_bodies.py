"""Small bodies are read with their neighbours, and are those of the message."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

from gateway.mailbox.columns import UNKNOWN, Entry
from gateway.mailbox.near_bodies import NearBodies
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.sync.engine import AccountEngine
from gateway.sync.small_bodies import BATCH_MESSAGES, SMALL_OCTETS


class Small:
    """What reads small bodies; notes what is asked of it."""

    def __init__(self) -> None:
        self.bodies: dict[int, bytes] = {}
        self.asked: list[list[int]] = []

    async def read(self, row: object, message_ids: Sequence[int]) -> dict[int, bytes]:
        self.asked.append(list(message_ids))
        return {key: self.bodies[key] for key in message_ids if key in self.bodies}


def make(small: Small) -> NearBodies:
    engine = cast(AccountEngine, SimpleNamespace(bodies=SimpleNamespace(small=small)))
    return NearBodies(cast(OpenMailbox, SimpleNamespace(row=None)), engine)


def entry(number: int, size: int) -> Entry:
    return Entry(number, 1000 + number, 0, 1, size, 0, 0, UNKNOWN)


async def test_neighbours_are_read_once_and_together() -> None:
    small = Small()
    near = make(small)
    entries = [entry(number, 10) for number in range(BATCH_MESSAGES + 3)]
    small.bodies = {one.message_id: b"%010d" % one.uid for one in entries}
    near.expect(entries)
    assert [await near.take(one) for one in entries] == list(small.bodies.values())
    assert [len(asked) for asked in small.asked] == [BATCH_MESSAGES, 3]
    # Read already and given away.
    assert await near.take(entries[0]) is None


async def test_what_is_large_unknown_missing_or_other_is_left_to_be_opened() -> None:
    small = Small()
    near = make(small)
    entries = [entry(1, 10), entry(2, SMALL_OCTETS + 1), entry(3, UNKNOWN), entry(4, 10), entry(5, 10), entry(6, 10)]
    small.bodies = {one.message_id: b"0123456789" for one in entries}
    small.bodies[1005] += b"x"
    del small.bodies[1004]
    near.expect(entries)
    taken = [await near.take(one) for one in entries]
    assert [data is not None for data in taken] == [True, False, False, False, False, True]
    assert small.asked == [[1001], [1004, 1005, 1006]]
    assert await near.take(entry(9, 10)) is None
