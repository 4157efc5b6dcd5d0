"""SEARCH: keys are worked out over whole sets of UIDs, the cheap ones first, each on what the others left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, assert_never

from connectors.api import errors
from connectors.api.abilities import NativeSearch, TextQuery, TextSearch
from connectors.api.types import MessageRef
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox import labelling
from gateway.mailbox.columns import UNKNOWN, Columns
from gateway.mailbox.completer import Completer, Needs
from gateway.mailbox.flag_sets import RECENT
from gateway.mailbox.label_listing import have_listed
from gateway.message.octets import Buffer
from gateway.message.scan import scan
from gateway.message.text import all_header_text, body_text, header_text, normalise, sent_date
from gateway.store import messages, outlines, placements
from gateway.sync.bodies import Wanted
from gateway.sync.context import ref_of
from gateway.wire import search as keys
from gateway.wire.search import SearchKey
from gateway.wire.sequence_set import SequenceSet

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

BLOCK = 250
"""Messages per query of headers."""

IN_THREAD_OCTETS = 64 << 10
"""From this size on a message is searched beside the event loop: decoding 64 KiB takes about a millisecond."""

Uids = frozenset[int]


@dataclass(frozen=True, slots=True)
class Scope:
    """What a search looks at: the view's UIDs ascending, its recent ones, and the saved result of `$`."""

    uids: Sequence[int]
    recent: Uids
    saved: Uids
    now: datetime


