from __future__ import annotations

from dataclasses import replace

from gateway.mailbox.known_names import KnownNames
from tests.stack import Stack

OWNER = ((1, "work", True),)


async def test_a_name_is_known_until_its_mailbox_is_called_otherwise(stack: Stack) -> None:
    await stack.add_account()
    row = (await stack.open())._mailbox.row
    names = KnownNames()
    assert names.find(OWNER, "INBOX") is None
    names.note(OWNER, "INBOX", row)
    assert names.find(OWNER, "INBOX") == row.id
    assert names.find((), "INBOX") is None
    assert names.is_still(OWNER, "INBOX", replace(row, highestmodseq=row.highestmodseq + 1))
    assert not names.is_still(OWNER, "INBOX", replace(row, path=("Old",)))
    assert names.find(OWNER, "INBOX") is None


async def test_a_mailbox_that_was_renamed_or_deleted_is_not_found_by_its_old_name(stack: Stack) -> None:
    await stack.add_account()
    mail = await stack.user()
    await mail.create("A")
    await mail.status("A")
    await mail.rename("A", "B")
    await mail.create("A")
    first, second = await mail.status("A"), await mail.status("B")
    assert first.mailbox_id != second.mailbox_id
