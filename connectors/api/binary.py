"""Messages with octets that are 0. Mail has none (RFC 5322 section 2.3), but some is sent with them all the same."""

from __future__ import annotations

from connectors.api.errors import BinaryContent, ConnectorError, Rejected
from connectors.api.types import MessageContent


async def has_zeros(content: MessageContent) -> bool:
    """Tell whether one of the octets is 0."""
    async for chunk in content.chunks():
        if b"\0" in chunk:
            return True
    return False


async def reason_of_refusal(error: ConnectorError, content: MessageContent) -> ConnectorError:
    """Return the error with which to tell that a backend refused a message: `BinaryContent` where that may be why.

    Few backends say so in a way that can be told from other reasons.
    """
    if type(error) is Rejected and await has_zeros(content):
        return BinaryContent(error.operator_text)
    return error
