"""What must be true of the rows at every commit. Checked by tests after each crash, and by the operator on demand."""

from __future__ import annotations

import enum
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, case, func, or_, select

from connectors.api.types import Role
from gateway.store.accounts import AccountState
from gateway.store.flags import DELETED, SEEN
from gateway.store.mailboxes import MAX_UIDNEXT
from gateway.store.tables import accounts, intents, mailboxes, messages, placements, subscribed_names, tombstones
from gateway.store.transaction import Transaction


class Rule(enum.Enum):
    """What kind of rule is broken, which decides how it can be mended (see `gateway.store.repair`)."""

    NUMBERS = "counters, UIDNEXT and mod-sequences fit the rows"
    UID_MAP = "UIDs and UIDVALIDITY are of the range that IMAP allows"
    RISEN = "what was removed stays removed"
    MISPLACED = "a placement is of a message of its account and mailbox"
    SHARED_ID = "a MAILBOXID is of one mailbox"
    CONFUSED_ID = "an id is of a message or of a thread"
    UNBOUND = "kept octets have a hash and a size"
    KEYWORDS = "keywords are in their order"
    UNREADABLE = "what is written in JSON or by name can be read"


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule that is broken, in a mailbox, or in the row `row_id` of a table."""

    rule: Rule
    text: str
    mailbox_id: int | None = None
    table: str | None = None
    row_id: int | None = None

    def __str__(self) -> str:
        return self.text if self.mailbox_id is None else f"mailbox {self.mailbox_id}: {self.text}"


_RECOUNT = (
    select(
        placements.c.mailbox_id,
        func.count(),
        func.sum(case((placements.c.flags.op("&")(SEEN) == 0, 1), else_=0)),
        func.sum(case((placements.c.flags.op("&")(DELETED) != 0, 1), else_=0)),
        func.coalesce(func.sum(messages.c.size), 0),
        func.min(placements.c.uid),
        func.max(placements.c.uid),
        func.max(placements.c.modseq),
    )
    .select_from(placements)
    .join(messages, messages.c.id == placements.c.message_id)
    .group_by(placements.c.mailbox_id)
)
_MAILBOXES = select(
    mailboxes.c.id,
    mailboxes.c.uidvalidity,
    mailboxes.c.uidnext,
    mailboxes.c.recent_uid,
    mailboxes.c.highestmodseq,
    mailboxes.c.tombstone_floor,
    mailboxes.c.messages,
    mailboxes.c.unseen,
    mailboxes.c.deleted,
    mailboxes.c.octets,
).order_by(mailboxes.c.id)
_BURIED = select(tombstones.c.mailbox_id, func.max(tombstones.c.uid), func.max(tombstones.c.modseq)).group_by(
    tombstones.c.mailbox_id
)
_RISEN = (
    select(placements.c.mailbox_id, placements.c.uid)
    .join(
        tombstones,
        and_(tombstones.c.mailbox_id == placements.c.mailbox_id, tombstones.c.uid == placements.c.uid),
    )
    .limit(100)
)
_ESTRANGED = (
    select(placements.c.mailbox_id, placements.c.uid)
    .select_from(placements)
    .join(mailboxes, mailboxes.c.id == placements.c.mailbox_id)
    .join(messages, messages.c.id == placements.c.message_id)
    .where(
        or_(
            messages.c.account_id != mailboxes.c.account_id,
            messages.c.scope_mailbox_id.not_in([0, mailboxes.c.id]),
        )
    )
    .limit(100)
)
_HOMELESS = (
    select(placements.c.mailbox_id, placements.c.uid)
    .select_from(placements.outerjoin(messages, messages.c.id == placements.c.message_id))
    .where(messages.c.id.is_(None))
    .limit(100)
)
_SHARED_IDS = (
    select(mailboxes.c.object_id)
    .join(accounts, accounts.c.id == mailboxes.c.account_id)
    .group_by(accounts.c.user_id, mailboxes.c.object_id)
    .having(func.count() > 1)
    .limit(100)
)
_threaded = messages.alias("threaded")
_CONFUSED_IDS = (
    select(messages.c.email_id)
    .join(
        _threaded,
        and_(_threaded.c.account_id == messages.c.account_id, _threaded.c.thread_id == messages.c.email_id),
    )
    .where(messages.c.email_id.is_not(None))
    .distinct()
    .limit(100)
)
_UNBOUND = (
    select(messages.c.id)
    .where(
        messages.c.kept_id.is_not(None),
        or_(messages.c.content_hash.is_(None), messages.c.size.is_(None), messages.c.size_is_exact == 0),
    )
    .limit(100)
)
_KEYWORDS = select(placements.c.keywords).distinct()


_PATHS = select(mailboxes.c.id, mailboxes.c.path, mailboxes.c.role)
_SETTINGS = select(accounts.c.id, accounts.c.name, accounts.c.settings, accounts.c.state)
_PAYLOADS = select(intents.c.id, intents.c.payload)
_SUBSCRIBED = select(subscribed_names.c.account_id, subscribed_names.c.path)


async def check(tx: Transaction) -> list[str]:
    """Return a sentence for each rule that is broken; an empty list if all is well. Reads every placement."""
    return [str(breach) for breach in await breaches(tx)]


async def breaches(tx: Transaction) -> list[Breach]:
    """Return what is broken; an empty list if all is well. Reads every placement."""
    found: list[Breach] = []
    recount, buried = await numbers_of_rows(tx)
    for row in await tx.rows(_MAILBOXES):
        found += _check_mailbox(row, recount.get(row[0]), buried.get(row[0]))
    for statement, rule, complaint in (
        (_RISEN, Rule.RISEN, "is both there and removed"),
        (_ESTRANGED, Rule.MISPLACED, "holds a message of another account or mailbox"),
        (_HOMELESS, Rule.MISPLACED, "holds a message that does not exist"),
    ):
        uids: dict[int, list[int]] = defaultdict(list)
        for mailbox_id, uid in await tx.rows(statement):
            uids[mailbox_id].append(uid)
        found += [Breach(rule, f"UID {uid} {complaint}", key) for key in uids for uid in uids[key]]
    for (object_id,) in await tx.rows(_SHARED_IDS):
        found.append(Breach(Rule.SHARED_ID, f"MAILBOXID {object_id} is shared"))
    for (object_id,) in await tx.rows(_CONFUSED_IDS):
        found.append(Breach(Rule.CONFUSED_ID, f"{object_id} is both EMAILID and THREADID"))
    for (key,) in await tx.rows(_UNBOUND):
        found.append(
            Breach(Rule.UNBOUND, f"message {key} has kept octets of unknown hash or size", None, "messages", key)
        )
    for (keywords,) in await tx.rows(_KEYWORDS):
        if keywords != " ".join(sorted(keywords.split())):
            found.append(Breach(Rule.KEYWORDS, f"keywords {keywords!r} are not in their order"))
    return found + await _unreadable(tx)


async def numbers_of_rows(tx: Transaction) -> tuple[dict[int, tuple[int, ...]], dict[int, tuple[int, ...]]]:
    """Return by mailbox what its rows add up to.

    Of placements: messages, unseen, deleted, octets, lowest UID, highest UID, highest mod-sequence; of tombstones:
    highest UID, highest mod-sequence.
    """
    return (
        {row[0]: row[1:] for row in await tx.rows(_RECOUNT)},
        {row[0]: row[1:] for row in await tx.rows(_BURIED)},
    )


def _check_mailbox(
    row: tuple[int, ...], counted: tuple[int, ...] | None, buried: tuple[int, ...] | None
) -> list[Breach]:
    mailbox_id, uidvalidity, uidnext, recent_uid, highestmodseq, floor = row[:6]
    counters = row[6:]
    found: list[tuple[Rule, str]] = []
    if not 0 < uidvalidity < 2**32:
        found.append((Rule.UID_MAP, f"UIDVALIDITY {uidvalidity} is out of range"))
    if not 0 < uidnext <= MAX_UIDNEXT:
        rule = Rule.UID_MAP if uidnext > MAX_UIDNEXT else Rule.NUMBERS
        found.append((rule, f"UIDNEXT {uidnext} is out of range"))
    if recent_uid > uidnext:
        found.append((Rule.NUMBERS, f"the first recent UID {recent_uid} is beyond UIDNEXT {uidnext}"))
    if not 0 < floor <= highestmodseq < 2**63:
        text = f"HIGHESTMODSEQ {highestmodseq} and the floor {floor} of its tombstones do not fit"
        found.append((Rule.NUMBERS, text))
    recounted = (0, 0, 0, 0) if counted is None else counted[:4]
    if tuple(counters) != tuple(recounted):
        text = f"counters say {tuple(counters)}, a recount {tuple(recounted)}"
        found.append((Rule.NUMBERS, f"messages, unseen, deleted, octets: {text}"))
    if counted is not None:
        lowest, highest, modseq = counted[4:]
        if lowest < 1 or highest >= uidnext:
            rule = Rule.NUMBERS if lowest > 0 and highest < MAX_UIDNEXT else Rule.UID_MAP
            found.append((rule, f"UIDs {lowest}..{highest} are not below UIDNEXT {uidnext}"))
        if modseq > highestmodseq:
            found.append((Rule.NUMBERS, f"mod-sequence {modseq} is above HIGHESTMODSEQ {highestmodseq}"))
    if buried is not None and (buried[0] >= uidnext or buried[1] > highestmodseq):
        text = f"a tombstone has UID {buried[0]} or mod-sequence {buried[1]}, beyond what was given out"
        found.append((Rule.NUMBERS, text))
    return [Breach(rule, text, mailbox_id) for rule, text in found]


async def _unreadable(tx: Transaction) -> list[Breach]:
    found: list[Breach] = []
    for mailbox_id, path, role in await tx.rows(_PATHS):
        if not is_readable_path(path):
            found.append(Breach(Rule.UNREADABLE, f"its name {path!r} cannot be read", mailbox_id))
        if role is not None and not _can(Role, role):
            found.append(Breach(Rule.UNREADABLE, f"its role {role!r} does not exist", mailbox_id))
    for account_id, name, settings, state in await tx.rows(_SETTINGS):
        if not _is_object(settings):
            found.append(
                Breach(Rule.UNREADABLE, f"the settings of account {name} cannot be read", None, "accounts", account_id)
            )
        if not _can(AccountState, state):
            found.append(Breach(Rule.UNREADABLE, f"the state {state!r} of account {name} does not exist"))
    for intent_id, payload in await tx.rows(_PAYLOADS):
        if not _is_object(payload):
            found.append(
                Breach(Rule.UNREADABLE, f"write {intent_id} left open cannot be read", None, "intents", intent_id)
            )
    for account_id, path in await tx.rows(_SUBSCRIBED):
        if not is_readable_path(path):
            text = f"the subscribed name {path!r} cannot be read"
            found.append(Breach(Rule.UNREADABLE, text, None, "subscribed_names", account_id))
    return found


def _can(read: Callable[[Any], object], value: object) -> bool:
    try:
        read(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_object(text: object) -> bool:
    return _can(json.loads, text) and isinstance(json.loads(str(text)), dict)


def is_readable_path(text: object) -> bool:
    """Tell whether a mailbox's name is written as it should be: a JSON list of components."""
    if not _can(json.loads, text):
        return False
    path = json.loads(str(text))
    return isinstance(path, list) and bool(path) and all(isinstance(component, str) for component in path)
