from __future__ import annotations

from gateway.mailbox.statuses import read_statuses
from gateway.wire.commands import StoreAction
from tests.stack import INBOX, Stack, message


async def test_figures_are_those_of_the_counters_and_a_mailbox_that_is_gone_is_left_out(stack: Stack) -> None:
    backend = await stack.add_account()
    for number in range(3):
        backend.deliver(INBOX, message(number))
    view = await stack.open()
    await view.store([1, 2], StoreAction.ADD, ["\\Seen", "\\Deleted"])
    found = await read_statuses(stack.store, {view.mailbox_id: 3, 10**6: 0}, lambda _: 77, needs_size=True)
    assert found.keys() == {view.mailbox_id}
    status = found[view.mailbox_id]
    assert (status.messages, status.unseen, status.deleted, status.uidnext, status.append_limit) == (3, 1, 2, 4, 77)
    assert status.highestmodseq == view.max_modseq([1])
    alone = await read_statuses(stack.store, {view.mailbox_id: 3}, lambda _: 77, needs_size=False)
    assert alone[view.mailbox_id].recent == status.recent <= 1
