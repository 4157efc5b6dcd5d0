"""Waiting until the front of a stage shows what its back holds."""

from __future__ import annotations

from functools import partial

from tests.e2e.back import open_back
from tests.e2e.endpoint import Stage
from tests.e2e.raw_client import RawClient
from tests.e2e.waiting import equals, eventually

_ITEMS = ("MESSAGES", "UNSEEN")
_UID_ITEMS = ("UIDNEXT", "UIDVALIDITY")


def settled(stage: Stage, *mailboxes: str, within_s: float = 15.0) -> None:
    """Wait until the mailboxes, named as on the wire, are of the same STATUS at both ends, UIDs only if they are kept.

    Raises:
        AssertionError: they are not within `within_s` seconds.
    """
    if stage.is_direct:
        return
    items = (*_ITEMS, *_UID_ITEMS) if stage.keeps_uids else _ITEMS
    with open_back(stage) as back, RawClient.logged_in(stage.front) as front:
        for mailbox in mailboxes:
            wanted = back.status(mailbox, *items)
            eventually(partial(_status, front, mailbox, items), equals(wanted), within_s=within_s)


def _status(client: RawClient, mailbox: str, items: tuple[str, ...]) -> dict[str, int] | None:
    reply = client.command(f'STATUS "{mailbox}" ({" ".join(items)})')
    return client.status(mailbox, *items) if reply.is_ok else None
