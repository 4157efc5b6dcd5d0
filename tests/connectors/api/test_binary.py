from __future__ import annotations

import pytest

from connectors.api.binary import has_zeros, reason_of_refusal
from connectors.api.errors import BinaryContent, ConnectorError, Denied, Rejected
from connectors.api.types import BytesContent

LARGE = b"x" * (1 << 20)


@pytest.mark.parametrize(("octets", "expected"), [(b"", False), (LARGE, False), (b"\0", True), (LARGE + b"\0", True)])
async def test_an_octet_that_is_0_is_found_wherever_it_is(octets: bytes, expected: bool) -> None:
    assert await has_zeros(BytesContent(octets)) is expected


@pytest.mark.parametrize(
    ("error", "octets", "kind"),
    [
        (Rejected("no"), b"x\0", BinaryContent),
        (Rejected("no"), b"x", Rejected),
        # A reason that is known stays what it is.
        (Denied("no"), b"x\0", Denied),
    ],
)
async def test_a_refusal_without_a_reason_is_laid_to_them(
    error: ConnectorError, octets: bytes, kind: type[ConnectorError]
) -> None:
    told = await reason_of_refusal(error, BytesContent(octets))
    assert type(told) is kind
    assert told.operator_text == error.operator_text
