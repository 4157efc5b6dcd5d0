"""A backend that has each message only once in a mailbox, as Cyrus has it (RFC 8621 section 4.8, alreadyExists)."""

from __future__ import annotations

from datetime import datetime

import pytest

from connectors.api.types import MailboxRef, MessageContent, MessageState
from connectors.memory.connector import MemoryConnector


def keep_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let memory backends answer an append of what is there with the message that they have."""
    append = MemoryConnector.append

    async def append_once(
        self: MemoryConnector,
        mailbox: MailboxRef,
        content: MessageContent,
        flags: frozenset[str],
        internal_date: datetime | None,
    ) -> MessageState:
        data = b"".join([chunk async for chunk in content.chunks()])
        box = self.backend.by_ref(mailbox)
        there = [message for message in box.messages.values() if message.data == data]
        if there:
            return self.backend.state(there[0], box)
        return await append(self, mailbox, content, flags, internal_date)

    monkeypatch.setattr(MemoryConnector, "append", append_once)
