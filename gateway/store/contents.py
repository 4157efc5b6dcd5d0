"""Which octets a message has, where the backend keeps none and composes it anew at each reading.

The first copy that was served stays the truth of its UID, and before all that which a client appended. `content_hash`
is the SHA-256 of those octets; `kept_id` names the file that holds them for good (`gateway.store.kept_bodies`), where
they were appended: it is the id of the append's intent, and messages that are copies of one another share it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import bindparam, select, update

from gateway.store import messages as message_rows
from gateway.store import placements as placed
from gateway.store.messages import MessageRow, MessageValues
from gateway.store.statements import is_in
from gateway.store.tables import intents, messages, placements
from gateway.store.transaction import Transaction

_HASHES = select(messages.c.id, messages.c.content_hash).where(is_in(messages.c.id, "ids"))
_CLAIM = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"), messages.c.content_hash.is_(None))
    .values(content_hash=bindparam("new_hash"))
)
_KEPT = select(messages.c.id, messages.c.kept_id).where(is_in(messages.c.id, "ids"), messages.c.kept_id.is_not(None))
_KEEP = (
    update(messages)
    .where(messages.c.id == bindparam("message_id"))
    .values(content_hash=bindparam("new_hash"), kept_id=bindparam("new_kept_id"))
)
_KEPT_CONTENTS = select(messages.c.id, messages.c.content_hash, messages.c.kept_id, messages.c.size).where(
    is_in(messages.c.id, "ids"), messages.c.kept_id.is_not(None)
)
_IN_USE = (
    select(messages.c.kept_id)
    .where(messages.c.account_id == bindparam("account_id"), messages.c.kept_id.is_not(None))
    .union(select(intents.c.id).where(intents.c.account_id == bindparam("account_id")))
)
_USER = (
    select(messages.c.id)
    .where(messages.c.account_id == bindparam("account_id"), messages.c.kept_id == bindparam("kept_id"))
    .limit(1)
)
_HOLDERS = (
    select(
        placements.c.message_id,
        placements.c.mailbox_id,
        placements.c.uid,
        placements.c.flags,
        placements.c.keywords,
        placements.c.save_date,
    )
    .where(is_in(placements.c.message_id, "ids"))
    .order_by(placements.c.mailbox_id, placements.c.uid)
)
_SET_THREAD = (
    update(messages).where(messages.c.id == bindparam("message_id")).values(thread_id=bindparam("new_thread_id"))
)


@dataclass(slots=True)
class Renewed:
    """A message under new UIDs: its new id, and the UID in each mailbox that holds it."""

    message_id: int
    uids: dict[int, int] = field(default_factory=dict)


async def claim(tx: Transaction, hashes: Mapping[int, bytes]) -> set[int]:
    """Record the SHA-256 of octets that are about to be served, by message id; return the ids that have others.

    What was recorded first stays. Messages that do not exist are passed over.
    """
    known: dict[int, bytes | None] = dict(await tx.rows(_HASHES, ids=list(hashes)))
    new = [key for key, known_hash in known.items() if known_hash is None]
    await tx.execute_many(_CLAIM, [{"message_id": key, "new_hash": hashes[key]} for key in new])
    return {key for key, known_hash in known.items() if known_hash is not None and known_hash != hashes[key]}


async def kept_ids(tx: Transaction, ids: Iterable[int]) -> dict[int, int]:
    """Return the name of the kept octets by message id; messages that have none are left out."""
    return dict(await tx.rows(_KEPT, ids=list(ids)))


async def keep(tx: Transaction, message_id: int, kept_id: int, content_hash: bytes, size: int) -> None:
    """Bind a message for good to octets that were appended."""
    await tx.execute(_KEEP, message_id=message_id, new_hash=content_hash, new_kept_id=kept_id)
    await message_rows.set_sizes(tx, {message_id: size})


async def share(tx: Transaction, pairs: Iterable[tuple[int, int]]) -> set[int]:
    """Bind copies to the kept octets of their originals; the pairs are message ids (original, copy).

    A copy of which other octets were served keeps those. Returns the copies that share now.
    """
    wanted = {copy: original for original, copy in pairs if copy != original}
    kept = {row[0]: row[1:] for row in await tx.rows(_KEPT_CONTENTS, ids=list(wanted.values()))}
    claims = {copy: kept[original][0] for copy, original in wanted.items() if original in kept}
    others = await claim(tx, claims)
    sharing = set(await message_rows.refs_by_ids(tx, claims)) - others
    for copy in sorted(sharing):
        content_hash, kept_id, size = kept[wanted[copy]]
        await keep(tx, copy, kept_id, content_hash, size)
    return sharing


async def kept_in_use(tx: Transaction, account_id: int) -> set[int]:
    """Return the names of kept octets that a message of the account has, or an append under way may give it."""
    return {row[0] for row in await tx.rows(_IN_USE, account_id=account_id)}


async def with_kept(tx: Transaction, ids: Iterable[int]) -> set[int]:
    """Return those of the messages that have kept octets."""
    return {row[0] for row in await tx.rows(_KEPT, ids=list(ids))}


async def is_in_use(tx: Transaction, account_id: int, kept_id: int) -> bool:
    """Whether a message of the account has kept octets of this name."""
    return await tx.row(_USER, account_id=account_id, kept_id=kept_id) is not None


async def renew(tx: Transaction, ids: Iterable[int]) -> dict[int, Renewed]:
    """Give messages whose octets are others now new UIDs, wherever they are; return what became of each.

    The old rows stay, without their refs, until no session needs them (see `messages.retire`). Flags and dates are
    taken over, EMAILID is not (RFC 8474 section 5.1). Messages that were retired before, or are nowhere, are left out.
    """
    rows = await message_rows.message_rows(tx, ids)
    current = {key: row for key, row in rows.items() if not message_rows.is_retired(row.ref)}
    await message_rows.retire(tx, current)
    renewed: dict[int, Renewed] = {}
    removed: dict[int, list[int]] = defaultdict(list)
    added: dict[int, list[tuple[int, placed.NewPlacement]]] = defaultdict(list)
    for key, mailbox_id, uid, flags, keywords, save_date in await tx.rows(_HOLDERS, ids=list(current)):
        if key not in renewed:
            renewed[key] = Renewed(await _successor(tx, current[key]))
        removed[mailbox_id].append(uid)
        added[mailbox_id].append((key, (renewed[key].message_id, flags, keywords, None, save_date)))
    for mailbox_id, uids in removed.items():
        await placed.remove_placements(tx, mailbox_id, uids)
        given, _ = await placed.insert_placements(tx, mailbox_id, [new for _, new in added[mailbox_id]])
        for (key, _), uid in zip(added[mailbox_id], given, strict=True):
            renewed[key].uids[mailbox_id] = uid
    return renewed


async def _successor(tx: Transaction, row: MessageRow) -> int:
    """Insert the row that has the ref from now on, and return its id."""
    values = MessageValues(row.ref, row.internal_date, row.internal_zone, row.size, size_is_exact=False)
    ids = await message_rows.upsert_messages(tx, row.account_id, row.scope_mailbox_id, [values])
    # As it is stored: it was made what clients are told when it was stored first.
    await tx.execute(_SET_THREAD, message_id=ids[row.ref], new_thread_id=row.thread_id)
    return ids[row.ref]
