"""Mailboxes as labels (X-GM-EXT-1): what stands for which, and which of them a message has.

Only for accounts whose backend has Gmail's ids (`Capabilities.gmail_ids`). There a message is in every mailbox whose
label it has, so the labels of a message are the names of the mailboxes that hold it. All Mail is no label. Labels are
named as in the account, without the level above that several accounts of a user have.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from connectors.api.types import Role
from gateway.mailbox import names
from gateway.store import mailboxes, messages, object_ids, placements
from gateway.store.mailboxes import MailboxRow
from gateway.store.transaction import Transaction
from gateway.wire.gmail import MAX_ID, Label, SystemLabel

_LABELS = {
    Role.INBOX: SystemLabel.INBOX,
    Role.SENT: SystemLabel.SENT,
    Role.DRAFTS: SystemLabel.DRAFT,
    Role.FLAGGED: SystemLabel.STARRED,
    Role.IMPORTANT: SystemLabel.IMPORTANT,
    Role.TRASH: SystemLabel.TRASH,
    Role.JUNK: SystemLabel.SPAM,
}

LASTING = frozenset({SystemLabel.SENT, SystemLabel.DRAFT})
"""Labels that belong to what a message is: a client that names all the labels it wants does not mean these to go."""


class GmailIds(NamedTuple):
    """X-GM-MSGID and X-GM-THRID; None where the backend has told none."""

    message: int | None
    thread: int | None


def label_of(row: MailboxRow) -> Label | None:
    """Return the label that a mailbox stands for; None if for none."""
    if row.role is Role.ALL or not row.is_selectable:
        return None
    if row.path == (names.INBOX,):
        return SystemLabel.INBOX
    return _LABELS.get(row.role, names.join(row.path)) if row.role is not None else names.join(row.path)


def rows_by_label(rows: Iterable[MailboxRow]) -> dict[Label, MailboxRow]:
    """Return the mailboxes that stand for labels."""
    return {label: row for row in rows if (label := label_of(row)) is not None}


async def labels_of(tx: Transaction, row: MailboxRow, message_ids: Iterable[int]) -> dict[int, list[Label]]:
    """Return the labels of messages but for that of the mailbox `row` itself, which Gmail leaves out.

    System labels come first, then the others in alphabetical order. A message without labels is left out.
    """
    labels = {other.id: label_of(other) for other in await mailboxes.mailboxes_of(tx, row.account_id)}
    found: defaultdict[int, list[Label]] = defaultdict(list)
    for mailbox_id, _, message_id, *_ in await placements.by_message_ids(tx, message_ids):
        label = labels.get(mailbox_id)
        if label is not None and mailbox_id != row.id:
            found[message_id].append(label)
    for held in found.values():
        held.sort(key=_order)
    return dict(found)


def _order(label: Label) -> tuple[int, str]:
    return (0, label.value) if isinstance(label, SystemLabel) else (1, label)


async def gmail_ids(tx: Transaction, message_ids: Sequence[int]) -> dict[int, GmailIds]:
    """Return the ids of those messages that exist."""
    refs = await messages.refs_by_ids(tx, message_ids)
    threads = await messages.object_ids(tx, message_ids)
    return {key: GmailIds(_number(ref), _thread(threads[key].thread_id)) for key, ref in refs.items() if key in threads}


def _thread(told: str | None) -> int | None:
    return None if told is None else _number(object_ids.backend_id(told))


def _number(text: str) -> int | None:
    """Return an id written in hex; None for what is none, such as the ref of a message that was replaced."""
    try:
        value = int(text, 16)
    except ValueError:
        return None
    return value if 0 <= value <= MAX_ID and _hex(value) == text else None


def _hex(number: int) -> str:
    return f"{number:x}"


async def with_message_id(tx: Transaction, row: MailboxRow, number: int) -> list[int]:
    """Return the UIDs of the mailbox's messages with that X-GM-MSGID: one or none."""
    return [uid for _, uid, *_ in await placements.by_refs(tx, row.id, [_hex(number)])]


async def with_thread_id(tx: Transaction, row: MailboxRow, number: int) -> list[int]:
    """Return the UIDs of the mailbox's messages with that X-GM-THRID."""
    naming = await object_ids.naming_of(tx, row.account_id)
    told = naming.told(object_ids.Kind.THREAD, _hex(number))
    return await placements.by_thread_id(tx, row.id, told) if told is not None else []


async def with_label(tx: Transaction, row: MailboxRow, label: Label) -> set[int]:
    """Return the ids of the messages that have a label; of the mailbox's own label, all that are in it."""
    holder = rows_by_label(await mailboxes.mailboxes_of(tx, row.account_id)).get(label)
    if holder is None:
        return set()
    return {message_id for _, _, message_id, *_ in await placements.refs_of(tx, holder.id)}


def changes(
    wanted: Collection[Label], held: Mapping[int, Sequence[Label]], message_ids: Iterable[int]
) -> tuple[dict[Label, list[int]], dict[Label, list[int]]]:
    """Return which labels which messages lack, and which they have too many, if they are to have exactly `wanted`.

    `LASTING` labels stay.
    """
    lacking: defaultdict[Label, list[int]] = defaultdict(list)
    surplus: defaultdict[Label, list[int]] = defaultdict(list)
    for message_id in message_ids:
        labels = held.get(message_id, ())
        for label in wanted:
            if label not in labels:
                lacking[label].append(message_id)
        for label in labels:
            if label not in wanted and label not in LASTING:
                surplus[label].append(message_id)
    return dict(lacking), dict(surplus)
