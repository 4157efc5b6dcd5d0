"""Changes of an account where a message can be in several mailboxes."""

from __future__ import annotations

from tests.stack import INBOX, Stack, message, next_changes, subjects, until_held


async def test_a_message_whose_octets_change_is_one_new_message_wherever_it_is(stack: Stack) -> None:
    backend = await stack.add_account(layout="labels")
    ref = backend.deliver(INBOX, message(1))
    for name in ("Archive", "Junk"):
        backend.copy(backend.mailbox(INBOX), ref, backend.mailbox((name,)))
    views = [await stack.open(name) for name in ("INBOX", "Archive", "Junk")]
    for view in views:
        await until_held(view, 1)
    backend.replace(INBOX, ref, message(2))
    for view in views:
        assert (await next_changes(view)).expunged
        await until_held(view, 1)
        assert await subjects(view) == {2: message(2)}
    assert await stack.check() == []
