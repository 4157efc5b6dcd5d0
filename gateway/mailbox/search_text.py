"""What SEARCH finds in texts: in header fields, in whole headers and in bodies.

at hand, in the index      one question to the search index
at hand, not in the index  read and looked through here
not at hand                one question to the backend, if it can look for such a text, or else read and looked through
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING

from connectors.api import errors
from connectors.api.abilities import TextQuery, TextSearch
from connectors.api.types import MessageRef
from gateway.mailbox.marks import Marks
from gateway.mailbox.search_ground import Ground, compare
from gateway.message.octets import Buffer
from gateway.message.scan import scan
from gateway.message.text import all_header_text, body_text, header_text, normalise, sent_date
from gateway.message.text_index import FIELDS, can_be_looked_up, day_number
from gateway.store import messages, outlines
from gateway.store.search_index import AccountIndex, IndexUnavailable
from gateway.store.search_rows import Level, Part
from gateway.sync.bodies import Wanted
from gateway.sync.context import ref_of
from gateway.sync.small_bodies import BATCH_MESSAGES
from gateway.wire import search as keys

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

log = logging.getLogger(__name__)

Question = Callable[[AccountIndex, Collection[int]], Awaitable[set[int]]]
"""Asks the index about messages; what it returns may hold others too."""

BLOCK = 250
"""Messages per query of headers."""

IN_THREAD_OCTETS = 64 << 10
"""From this size on a message is searched beside the event loop: decoding 64 KiB takes about a millisecond."""


class TextSearcher:
    """Looks for texts in the messages of one search."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine, ground: Ground) -> None:
        self._mailbox = mailbox
        self._engine = engine
        self._ground = ground

    async def _ask(self, among: Marks, level: Level, question: Question) -> tuple[Marks, Marks]:
        """Ask the search index; return which of the messages it can tell of, and which of those it finds."""
        index, ids = self._engine.context.search, self._ground.message_ids
        nothing = Marks.none(len(among))
        if index is None:
            return nothing, nothing
        try:
            await index.load()
            covered = among & Marks(index.with_body(ids) if level is Level.WHOLE else index.with_header(ids))
            if not covered:
                return nothing, nothing
            found = await question(index, list(covered.select(ids)))
        except IndexUnavailable as error:
            log.info("a search goes without its index: %s", error)
            return nothing, nothing
        return covered, covered & self._ground.with_ids(found)

    # -- what headers answer ------------------------------------------------------------------------------------------

    async def with_header(self, key: keys.HeaderContains, among: Marks) -> Marks:
        """Return those with the text in a field of that name; with any such field, if the text is empty."""
        needle = normalise(key.text)

        def fits(block: bytes) -> bool:
            return any(needle in normalise(value) for value in header_text(block, key.field))

        covered = found = Marks.none(len(among))
        if key.field in FIELDS and can_be_looked_up(needle):
            covered, found = await self._ask(
                among, Level.HEADER, lambda index, ids: index.with_field(key.field, needle, ids)
            )
        elif can_be_looked_up(key.field + needle):
            # Every field is there with its name in front; whether both are in one field its header block tells.
            needles = [f"{normalise(key.field)}: ", needle] if needle else [f"{normalise(key.field)}: "]
            covered, perhaps = await self._ask(
                among, Level.HEADER, lambda index, ids: index.with_text(Part.HEADER, needles, ids)
            )
            found = await self._where_header(perhaps, fits)
        return found | await self._where_header(among - covered, fits)

    async def sent(self, key: keys.DateIs, among: Marks) -> Marks:
        """Return those whose Date field names such a day."""

        def fits(block: bytes) -> bool:
            day = sent_date(block)
            return day is not None and compare(day, key)

        first, last = _days(key)
        covered, found = await self._ask(among, Level.HEADER, lambda index, ids: index.sent(first, last, ids))
        return found | await self._where_header(among - covered, fits)

    async def _where_header(self, among: Marks, fits: Callable[[bytes], bool]) -> Marks:
        if not among:
            return among
        found: set[int] = set()
        ids = list(among.select(self._ground.message_ids))
        for start in range(0, len(ids), BLOCK):
            blocks = await self._header_blocks(ids[start : start + BLOCK])
            found.update(key for key, block in blocks.items() if fits(block))
        return self._ground.with_ids(found)

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

    async def with_text(self, key: keys.BodyContains | keys.TextContains, among: Marks) -> Marks:
        """Return those with the text in their body or, for `TEXT`, in their header."""
        if not key.text:
            return among
        body_only, needle = isinstance(key, keys.BodyContains), normalise(key.text)
        covered = found = Marks.none(len(among))
        if can_be_looked_up(needle):
            parts = (Part.BODY,) if body_only else (Part.BODY, Part.HEADER)
            covered, found = await self._ask(
                among, Level.WHOLE, lambda index, ids: _in_parts(index, parts, needle, ids)
            )
        left = list((among - covered).select(self._ground.message_ids))
        if not left:
            return found
        return found | self._ground.with_ids(await self._with_text_unindexed(left, key.text, body_only))

    async def _with_text_unindexed(self, ids: Sequence[int], text: str, body_only: bool) -> set[int]:
        near = await self._engine.bodies.at_hand(ids)
        at_hand = [message_id for message_id in ids if message_id in near]
        rest = [message_id for message_id in ids if message_id not in near]
        refs = await self._refs(ids)
        # Whoever looks for something in them once may do so again.
        self._engine.context.learned(at_hand)
        found = await self._look_through(at_hand, refs, text, body_only)
        hits = await self._hits(text, body_only) if rest else frozenset()
        if hits is None:
            return found | await self._look_through(rest, refs, text, body_only)
        return found.union(message_id for message_id in rest if refs.get(message_id) in hits)

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

    async def _refs(self, ids: Sequence[int]) -> dict[int, str]:
        refs: dict[int, str] = {}
        for start in range(0, len(ids), BLOCK):
            chunk = ids[start : start + BLOCK]
            refs |= await self._engine.context.store.read_bulk(
                lambda tx, chunk=chunk: messages.refs_by_ids(tx, chunk)  # type: ignore[misc]
            )
        return refs

    async def _look_through(self, ids: Sequence[int], refs: dict[int, str], text: str, body_only: bool) -> set[int]:
        """Read messages one after the other; return those with the text."""
        needle = normalise(text)
        found: set[int] = set()
        for start in range(0, len(ids), BATCH_MESSAGES):
            batch = [message_id for message_id in ids[start : start + BATCH_MESSAGES] if message_id in refs]
            small = await self._engine.bodies.small.read(self._mailbox.row, batch)
            for message_id in batch:
                # Of messages at hand nothing has to be waited for, and others want to be served too.
                await asyncio.sleep(0)
                data = small.get(message_id)
                if data is None:
                    fits = await self._fits(message_id, refs[message_id], needle, body_only)
                else:
                    fits = await _look_in(data, needle, body_only=body_only)
                if fits:
                    found.add(message_id)
        return found

    async def _fits(self, message_id: int, ref: str, needle: str, body_only: bool) -> bool:
        try:
            body = await self._engine.bodies.open(self._mailbox.row, message_id, MessageRef(ref))
        except errors.NotFound:
            return False
        try:
            return await _look_in(body.buffer(), needle, body_only=body_only)
        finally:
            body.close()


