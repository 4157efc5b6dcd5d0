from __future__ import annotations

import pytest

from gateway.wire.codes import Status
from gateway.wire.uid_batches import UidBatches
from tests.gateway.wire.reading import parse, refusal


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"UIDBATCHES 2000", UidBatches(2000)),
        (b"uidbatches 2000 10:20", UidBatches(2000, (10, 20))),
        (b"UIDBATCHES 500 3:3", UidBatches(500, (3, 3))),
        (b"UIDBATCHES 500 5:3", UidBatches(500, (5, 3))),
    ],
)
def test_uid_batches(line: bytes, command: UidBatches) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "arguments", [b"", b" ", b" abc", b" 0", b" 2000 10", b" 2000 0:20", b" 2000 1:0", b" 2000 1:*", b" 2000 1:2 x"]
)
def test_wrong_arguments_are_refused(arguments: bytes) -> None:
    assert refusal(b"UIDBATCHES" + arguments).status is Status.BAD
