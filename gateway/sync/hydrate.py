"""Reading what a skeleton lacks: headers and structures, in batches, each message once."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from connectors.api import errors
from connectors.api.priority import Priority, Turn, current_priority, current_turn, prioritised
from connectors.api.types import MessageRef, MessageState, Outline
from gateway.message.envelope import render_envelope
from gateway.message.sort_keys import sort_keys
from gateway.store import mailboxes, messages, outlines, set_aside
from gateway.store.database import Transaction
from gateway.store.mailboxes import MailboxRow
from gateway.store.messages import Hydration, MessageValues
from gateway.store.outlines import OutlineValues
from gateway.sync.apply import values_of
from gateway.sync.bodies import Bodies, Wanted
from gateway.sync.context import AccountContext, ref_of

log = logging.getLogger(__name__)

IDLE_CHECK_S = 30.0
"""How often the background looks for what it has missed."""

SETTLED_S = 30.0
"""How long after a listing the background leaves a backend alone that is asked for listings as they are needed: the
client is about to have more listed, and both spend the same quota."""

BODIES_AT_ONCE = 4
"""Whole messages read at the same time where headers cannot be had alone."""


LIGHT_OCTETS = 1 << 20
"""What is read in the background together with others is at most so large, where the size is known."""


class Prefetch(enum.Enum):
    """What is read of every message in the background."""

    NONE = "none"
    HEADERS = "headers"
    BODIES = "bodies"


class Hydrator:
    """Hydrates the messages of one account. What sessions wait for goes before the background."""

    def __init__(self, context: AccountContext, bodies: Bodies) -> None:
        self._context = context
        self._bodies = bodies
        self._flights: dict[int, tuple[asyncio.Future[None], Turn]] = {}
        self._waiting_sessions = 0
        self._news = asyncio.Event()
        self._nobody_waits = asyncio.Event()
        self._nobody_waits.set()

    async def outlines(
        self,
        row: MailboxRow,
        wanted: Sequence[Wanted],
        *,
        structure: bool = False,
        header: bool = False,
        date: bool = False,
    ) -> None:
        """Read ENVELOPE and, if asked, structure, header and date of the messages into the store.

        Without `header`, the values of the header's fields are known afterwards, but perhaps not its octets. What is
        gone is passed over. Messages that somebody else is reading already are waited for.

        Raises:
            ConnectorError: the backend cannot give them now; some may have been read.
        """
        # Of those that got other octets, and are gone, the backend knows nothing by this name.
        wanted = [item for item in wanted if not messages.is_retired(item.ref)]
        with self._waiting_for(wanted):
            if not (self._varies and (structure or header)):
                await self._outlines(row, wanted)
            if structure:
                await self._structures(row, wanted)
            if header:
                await self._headers(row, wanted)
            if date:
                await self._dates(row, wanted)

    async def previews(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Read messages whole, so that their previews are in the store; what is gone or cannot be had is passed over.

        Raises:
            ConnectorError: the backend cannot give them now; some may have been read.
        """
        wanted = [item for item in wanted if not messages.is_retired(item.ref)]
        with self._waiting_for(wanted):
            await self._bodies_of(row, wanted)

    @contextlib.contextmanager
    def _waiting_for(self, wanted: Sequence[Wanted]) -> Iterator[None]:
        """Hold the background back while a session waits for messages."""
        self._waiting_sessions += 1
        self._nobody_waits.clear()
        self._bodies.hurry(wanted)
        try:
            yield
        finally:
            self._waiting_sessions -= 1
            if not self._waiting_sessions:
                self._nobody_waits.set()

    async def prefetch(self, level: Prefetch, is_busy: Callable[[], bool]) -> None:
        """Hydrate every message of the account, newest first, whenever nobody waits and the sync is not busy."""
        if level is Prefetch.NONE:
            return
        target = Hydration.FULL if level is Prefetch.BODIES else Hydration.HEADER
        below: dict[int, int] = {}
        while True:
            did_something = False
            for row in await self._listed_mailboxes():
                await self._nobody_waits.wait()
                await self._listings_settled()
                await self._context.lull.wait()
                if is_busy():
                    break
                # In a turn of its own: a session may come to wait for just this.
                with prioritised(Priority.BACKGROUND):
                    did_something = await self._prefetch_some(row, target, below) or did_something
            if not did_something:
                below.clear()
                await self._wait_for_news()

    async def _listings_settled(self) -> None:
        context = self._context
        while context.account.capabilities.lists_by_mailbox and context.listed_at is not None:
            left_s = context.listed_at + SETTLED_S - context.clock.monotonic()
            if left_s <= 0:
                return
            await asyncio.sleep(left_s)

    async def _wait_for_news(self) -> None:
        # Not wait_for: before Python 3.12 it loses a cancellation that comes together with the news.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(IDLE_CHECK_S):
                await self._news.wait()
        self._news.clear()

    def wake(self) -> None:
        """Tell the background that there may be new messages."""
        self._news.set()

    async def _listed_mailboxes(self) -> list[MailboxRow]:
        account_id = self._context.account_id
        rows = await self._context.store.read(lambda tx: mailboxes.mailboxes_of(tx, account_id))
        # One that could not be read in this process yet is left to the sync, which then wakes the background.
        is_alone = self._context.read_mailbox is None
        return [row for row in rows if row.is_listed and row.messages and (is_alone or self._context.is_current(row))]

    async def _prefetch_some(self, row: MailboxRow, target: Hydration, below: dict[int, int]) -> bool:
        limit = self._context.account.capabilities.outline_limit
        below_uid = below.get(row.id, row.uidnext)
        missing = await self._context.store.read_bulk(
            lambda tx: outlines.newest_without_outline(tx, row.id, limit, below_uid=below_uid, level=target)
        )
        if not missing:
            return False
        below[row.id] = missing[-1][0]
        wanted = [Wanted(message_id, MessageRef(ref)) for _, message_id, ref in missing]
        try:
            if target is Hydration.HEADER:
                await self._outlines(row, wanted)
            else:
                await self._bodies_of(row, wanted)
        except (errors.NotFound, errors.Denied, errors.Rejected, errors.TooLarge, errors.Unsupported) as error:
            # It is this mailbox's own, which may just have been deleted, and must not stop the others.
            log.info("account %s: mailbox %s: %s", self._context.account.name, row.ref, error.operator_text)
            return False
        return True

    @property
    def _varies(self) -> bool:
        """Whether only what was read with a whole message is sure to be in its octets."""
        return self._context.account.capabilities.bodies_vary

    # -- headers ------------------------------------------------------------------------------------------------------

    async def _outlines(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        ids = [item.message_id for item in wanted]
        known = await self._context.store.read_bulk(lambda tx: outlines.envelopes(tx, ids))
        mine: list[Wanted] = []
        others: list[asyncio.Future[None]] = []
        for item in wanted:
            if item.message_id in known:
                continue
            if item.message_id in self._flights:
                flight, turn = self._flights[item.message_id]
                others.append(flight)
                if current_priority() is Priority.INTERACTIVE:
                    turn.hurry()
            else:
                self._flights[item.message_id] = (asyncio.get_running_loop().create_future(), current_turn())
                mine.append(item)
        try:
            await self._read_outlines(row, mine)
        finally:
            for item in mine:
                self._flights.pop(item.message_id)[0].set_result(None)
        if others:
            await asyncio.wait(others)
            # Whoever was reading them may have failed; what is still missing is then read here.
            left = [item for item in wanted if item not in mine]
            await self._outlines(row, left)

    async def _read_outlines(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        if not wanted:
            return
        await self._context.ensure_current(row)
        limit = self._context.account.capabilities.outline_limit
        for start in range(0, len(wanted), limit):
            batch = await self._learned_at_hand(row, wanted[start : start + limit])
            if not batch:
                continue
            connector = await self._context.account.open()
            try:
                found = [item async for item in connector.outlines(ref_of(row), [item.ref for item in batch])]
            except errors.Unsupported:
                await self._whole(row, batch)
                continue
            except errors.ConnectorError as error:
                await self._context.failed(row, error)
                raise
            await self._save(row, batch, found)
            await self._left_out(row, batch, found)

    async def _learned_at_hand(self, row: MailboxRow, wanted: Sequence[Wanted]) -> Sequence[Wanted]:
        """Learn from octets that are held to, rather than from what the backend says now; return the other messages."""
        if not self._varies:
            return wanted
        near = await self._bodies.at_hand([item.message_id for item in wanted])
        await self._each_body(row, [item for item in wanted if item.message_id in near])
        return [item for item in wanted if item.message_id not in near]

    async def _left_out(self, row: MailboxRow, batch: Sequence[Wanted], found: Sequence[Outline]) -> None:
        """Read those messages whole that exist but whose header the backend cannot give alone."""
        told = {item.ref for item in found}
        left = [item for item in batch if item.ref not in told]
        if not left:
            return
        # Most are gone, and one request for all of them tells which are not.
        present = {state.ref: state for state in await self._states(row, [item.ref for item in left])}
        scope, account_id = self._context.scope_of(row), self._context.account_id
        learned = [values_of(state) for state in present.values()]
        await self._context.store.write(lambda tx: messages.upsert_messages(tx, account_id, scope, learned))
        await self._read_lacking(row, [item for item in left if item.ref in present])

    async def _states(self, row: MailboxRow, refs: Sequence[MessageRef]) -> list[MessageState]:
        connector = await self._context.account.open()
        limit = self._context.account.capabilities.batch_limit
        states: list[MessageState] = []
        try:
            for start in range(0, len(refs), limit):
                states.extend(await connector.states(ref_of(row), refs[start : start + limit]))
        except errors.ConnectorError as error:
            await self._context.failed(row, error)
            raise
        asked = set(refs)
        return [state for state in states if state.ref in asked]

    async def _save(self, row: MailboxRow, batch: Sequence[Wanted], found: Sequence[Outline]) -> None:
        ids = {item.ref: item.message_id for item in batch}
        if self._varies:
            found = [replace(item, body_structure=None, header_is_exact=False) for item in found]
        values = await asyncio.to_thread(_render, ids, found)
        scope, account_id = self._context.scope_of(row), self._context.account_id
        learned = [_learned(item) for item in found if item.size is not None or item.internal_date is not None]

        async def body(tx: Transaction) -> None:
            await outlines.save_outlines(tx, values)
            if learned:
                await messages.upsert_messages(tx, account_id, scope, learned)

        await self._context.store.write(body)
        self._context.learned(list(ids.values()))

    async def _dates(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Ask once for the state of messages whose date is still unknown though they were read."""
        ids = [item.message_id for item in wanted if item.message_id not in self._bodies.dateless]
        known = await self._context.store.read_bulk(lambda tx: messages.message_rows(tx, ids))
        undated = {
            item.ref: item.message_id
            for item in wanted
            if item.message_id in known and known[item.message_id].internal_date is None
        }
        if undated:
            states = await self._states(row, list(undated))
            dates = {undated[state.ref]: state.internal_date for state in states if state.internal_date is not None}
            self._bodies.note_dateless(undated[state.ref] for state in states if state.internal_date is None)
            await self._context.store.write(lambda tx: messages.set_dates(tx, dates))

    # -- whole messages -----------------------------------------------------------------------------------------------

    async def _structures(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        ids = [item.message_id for item in wanted]
        known = await self._context.store.read_bulk(lambda tx: outlines.structures(tx, ids))
        await self._read_lacking(row, [item for item in wanted if item.message_id not in known])

    async def _headers(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Read those messages whole whose header block is not known octet for octet."""
        ids = [item.message_id for item in wanted]
        known = await self._context.store.read_bulk(lambda tx: outlines.with_header_block(tx, ids))
        await self._bodies_of(row, [item for item in wanted if item.message_id not in known])

    async def _read_lacking(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Read messages whole of which something is missing: few, unless the octets are learned in no other way."""
        await (self._bodies_of if self._varies else self._each_body)(row, wanted)

    async def _bodies_of(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Read messages whole: those not known to be large together, the others each alone."""
        ids = [item.message_id for item in wanted]
        known = await self._context.store.read_bulk(lambda tx: messages.message_rows(tx, ids))
        heavy = {key for key, message in known.items() if (message.size or 0) > LIGHT_OCTETS}
        await self._whole(row, [item for item in wanted if item.message_id not in heavy])
        await self._each_body(row, [item for item in wanted if item.message_id in heavy])

    async def _whole(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        """Read messages whole, together where the backend can."""
        await self._each_body(row, await self._bodies.learn_many(row, wanted))

    async def _each_body(self, row: MailboxRow, wanted: Sequence[Wanted]) -> None:
        gate = asyncio.Semaphore(BODIES_AT_ONCE)

        async def one(item: Wanted) -> None:
            async with gate:
                await self._one_body(row, item)

        try:
            async with asyncio.TaskGroup() as group:
                for item in wanted:
                    group.create_task(one(item))
        except* errors.ConnectorError as failures:
            error = failures.exceptions[0]
            while isinstance(error, BaseExceptionGroup):
                error = error.exceptions[0]
            raise error from None

    async def _one_body(self, row: MailboxRow, item: Wanted) -> None:
        """Read one message; one that alone cannot be had is set aside, so that it does not stop the rest."""
        try:
            await self._bodies.learn(row, item.message_id, item.ref)
        except errors.NotFound:
            return
        except (errors.Rejected, errors.Denied, errors.TooLarge, errors.Unsupported) as error:
            log.warning("account %s: message %s: %s", self._context.account.name, item.ref, error.operator_text)
            reason, account_id = error.operator_text, self._context.account_id
            with contextlib.suppress(errors.ConnectorError):
                await self._context.store.write(lambda tx: set_aside.add(tx, account_id, row.id, item.ref, reason))


def _render(ids: dict[MessageRef, int], found: Sequence[Outline]) -> list[OutlineValues]:
    return [
        OutlineValues(
            ids[item.ref],
            item.header,
            render_envelope(item.header),
            item.body_structure,
            header_is_exact=item.header_is_exact,
            keys=sort_keys(item.header),
        )
        for item in found
        if item.ref in ids
    ]


def _learned(outline: Outline) -> MessageValues:
    state = MessageState(
        outline.ref,
        internal_date=outline.internal_date,
        size=outline.size,
        size_is_exact=outline.header_is_exact,
    )
    return values_of(state)
