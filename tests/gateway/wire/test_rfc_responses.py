"""Every response that the RFCs show is understood, however it comes in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.wire.response_reader import ResponseReader
from gateway.wire.responses import Event, MalformedData, ResponseCode, StatusResponse, TaggedResponse, UnknownData

_FILE = Path(__file__).parents[2] / "vectors" / "wire" / "rfc_responses.txt"


def examples() -> Iterator[object]:
    rfc = ""
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith("# RFC "):
            rfc = line[6:]
        elif line and not line.startswith("#"):
            yield pytest.param(line, id=f"{rfc}: {line}")


EXAMPLES = list(examples())


def test_there_are_many() -> None:
    assert len(EXAMPLES) > 400


def read(line: str, step: int) -> list[Event]:
    data = line.encode() + b"\r\n"
    reader = ResponseReader()
    seen: list[Event] = []
    for start in range(0, len(data), step):
        reader.feed(data[start : start + step])
        while (event := reader.next_event()) is not None:
            seen.append(event)
    return seen


@pytest.mark.parametrize("line", EXAMPLES)
def test_an_example_of_an_rfc_is_understood(line: str) -> None:
    (event,) = read(line, 1 << 16)
    assert read(line, 1) == [event]
    assert not isinstance(event, MalformedData | UnknownData)
    if isinstance(event, StatusResponse | TaggedResponse):
        assert isinstance(event.code, ResponseCode)