async def _look_in(buffer: Buffer, needle: str, *, body_only: bool) -> bool:
    if len(buffer) < IN_THREAD_OCTETS:
        return _holds(buffer, needle, body_only=body_only)
    return await asyncio.to_thread(_holds, buffer, needle, body_only=body_only)


async def _in_parts(index: AccountIndex, parts: Sequence[Part], needle: str, ids: Collection[int]) -> set[int]:
    found = await asyncio.gather(*(index.with_text(part, [needle], ids) for part in parts))
    return set[int]().union(*found)


def _days(key: keys.DateIs) -> tuple[int | None, int | None]:
    """Return the first and the last day, since 1970, that a key means; None is no limit."""
    day = day_number(key.date)
    match key.comparison:
        case keys.Comparison.BEFORE:
            return None, day - 1
        case keys.Comparison.ON:
            return day, day
        case keys.Comparison.SINCE:
            return day, None


def _holds(buffer: Buffer, needle: str, *, body_only: bool) -> bool:
    """Tell whether a message has the normalised text in its body or, if that counts, in its header."""
    part = scan(buffer)
    if not body_only:
        header = bytes(buffer[part.header_start : part.body_start])
        if any(needle in normalise(field) for field in all_header_text(header)):
            return True
    return any(needle in normalise(piece) for piece in body_text(buffer, part))