class Searcher:
    """Works out one search. Call `run` once."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine, scope: Scope) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._scope = scope
        self._headers: dict[int, bytes] = {}

    async def run(self, key: SearchKey) -> list[int]:
        """Return the UIDs that match, ascending.

        Raises:
            MailError: text is asked for that only the backend has, and it cannot be reached.
        """
        try:
            # What is gone is not found by any key, so that NOT and OR agree with it.
            present = frozenset(self._scope.uids).difference(self._mailbox.ghosts)
            return sorted(await self._match(key, present))
        except errors.ConnectorError as error:
            raise from_connector(error) from error

    async def _match(self, key: SearchKey, among: Uids) -> Uids:
        """Return those of `among` that match the key."""
        if not among:
            return among
        match key:
            case keys.And():
                for part in sorted(key.keys, key=_cost):
                    among = await self._match(part, among)
                    await asyncio.sleep(0)
                return among
            case keys.Or():
                left = await self._match(key.left, among)
                return left | await self._match(key.right, among - left)
            case keys.Not():
                return among - await self._match(key.key, among)
            case keys.HeaderContains():
                return await self._with_header(key, among)
            case keys.DateIs() if key.which is keys.DateOf.SENT:
                return await self._sent(key, among)
            case keys.BodyContains() | keys.TextContains():
                return await self._with_text(key.text, among, body_only=isinstance(key, keys.BodyContains))
            case keys.EmailIdIs() | keys.ThreadIdIs():
                return among & await self._with_object_id(key)
            case keys.GmailMessageIs() | keys.GmailThreadIs() | keys.HasLabel() | keys.GmailRaw():
                return await self._with_gmail(key, among)
            case keys.LargerThan() | keys.SmallerThan() | keys.Within() | keys.DateIs(which=keys.DateOf.INTERNAL):
                is_size = isinstance(key, keys.LargerThan | keys.SmallerThan)
                await self._complete(among, Needs(size=is_size, date=not is_size))
                return self._by_columns(key, among)
            case _:
                return self._by_columns(key, among)

    async def _complete(self, among: Uids, needs: Needs) -> None:
        """Find out the sizes or dates that are not known yet; a message must not be missed for that."""
        columns = self._mailbox.columns
        lacking = columns.without_size() if needs.size else columns.without_date()
        unknown = [uid for uid in lacking if uid in among]
        completer = Completer(self._mailbox, self._engine)
        for start in range(0, len(unknown), BLOCK):
            entries = [
                entry for uid in unknown[start : start + BLOCK] if (entry := self._mailbox.find(uid)) is not None
            ]
            await completer.complete(entries, needs)

    # -- what the columns answer --------------------------------------------------------------------------------------

    def _by_columns(self, key: SearchKey, among: Uids) -> Uids:
        columns = self._mailbox.columns
        match key:
            case keys.All():
                return among
            case keys.InUids():
                return among & self._resolved(key.uids, is_uid=True)
            case keys.InSequence():
                return among & self._resolved(key.numbers, is_uid=False)
            case keys.HasFlag():
                return self._with_flag(key, among)
            case keys.LargerThan():
                return _where(columns, among, lambda at: columns.sizes[at] > key.octets)
            case keys.SmallerThan():
                return _where(columns, among, lambda at: UNKNOWN < columns.sizes[at] < key.octets)
            case keys.ModSeqSince():
                return _where(columns, among, lambda at: columns.modseqs[at] >= key.modseq)
            case keys.Within():
                limit = int(self._scope.now.timestamp()) - key.seconds
                if key.is_younger:
                    return _where(columns, among, lambda at: columns.internal_dates[at] >= limit)
                return _where(columns, among, lambda at: UNKNOWN < columns.internal_dates[at] <= limit)
            case keys.DateIs():
                return self._by_date(key, among)
            case (
                keys.And()
                | keys.Or()
                | keys.Not()
                | keys.HeaderContains()
                | keys.BodyContains()
                | keys.TextContains()
                | keys.EmailIdIs()
                | keys.ThreadIdIs()
                | keys.GmailMessageIs()
                | keys.GmailThreadIs()
                | keys.HasLabel()
                | keys.GmailRaw()
            ):
                raise AssertionError(f"{type(key).__name__} is not answered by the columns")
            case _:
                assert_never(key)

    def _resolved(self, numbers: SequenceSet, *, is_uid: bool) -> Uids:
        uids = self._scope.uids
        if numbers.is_saved_result:
            return self._scope.saved
        if is_uid:
            return frozenset(uids[position] for position in numbers.select(uids))
        found: set[int] = set()
        for low, high in numbers.resolve(len(uids)):
            found.update(uids[low - 1 : high])
        return frozenset(found)

    def _with_flag(self, key: keys.HasFlag, among: Uids) -> Uids:
        if key.flag == RECENT:
            return among & self._scope.recent if key.is_set else among - self._scope.recent
        columns, wanted = self._mailbox.columns, key.flag.lower()
        verdicts: dict[int, bool] = {}

        def has(position: int) -> bool:
            number = columns.flag_sets[position]
            if number not in verdicts:
                names = self._mailbox.flag_sets[number].names()
                verdicts[number] = (wanted in (name.lower() for name in names)) is key.is_set
            return verdicts[number]

        return _where(columns, among, has)

    def _by_date(self, key: keys.DateIs, among: Uids) -> Uids:
        """Compare INTERNALDATE's or the save date's day; the internal date's in the zone it is shown in."""
        columns = self._mailbox.columns
        is_internal = key.which is keys.DateOf.INTERNAL
        seconds = columns.internal_dates if is_internal else columns.save_dates
        days: dict[int, bool] = {}

        def fits(position: int) -> bool:
            if seconds[position] == UNKNOWN:
                return False
            day = (seconds[position] + (columns.zones[position] * 60 if is_internal else 0)) // 86400
            if day not in days:
                days[day] = _compare(date(1970, 1, 1) + timedelta(days=day), key)
            return days[day]

        return _where(columns, among, fits)

    # -- what the store answers ---------------------------------------------------------------------------------------

    async def _with_object_id(self, key: keys.EmailIdIs | keys.ThreadIdIs) -> Uids:
        """Look an id up in its index: clients find moved messages again by it (RFC 8474 section 8.3)."""
        find = placements.by_email_id if isinstance(key, keys.EmailIdIs) else placements.by_thread_id
        store, mailbox_id = self._engine.context.store, self._mailbox.row.id
        return frozenset(await store.read_bulk(lambda tx: find(tx, mailbox_id, key.object_id)))

    async def _with_gmail(
        self, key: keys.GmailMessageIs | keys.GmailThreadIs | keys.HasLabel | keys.GmailRaw, among: Uids
    ) -> Uids:
        """Look up ids and labels of X-GM-EXT-1; messages of other accounts have none."""
        if isinstance(key, keys.GmailRaw):
            return among & await self._found_natively(key.query)
        if not self._engine.context.account.capabilities.gmail_ids:
            return frozenset()
        store, row = self._engine.context.store, self._mailbox.row
        match key:
            case keys.GmailMessageIs(number):
                return among & frozenset(await store.read_bulk(lambda tx: labelling.with_message_id(tx, row, number)))
            case keys.GmailThreadIs(number):
                return among & frozenset(await store.read_bulk(lambda tx: labelling.with_thread_id(tx, row, number)))
            case keys.HasLabel(label):
                await have_listed(self._engine, [label])
                ids = await store.read_bulk(lambda tx: labelling.with_label(tx, row, label))
                return frozenset(uid for message_id, uid in self._message_ids(among).items() if message_id in ids)

    async def _found_natively(self, query: str) -> Uids:
        """Ask the backend in its own search language.

        Raises:
            MailError: it has none.
        """
        account, row = self._engine.context.account, self._mailbox.row
        connector = account.connector
        if not account.capabilities.gmail_ids or not isinstance(connector, NativeSearch):
            raise MailError(ErrorKind.UNSUPPORTED, "Messages of this account cannot be searched in this way.")
        await account.open()
        refs = await connector.search_native(ref_of(row), query)
        found = await self._engine.context.store.read_bulk(lambda tx: placements.by_refs(tx, row.id, refs))
        return frozenset(uid for _, uid, *_ in found)

    # -- what headers answer ------------------------------------------------------------------------------------------

    async def _with_header(self, key: keys.HeaderContains, among: Uids) -> Uids:
        needle = normalise(key.text)

        def fits(block: bytes) -> bool:
            return any(needle in normalise(value) for value in header_text(block, key.field))

        return await self._where_header(among, fits)

    async def _sent(self, key: keys.DateIs, among: Uids) -> Uids:
        def fits(block: bytes) -> bool:
            day = sent_date(block)
            return day is not None and _compare(day, key)

        return await self._where_header(among, fits)

    async def _where_header(self, among: Uids, fits: Callable[[bytes], bool]) -> Uids:
        found: set[int] = set()
        by_message = self._message_ids(among)
        ids = list(by_message)
        for start in range(0, len(ids), BLOCK):
            blocks = await self._header_blocks(ids[start : start + BLOCK])
            found.update(by_message[key] for key, block in blocks.items() if fits(block))
        return frozenset(found)

    async def _header_blocks(self, ids: list[int]) -> dict[int, bytes]:
        store = self._engine.context.store
        blocks = await store.read_bulk(lambda tx: outlines.header_values(tx, ids))
        missing = [key for key in ids if key not in blocks]
        if missing:
            refs = await store.read_bulk(lambda tx: messages.refs_by_ids(tx, missing))
            wanted = [Wanted(key, MessageRef(ref)) for key, ref in refs.items()]
            await self._engine.hydrator.outlines(self._mailbox.row, wanted)
            blocks |= await store.read_bulk(lambda tx: outlines.header_values(tx, missing))
        return blocks

    # -- what only the whole text answers -----------------------------------------------------------------------------

    async def _with_text(self, text: str, among: Uids, *, body_only: bool) -> Uids:
        """Look at the text of messages at hand; of the rest ask the backend in one request, or read them."""
        if not text:
            return among
        by_message = self._message_ids(among)
        near = await self._engine.bodies.at_hand(by_message.keys())
        at_hand = [key for key in by_message if key in near]
        rest = [key for key in by_message if key not in near]
        refs = await self._refs(list(by_message))
        found = {by_message[key] for key in at_hand if await self._text_fits(key, refs.get(key), text, body_only)}
        hits = await self._hits(text, body_only) if rest else frozenset()
        if hits is not None:
            found.update(by_message[key] for key in rest if refs.get(key) in hits)
        else:
            found.update(
                [by_message[key] for key in rest if await self._text_fits(key, refs.get(key), text, body_only)]
            )
        return frozenset(found)

    async def _hits(self, text: str, body_only: bool) -> frozenset[MessageRef] | None:
        """Return what the backend finds; None if it has no search, or none for such a text."""
        connector = self._engine.context.account.connector
        if not isinstance(connector, TextSearch):
            return None
        await self._engine.context.account.open()
        try:
            return await connector.search_text(ref_of(self._mailbox.row), TextQuery((text,), body_only))
        except errors.Unsupported:
            return None

    async def _refs(self, ids: list[int]) -> dict[int, str]:
        refs: dict[int, str] = {}
        for start in range(0, len(ids), BLOCK):
            chunk = ids[start : start + BLOCK]
            refs |= await self._engine.context.store.read_bulk(
                lambda tx, chunk=chunk: messages.refs_by_ids(tx, chunk)  # type: ignore[misc]
            )
        return refs

    async def _text_fits(self, message_id: int, ref: str | None, text: str, body_only: bool) -> bool:
        if ref is None:
            return False
        # Of messages at hand nothing has to be waited for, and others want to be served too.
        await asyncio.sleep(0)
        try:
            body = await self._engine.bodies.open(self._mailbox.row, message_id, MessageRef(ref))
        except errors.NotFound:
            return False
        try:
            if body.size < IN_THREAD_OCTETS:
                return _holds(body.buffer(), normalise(text), body_only=body_only)
            return await asyncio.to_thread(_holds, body.buffer(), normalise(text), body_only=body_only)
        finally:
            body.close()

    def _message_ids(self, uids: Uids) -> dict[int, int]:
        """Return UIDs by message id, in the order of UIDs."""
        entries = ((uid, self._mailbox.find(uid)) for uid in sorted(uids))
        return {entry.message_id: uid for uid, entry in entries if entry is not None}


