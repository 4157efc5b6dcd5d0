from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import ErrorKind, MailError
from gateway.mailbox.fetch import Needs
from tests.stack import INBOX, LAYOUTS, Stack, message, silence, subjects, until_held


@pytest.mark.parametrize("needs", [Needs(envelope=True), Needs(body=True)], ids=["envelope", "body"])
@pytest.mark.parametrize("settings", LAYOUTS)
async def test_a_message_that_is_not_found_at_the_backend_is_soon_told_to_be_gone(
    stack: Stack, settings: dict[str, Any], needs: Needs
) -> None:
    backend = await stack.add_account(**settings)
    ref = backend.deliver(INBOX, message(1))
    view = await stack.open()
    await until_held(view, 1)
    await silence(stack, backend)
    backend.remove(INBOX, ref)
    if needs.body:
        with pytest.raises(MailError) as gone:
            await subjects(view)
        assert gone.value.kind is ErrorKind.NOT_FOUND
    else:
        assert [row async for block in view.fetch([1], needs) for row in block] == []
    await until_held(view, 0)
