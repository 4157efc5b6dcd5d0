from __future__ import annotations

import pytest

from gateway.wire.codes import Status
from gateway.wire.context import CancelUpdate
from tests.gateway.wire.reading import parse, refusal


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b'CANCELUPDATE "B01"', CancelUpdate(("B01",))),  # RFC 5267 section 4.3.5
        (b'cancelupdate "B01" "a.2" "none \\"at all\\""', CancelUpdate(("B01", "a.2", 'none "at all"'))),
    ],
)
def test_commands(line: bytes, command: CancelUpdate) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"CANCELUPDATE",
        b"CANCELUPDATE B01",
        b'CANCELUPDATE ("B01")',
        b'CANCELUPDATE "B01" B02',
        b"CANCELUPDATE {3+}\r\nB01",
        b'UID CANCELUPDATE "B01"',
    ],
)
def test_what_is_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD
