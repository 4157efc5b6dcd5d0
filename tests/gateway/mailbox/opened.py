"""A mailbox at a backend with folders, opened in a session."""

from __future__ import annotations

from connectors.api.types import MessageRef
from gateway.mailbox.view import View
from tests.stack import INBOX, Stack, message


async def opened(stack: Stack, count: int = 5) -> View:
    """Return a view of INBOX with so many messages."""
    backend = await stack.add_account("work", layout="folders")
    for number in range(count):
        backend.deliver(INBOX, message(number))
    return await stack.open()


def refs(stack: Stack) -> list[MessageRef]:
    """Return the refs of what is in that INBOX, oldest first."""
    backend = stack.backends["work"]
    return [MessageRef(one) for one in backend.mailbox(INBOX).messages]
