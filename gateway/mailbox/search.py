"""SEARCH: keys are worked out over whole sets of messages, the cheap ones first, each on what the others left."""

from __future__ import annotations

import asyncio
from array import array
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from connectors.api import errors
from connectors.api.abilities import NativeSearch
from gateway.errors import ErrorKind, MailError, from_connector
from gateway.mailbox import labelling
from gateway.mailbox.completer import Completer, Needs
from gateway.mailbox.fuzzy import in_most, words_of
from gateway.mailbox.label_listing import have_listed
from gateway.mailbox.marks import Marks
from gateway.mailbox.search_ground import ColumnKey, Ground, Scope
from gateway.mailbox.search_text import TextSearcher
from gateway.store import placements
from gateway.sync.context import ref_of
from gateway.wire import search as keys
from gateway.wire.search import SearchKey

if TYPE_CHECKING:
    from gateway.mailbox.open_mailbox import OpenMailbox
    from gateway.sync.engine import AccountEngine

BLOCK = 250
"""Messages completed at a time."""

LeafKey = (
    ColumnKey
    | keys.HeaderContains
    | keys.BodyContains
    | keys.TextContains
    | keys.EmailIdIs
    | keys.ThreadIdIs
    | keys.GmailMessageIs
    | keys.GmailThreadIs
    | keys.HasLabel
    | keys.GmailRaw
)
"""A key without others in it."""


class UndefinedFilter(Exception):
    """A search refers to a filter that does not exist, or that refers to itself; `args` has its name."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found: `marks` says which of `known`, the UIDs that the client knew, ascending."""

    known: array[int]
    marks: Marks

    def uids(self) -> list[int]:
        """Return the UIDs found, ascending."""
        return list(self.marks.select(self.known))

    def sequence_numbers(self) -> list[int]:
        """Return the sequence numbers found, ascending, as the client knows them."""
        return list(self.marks.select(range(1, len(self.known) + 1)))


class Searcher:
    """Works out one search. Call `run` once."""

    def __init__(self, mailbox: OpenMailbox, engine: AccountEngine, scope: Scope) -> None:
        self._mailbox = mailbox
        self._engine = engine
        # What is gone is not found by any key, so that NOT and OR agree with it.
        self._ground = Ground(mailbox, scope)
        self._texts = TextSearcher(mailbox, engine, self._ground)

    async def run(self, key: SearchKey) -> Found:
        """Return what matches.

        Raises:
            MailError: text is asked for that only the backend has, and it cannot be reached.
        """
        try:
            marks = await self._match(key, self._ground.all())
        except errors.ConnectorError as error:
            raise from_connector(error) from error
        return Found(self._ground.known, self._ground.among_known(marks))

    async def _match(self, key: SearchKey, among: Marks) -> Marks:
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
            case keys.Fuzzy():
                return await self._match_fuzzily(key.key, among)
            case keys.FilterNamed(name):
                # Whoever knows the user's filters has put them in place before.
                raise UndefinedFilter(name)
            case _:
                return among & await self._fitting(key, among)

    async def _match_fuzzily(self, key: SearchKey, among: Marks) -> Marks:
        """Return those of `among` that come near the key: texts by their words, all else exactly (RFC 6203)."""
        match key:
            case keys.And():
                for part in sorted(key.keys, key=_cost):
                    among = await self._match_fuzzily(part, among)
                return among
            case keys.Or():
                left = await self._match_fuzzily(key.left, among)
                return left | await self._match_fuzzily(key.right, among - left)
            case keys.HeaderContains() | keys.BodyContains() | keys.TextContains() if among:
                words = words_of(key.text)
                found = [among & await self._fitting(replace(key, text=word), among) for word in words]
                return in_most(found) if found else await self._match(key, among)
            case _:
                return await self._match(key, among)

    async def _fitting(self, key: LeafKey, among: Marks) -> Marks:
        """Return those that match a key without others in it; of those that are not in `among` it does not matter."""
        match key:
            case keys.HeaderContains():
                return await self._texts.with_header(key, among)
            case keys.BodyContains() | keys.TextContains():
                return await self._texts.with_text(key, among)
            case keys.EmailIdIs() | keys.ThreadIdIs():
                return await self._with_object_id(key)
            case keys.GmailMessageIs() | keys.GmailThreadIs() | keys.HasLabel() | keys.GmailRaw():
                return await self._with_gmail(key, among)
            case keys.DateIs(which=keys.DateOf.SENT):
                return await self._texts.sent(key, among)
            case keys.LargerThan() | keys.SmallerThan():
                await self._complete(among & self._ground.without_size(), Needs(size=True))
                return self._ground.fitting(key)
            case keys.Within() | keys.DateIs(which=keys.DateOf.INTERNAL):
                await self._complete(among & self._ground.without_date(), Needs(date=True))
                return self._ground.fitting(key)
            case _:
                return self._ground.fitting(key)

    async def _complete(self, lacking: Marks, needs: Needs) -> None:
        """Find out the sizes or dates that are not known yet; a message must not be missed for that."""
        unknown = list(lacking.select(self._ground.uids))
        completer = Completer(self._mailbox, self._engine)
        for start in range(0, len(unknown), BLOCK):
            entries = [
                entry for uid in unknown[start : start + BLOCK] if (entry := self._mailbox.find(uid)) is not None
            ]
            await completer.complete(entries, needs)

    # -- what the store answers ---------------------------------------------------------------------------------------

    async def _with_object_id(self, key: keys.EmailIdIs | keys.ThreadIdIs) -> Marks:
        """Look an id up in its index: clients find moved messages again by it (RFC 8474 section 8.3)."""
        find = placements.by_email_id if isinstance(key, keys.EmailIdIs) else placements.by_thread_id
        store, mailbox_id = self._engine.context.store, self._mailbox.row.id
        return self._ground.with_uids(await store.read_bulk(lambda tx: find(tx, mailbox_id, key.object_id)))

    async def _with_gmail(
        self, key: keys.GmailMessageIs | keys.GmailThreadIs | keys.HasLabel | keys.GmailRaw, among: Marks
    ) -> Marks:
        """Look up ids and labels of X-GM-EXT-1; messages of other accounts have none."""
        if isinstance(key, keys.GmailRaw):
            return await self._found_natively(key.query)
        if not self._engine.context.account.capabilities.gmail_ids:
            return Marks.none(len(among))
        store, row, ground = self._engine.context.store, self._mailbox.row, self._ground
        match key:
            case keys.GmailMessageIs(number):
                return ground.with_uids(await store.read_bulk(lambda tx: labelling.with_message_id(tx, row, number)))
            case keys.GmailThreadIs(number):
                return ground.with_uids(await store.read_bulk(lambda tx: labelling.with_thread_id(tx, row, number)))
            case keys.HasLabel(label):
                await have_listed(self._engine, [label])
                return ground.with_ids(await store.read_bulk(lambda tx: labelling.with_label(tx, row, label)))

    async def _found_natively(self, query: str) -> Marks:
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
        return self._ground.with_uids([uid for _, uid, *_ in found])


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
        case keys.Not() | keys.Fuzzy():
            return _cost(key.key)
        case keys.And():
            return max(map(_cost, key.keys), default=0)
        case keys.Or():
            return max(_cost(key.left), _cost(key.right))
        case _:
            return 0
