"""The reader, fed with what no client in its right mind would send."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.wire.limits import Limits
from gateway.wire.reader import BadCommand, CommandReader, ContinuationNeeded, FatalError, ReadCommand
from tests.gateway.wire.reading import Spools
from tests.hostile import AFTER_LOGIN, BEFORE_LOGIN, hostile_inputs

COMMANDS = (*BEFORE_LOGIN, *AFTER_LOGIN)
SEEDS = 20
PER_SEED = 5_000
BYSTANDER = b"\r\n\r\nbystander NOOP\r\n"
LIMITS = Limits(line_octets=2000, literal_octets=2000, append_octets=2000)


def read(reader: CommandReader, data: bytes) -> list[object]:
    reader.feed(data)
    events: list[object] = []
    while (event := reader.next_command()) is not None:
        events.append(event)
        assert len(events) <= len(data)
        if isinstance(event, FatalError):
            break
    return events


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_hundred_thousand_inputs_are_answered_and_forgotten(seed: int) -> None:
    """Each on a reader that lives on, which is to find its way back to the next command."""
    seen: Counter[type] = Counter()
    appended = 0
    spools = Spools()
    reader = CommandReader(LIMITS, spools)
    for data in hostile_inputs(random.Random(seed), PER_SEED, COMMANDS):
        events = read(reader, data + BYSTANDER)
        seen.update(type(event) for event in events)
        appended += sum(isinstance(event, ReadCommand) and event.name == "APPEND" for event in events)
        assert reader.buffered_octets <= len(data) + len(BYSTANDER)
        match events[-1] if events else None:
            case ReadCommand("bystander", _, "NOOP"):
                continue
            case FatalError():
                pass
            case _:
                # A literal, or a message, has swallowed it: the end of that is the end of the connection.
                assert reader.next_command() is None
        reader.discard_input()
        reader = CommandReader(LIMITS, spools)
    # Nothing that was uploaded is left lying about.
    assert sum(spool.is_aborted for spool in spools.made) + appended >= len(spools.made) > 0
    assert {ReadCommand, BadCommand, ContinuationNeeded, FatalError} == seen.keys()


@settings(max_examples=300)
@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from(COMMANDS)), max_size=20), st.binary(max_size=5))
def test_octets_between_commands_are_answered_however_they_are_cut(parts: list[bytes], between: bytes) -> None:
    data = between.join(parts) + b"\r\n"
    whole = read(CommandReader(LIMITS, Spools()), data)
    reader = CommandReader(LIMITS, Spools())
    piecemeal = [event for octet in data for event in read(reader, bytes([octet]))]
    assert [type(event) for event in piecemeal] == [type(event) for event in whole]
