"""Telling one client how the results of its searches change (RFC 5267 section 4.3)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gateway.errors import GatewayError, MailError
from gateway.imap.errors import ClientError
from gateway.imap.fetch_plan import FetchPlan, plan
from gateway.imap.fetch_writer import FetchWriter
from gateway.imap.session import Session
from gateway.mailbox.updating import CannotUpdate, Change, UpdatingSearch, lasting
from gateway.mailbox.view import View
from gateway.wire import write, write_code, write_search
from gateway.wire.codes import Status
from gateway.wire.context import ResultChange
from gateway.wire.fetch import FetchItem
from gateway.wire.search import SearchKey, SearchReturn
from gateway.wire.sequence_set import SequenceSet
from gateway.wire.sort import SortCriterion

log = logging.getLogger(__name__)

MOST_KEPT = 16
"""Searches of one session whose results are kept up to date; each takes up to 8 octets for every message found."""

PATIENCE_S = 5.0
"""For so long the client waits for a backend that has to tell of a new message whether a search would find it."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a searching command wants to be kept up to date; see `wish`.

    `key` is None, and `refusal` set, where that cannot be. `is_multisearch`: ESEARCH responses name the mailbox.
    `items` are to be fetched of new messages.
    """

    tag: str
    key: SearchKey | None
    is_uid: bool
    items: tuple[FetchItem, ...] = ()
    is_multisearch: bool = False
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class _Kept:
    wish: Wish
    search: UpdatingSearch


def wish(
    session: Session,
    returns: frozenset[SearchReturn] | None,
    key: SearchKey,
    items: tuple[FetchItem, ...],
    *,
    is_uid: bool,
    is_multisearch: bool = False,
) -> Wish | None:
    """Begin to note what changes if UPDATE is among `returns`; call it before the search, and `Updates.keep` after it.

    Raises:
        ClientError: the tag is that of a search which is being kept up to date, or `items` make no sense.
    """
    if returns is None or SearchReturn.UPDATE not in returns:
        return None
    updates, view = session.updates, session.require_view()
    if updates is None:
        updates = session.updates = Updates(session, view)
    if session.tag in updates:
        raise ClientError("Tag reuse")
    view.note_touched(True)
    if items:
        _planned(session, items, is_uid=is_uid)
    try:
        key = lasting(key, view, session.saved_uids())
    except CannotUpdate as error:
        return Wish(session.tag, None, is_uid, refusal=str(error))
    if len(updates) >= MOST_KEPT:
        return Wish(session.tag, None, is_uid, refusal="Too many searches are kept up to date")
    return Wish(session.tag, key, is_uid, items, is_multisearch)


def _planned(session: Session, items: tuple[FetchItem, ...], *, is_uid: bool) -> FetchPlan:
    """Return how to show the items as the session is now; it may have enabled more since they were wished."""
    return plan(items, with_uid=is_uid, with_modseq=session.has_condstore, is_uid_only=session.uid_only)


class Updates:
    """The results that are kept up to date for one session, as long as `view` is selected."""

    def __init__(self, session: Session, view: View) -> None:
        self._session = session
        self._view = view
        self._kept: dict[str, _Kept] = {}
        self._new: list[int] = []

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, tag: object) -> bool:
        return tag in self._kept

    def keep(self, wish: Wish, found: Sequence[int], criteria: tuple[SortCriterion, ...] | None = None) -> None:
        """Keep up to date what was found, or tell that it is not; `found` are UIDs in the order asked for."""
        if wish.key is None:
            self._refuse(wish.tag, wish.refusal)
        else:
            self._kept[wish.tag] = _Kept(wish, self._view.updating(wish.key, found, criteria))

    def cancel(self, tags: Iterable[str]) -> None:
        """Keep these up to date no more; of tags that are none of them nothing would be told anyway."""
        for tag in tags:
            self._kept.pop(tag, None)

    def end_by_number(self) -> None:
        """End those that tell sequence numbers, of which the client does not want to hear any more (RFC 9586)."""
        for tag, kept in tuple(self._kept.items()):
            if not kept.wish.is_uid:
                del self._kept[tag]
                self._refuse(tag, "Its results are sequence numbers")

    def note_new(self, uids: Iterable[int]) -> None:
        """Take note of messages whose arrival has just been told."""
        if self._kept:
            self._new.extend(uids)

    def tell_gone(self) -> None:
        """Tell that messages have left the results because they are gone: at once, and ahead of their EXPUNGE.

        They still have their sequence numbers then.
        """
        gone = self._view.gone
        if gone:
            for kept in self._kept.values():
                self._tell(kept.wish, kept.search.remove(gone))

    async def tell(self) -> None:
        """Tell what has come into the results and has left them, of messages that are new or have changed.

        Where that cannot be found out the client is told so, and nothing more of that search.
        """
        new, self._new = self._new, []
        if not self._kept:
            self._view.note_touched(False)
            return
        uids = self._view.take_touched().union(new)
        if not uids:
            return
        for kept in tuple(self._kept.values()):
            try:
                async with asyncio.timeout(PATIENCE_S):
                    changes = await kept.search.look_at(uids)
            except (GatewayError, TimeoutError) as error:
                log.info("a search of %s is not kept up to date any more: %s", self._session.login, error)
                del self._kept[kept.wish.tag]
                self._refuse(kept.wish.tag, "Whether new messages are found cannot be told at present")
                continue
            await self._show(kept.wish, changes, new)
            self._tell(kept.wish, changes)
            await self._session.drain()

    def _refuse(self, tag: str, text: str) -> None:
        self._session.write(write.untagged_status(Status.NO, text, write_code.no_update(tag)))

    async def _show(self, wish: Wish, changes: Iterable[Change], new: Sequence[int]) -> None:
        """Write the items asked for of new messages, ahead of their ADDTO (RFC 5465 section 7)."""
        if not wish.items:
            return
        added = {uid for change in changes if change.is_added for uid in change.uids}
        shown = sorted(added.intersection(new))
        if not shown:
            return
        try:
            fetched = _planned(self._session, wish.items, is_uid=wish.is_uid)
            await FetchWriter(self._session, fetched).write(shown)
        except MailError as error:
            # The client is told next that they are there, and can ask for them when the backend is back.
            log.info("new messages of %s are not shown: %s", self._session.login, error.operator_text)

    def _tell(self, wish: Wish, changes: Iterable[Change]) -> None:
        told = [ResultChange(one.is_added, one.position, self._called(wish, one)) for one in changes]
        if not told:
            return
        response = write_search.changes(wish.tag, told, is_uid=wish.is_uid)
        if wish.is_multisearch:
            name, uidvalidity = self._view.name, self._view.uidvalidity
            response = write_search.of_mailbox(response, wish.tag, name, uidvalidity, utf8=self._session.utf8)
        self._session.write(response)

    def _called(self, wish: Wish, change: Change) -> SequenceSet:
        if wish.is_uid:
            return write_code.in_order(change.uids)
        numbers = (self._view.sequence_number(uid) for uid in change.uids)
        return write_code.in_order(number for number in numbers if number is not None)
