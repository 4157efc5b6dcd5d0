from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    "tests.gateway.mailbox.history",
    "tests.gateway.mailbox.restless_gmail",
    "tests.gateway.mailbox.restless_graph",
    "tests.gateway.mailbox.restless_jmap",
    "tests.gateway.mailbox.watched_graph",
)

from tests.stack import Stack, running_stack  # noqa: E402


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    async with running_stack(tmp_path) as running:
        yield running
