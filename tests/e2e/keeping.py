"""What clients rely on: a UID stands for the same octets for ever, and a message keeps its UID."""

from __future__ import annotations

from collections.abc import Iterable

from tests.e2e.raw_client import RawClient

Digests = dict[int, str]


def uids(client: RawClient, mailboxes: Iterable[str]) -> dict[str, Digests]:
    """Return what each UID of each mailbox stands for, the mailbox with its UIDVALIDITY."""
    found = {}
    for mailbox in mailboxes:
        validity = client.select(mailbox).codes()["UIDVALIDITY"]
        rows = client.fetch("1:*", "(BODY.PEEK[])")
        found[f"{mailbox} {validity}"] = {uid: repr(row["BODY[]"]) for uid, row in rows.items()}
    return found


def assert_kept(before: dict[str, Digests], after: dict[str, Digests]) -> None:
    """See that a UID that is there still is of the same message, and that no message has changed its UID."""
    assert before.keys() == after.keys()
    for mailbox, was in before.items():
        now = after[mailbox]
        was_at = {content: uid for uid, content in was.items()}
        assert {uid: now[uid] for uid in was.keys() & now.keys()} == {uid: was[uid] for uid in was.keys() & now.keys()}
        for uid, content in now.items():
            assert was_at.get(content, uid) == uid