def _holds(buffer: Buffer, needle: str, *, body_only: bool) -> bool:
    """Tell whether a message has the normalised text in its body or, if that counts, in its header."""
    part = scan(buffer)
    if not body_only:
        header = bytes(buffer[part.header_start : part.body_start])
        if any(needle in normalise(field) for field in all_header_text(header)):
            return True
    return any(needle in normalise(piece) for piece in body_text(buffer, part))


def _where(columns: Columns, among: Uids, fits: Callable[[int], bool]) -> Uids:
    """Return the UIDs whose position fits."""
    if len(among) * 4 > len(columns):
        return frozenset(uid for position, uid in enumerate(columns.uids) if fits(position) and uid in among)
    found = ((uid, columns.index(uid)) for uid in among)
    return frozenset(uid for uid, position in found if position is not None and fits(position))


def _compare(day: date, key: keys.DateIs) -> bool:
    match key.comparison:
        case keys.Comparison.BEFORE:
            return day < key.date
        case keys.Comparison.ON:
            return day == key.date
        case keys.Comparison.SINCE:
            return day >= key.date


def _cost(key: SearchKey) -> int:
    """Order the keys of an AND: what the columns answer, what they may not know yet, then headers, then text."""
    match key:
        case keys.BodyContains() | keys.TextContains():
            return 3
        case keys.HeaderContains() | keys.GmailRaw():
            return 2
        case keys.DateIs() if key.which is keys.DateOf.SENT:
            return 2
        case keys.DateIs() | keys.Within() | keys.LargerThan() | keys.SmallerThan():
            return 1
        case keys.Not():
            return _cost(key.key)
        case keys.And():
            return max(map(_cost, key.keys), default=0)
        case keys.Or():
            return max(_cost(key.left), _cost(key.right))
        case _:
            return 0
