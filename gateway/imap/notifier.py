"""Telling one client what it has asked for by NOTIFY, whenever it happens (RFC 5465)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from gateway.errors import GatewayError, MailError
from gateway.imap.commands.list import attributes_of
from gateway.imap.endings import FarewellSaid
from gateway.imap.fetch_plan import plan
from gateway.imap.fetch_writer import FetchWriter
from gateway.imap.session import Session
from gateway.mailbox.mailbox_filter import chosen, covers
from gateway.mailbox.mailbox_watch import MailboxWatch, Moved, TooMuch, Watched, account_ids
from gateway.mailbox.namespace import MailboxEntry, MailboxStatus, Tree
from gateway.mailbox.tree_changes import NameChange, Snapshot, TreeChange, changes, snapshot
from gateway.sync.bus import AnnotationsChanged
from gateway.wire import commands, write, write_metadata
from gateway.wire.codes import Code, Status
from gateway.wire.commands import Command, ListKind, ListReturn, StatusItem
from gateway.wire.mailbox_filter import FilterKind
from gateway.wire.notify import MESSAGE_EVENTS, Event, EventGroup
from gateway.wire.sequence_set import SequenceSet

log = logging.getLogger(__name__)

MAX_NEW = 1000
"""Of so many new messages at once items are fetched without being asked for again."""

MAX_ANNOTATIONS = 1000
"""So many changed annotations wait to be told to a client that takes its time."""

_OF_TREE = frozenset({Event.MAILBOX_NAME, Event.SUBSCRIPTION_CHANGE})
_OF_ANNOTATIONS = frozenset({Event.MAILBOX_METADATA_CHANGE, Event.SERVER_METADATA_CHANGE})
_LISTED = commands.List(
    ListKind.LIST, "", (), True, frozenset(), frozenset({ListReturn.SUBSCRIBED, ListReturn.CHILDREN})
)


class Notifier:
    """What one session is to be told of, from NOTIFY on. Close it when another takes its place.

    Without groups nothing is told, not even of the selected mailbox.
    """

    def __init__(self, session: Session, groups: Sequence[EventGroup]) -> None:
        self._session = session
        self._ring = partial(session.services.bells.ring, session.connection.ring)
        self._selected = next((group for group in groups if group.mailboxes.kind in _SELECTING), None)
        self._others = [group for group in groups if group is not self._selected and group.events]
        self._new: list[int] = []
        self._watch = MailboxWatch(session.services.mail, self._ring)
        self._stops: list[Callable[[], None]] = []
        self._snapshot: Snapshot = {}
        self._is_tree_old = False
        self._annotations: dict[tuple[str, str], None] = {}
        self._has_overflown = False

    # -- what the selected mailbox asks --------------------------------------------------------------------------------

    @property
    def wants_counts(self) -> bool:
        """Whether the client wants to know of messages that come to the selected mailbox, or go."""
        return self._selected is not None and Event.MESSAGE_NEW in self._selected.events

    @property
    def wants_flags(self) -> bool:
        """Whether the client wants to know of changed flags in the selected mailbox."""
        return self._selected is not None and Event.FLAG_CHANGE in self._selected.events

    def note_new(self, uids: Iterable[int]) -> None:
        """Take note of messages whose arrival has just been told."""
        if self._selected is not None and self._selected.items:
            self._new.extend(uids)

    # -- beginning and end ---------------------------------------------------------------------------------------------

    async def start(self, *, tells_status: bool) -> None:
        """Begin to listen, and tell how the mailboxes are if asked for.

        Raises:
            TooMuch: this is more than one session may watch.
            MailError: no account could be listed yet.
        """
        if not self._others:
            return
        user, bus = self._session.require_user(), self._session.services.mail.bus
        # First, so that nothing is missed while the tree is read.
        self._stops = [bus.subscribe_tree(account_id, self._note_tree) for account_id in account_ids(user)]
        if any(group.events & _OF_ANNOTATIONS for group in self._others):
            self._stops.append(bus.subscribe_annotations(user.user_id, self._note_annotations))
        await user.mailboxes()
        self._is_tree_old = False
        self._look_at(await user.tree())
        stock = await self._watch.take_stock(user)
        if tells_status:
            for one in stock:
                if not self._is_selected(one.mailbox.name):
                    self._tell_status(one.mailbox.name, self._stock_items(one.mailbox.events), one.now)
                    await self._session.drain()

    def close(self) -> None:
        """Listen no more."""
        self._watch.close()
        for stop in self._stops:
            stop()
        self._stops.clear()
        self._others = []
        if self._session.view is not None:
            self._session.view.set_bell(None)

    def _look_at(self, tree: Tree) -> None:
        """Watch the mailboxes that are meant now."""
        self._snapshot = snapshot(tree)
        wanted: dict[int, Watched] = {}
        for group in self._others:
            events = group.events & MESSAGE_EVENTS
            if events:
                for mailbox_id, (name, _) in chosen(tree, [group.mailboxes]).items():
                    known = wanted.get(mailbox_id)
                    wanted[mailbox_id] = Watched(name, events if known is None else known.events | events)
        self._watch.watch(wanted)

    # -- telling -------------------------------------------------------------------------------------------------------

    async def tell(self) -> None:
        """Tell what is new between two commands.

        Raises:
            FarewellSaid: the selected mailbox is gone.
        """
        session = self._session
        if session.view is not None and self._selected is not None:
            session.view.set_bell(self._ring)
            if session.view.is_defunct:
                session.unselect()
                session.say_bye("The selected mailbox was deleted or renewed. Please reconnect.")
                raise FarewellSaid
            is_delayed = self._selected.mailboxes.kind is FilterKind.SELECTED_DELAYED
            session.tell_changes(allow_expunge=not is_delayed)
            await session.tell_rest()
        await self.tell_others()
        await session.drain()

    async def tell_after(self, command: Command, code: bytes | None) -> None:
        """Tell what is new at the end of a command, but for what is the doing of that command."""
        own = _stored_by(command, code)
        if own and isinstance(command, commands.Append | commands.Copy | commands.Replace):
            view = self._session.view
            if view is not None and view.name == command.mailbox:
                self._new = [uid for uid in self._new if uid not in own]
        await self.tell_others(command)

    async def tell_others(self, command: Command | None = None) -> None:
        """Tell the items of new messages, and what is new elsewhere than in the selected mailbox.

        If that cannot be done, the client is told, and nothing more (section 5.8).
        """
        try:
            await self._tell_new()
            await self._tell_tree(command)
            await self._tell_statuses()
            self._tell_annotations()
            if self._has_overflown:
                raise TooMuch
        except TooMuch:
            self._give_up("Too much has happened to tell of it")
        except GatewayError as error:
            log.info("notifications of %s end: %s", self._session.login, error.operator_text)
            self._give_up("Changes cannot be told at present")

    def _give_up(self, text: str) -> None:
        self._session.write(write.untagged_status(Status.OK, text, Code.NOTIFICATIONOVERFLOW.value))
        self.close()
        self._selected = None
        self._new.clear()
        self._annotations.clear()
        self._is_tree_old = self._has_overflown = False

    async def _tell_new(self) -> None:
        uids, self._new = self._new, []
        if not uids or self._selected is None or self._session.view is None:
            return
        if len(uids) > MAX_NEW:
            raise TooMuch
        fetch_plan = plan(
            self._selected.items,
            with_uid=False,
            with_modseq=self._session.has_condstore,
            is_uid_only=self._session.uid_only,
        )
        try:
            await FetchWriter(self._session, fetch_plan).write(uids)
        except MailError as error:
            # The client knows that they are there, and can ask for them when the backend is back.
            log.info("new messages of %s are not shown: %s", self._session.login, error.operator_text)

    # -- other mailboxes -----------------------------------------------------------------------------------------------

    def _is_selected(self, name: str) -> bool:
        return self._session.view is not None and self._session.view.name == name

    async def _tell_statuses(self) -> None:
        if not self._watch.has_news:
            return
        selected = None if self._session.view is None else self._session.view.mailbox_id
        for mailbox_id, one in await self._watch.moved():
            if mailbox_id != selected and (items := self._moved_items(one)):
                self._tell_status(one.mailbox.name, items, one.now)

    def _tell_status(self, name: str, items: Iterable[StatusItem], now: MailboxStatus) -> None:
        pairs = [(item, _FIGURES[item](now)) for item in items]
        self._session.write(write.mailbox_status(name, pairs, utf8=self._session.utf8))

    def _stock_items(self, events: frozenset[Event]) -> list[StatusItem]:
        """Return what is told of a mailbox at the beginning (section 3.1)."""
        items = [StatusItem.UIDVALIDITY, StatusItem.UIDNEXT, StatusItem.MESSAGES]
        if Event.FLAG_CHANGE in events and self._session.offers("CONDSTORE"):
            items.append(StatusItem.HIGHESTMODSEQ)
        return items

    def _moved_items(self, one: Moved) -> list[StatusItem]:
        """Return what is told of a mailbox that has changed (sections 5.1 to 5.3), which may be nothing."""
        before, now, events = one.mailbox.told, one.now, one.mailbox.events
        if before is None:
            return [StatusItem.UIDVALIDITY, *_COUNTS] if now.messages else []
        items = [*_COUNTS] if (before.uidnext, before.messages) != (now.uidnext, now.messages) else []
        if Event.FLAG_CHANGE in events and before.unseen != now.unseen:
            items.append(StatusItem.UNSEEN)
        has_new_flags = Event.FLAG_CHANGE in events and before.highestmodseq != now.highestmodseq
        if self._session.has_condstore and (items or has_new_flags):
            items += [StatusItem.HIGHESTMODSEQ, StatusItem.UIDVALIDITY]
        elif before.uidvalidity != now.uidvalidity:
            items.append(StatusItem.UIDVALIDITY)
        return items

    # -- names ---------------------------------------------------------------------------------------------------------

    def _note_tree(self, _: int) -> None:
        self._is_tree_old = True
        self._ring()

    async def _tell_tree(self, command: Command | None) -> None:
        if not self._is_tree_old:
            return
        self._is_tree_old = False
        tree = await self._session.require_user().tree()
        before = self._snapshot
        self._look_at(tree)
        if any(group.events & _OF_TREE for group in self._others):
            entries = {entry.name: entry for entry in tree.entries()}
            told: set[str] = set()
            for change in changes(before, self._snapshot):
                if not _is_doing_of(command, change):
                    self._tell_name(change, entries, told)
            await self._session.drain()

    def _tell_name(self, change: NameChange, entries: dict[str, MailboxEntry], told: set[str]) -> None:
        event = Event.SUBSCRIPTION_CHANGE if change.kind is TreeChange.SUBSCRIPTION else Event.MAILBOX_NAME
        # Who watches the old name of a mailbox is told where it has gone.
        affected = [change.name] if change.old_name is None else [change.name, change.old_name]
        if change.name not in told and any(
            self._wants(event, name, is_subscribed=change.is_subscribed) for name in affected
        ):
            self._list(change.name, entries, change.old_name)
            told.add(change.name)
        if change.kind in (TreeChange.CREATED, TreeChange.DELETED):
            # The level above is affected too (section 5.4): it may have got children, or have lost them.
            above = change.name.rpartition("/")[0]
            entry = entries.get(above)
            if (
                above
                and above not in told
                and self._wants(event, above, is_subscribed=bool(entry and entry.is_subscribed))
            ):
                self._list(above, entries)
                told.add(above)

    def _wants(self, event: Event, name: str, *, is_subscribed: bool) -> bool:
        # Whoever wants to know of subscriptions wants to know of one that has ended, too.
        was_or_is = is_subscribed or event is Event.SUBSCRIPTION_CHANGE
        return any(
            event in group.events and covers(group.mailboxes, name, is_subscribed=was_or_is) for group in self._others
        )

    def _list(self, name: str, entries: dict[str, MailboxEntry], old_name: str | None = None) -> None:
        entry = entries.get(name)
        attributes = ("\\NonExistent",) if entry is None else attributes_of(_LISTED, entry)
        self._session.write(write.mailbox_list(name, attributes, old_name=old_name, utf8=self._session.utf8))

    # -- annotations ---------------------------------------------------------------------------------------------------

    def _note_annotations(self, change: AnnotationsChanged) -> None:
        event = Event.MAILBOX_METADATA_CHANGE if change.mailbox else Event.SERVER_METADATA_CHANGE
        if change.origin is self._session:
            return
        if change.mailbox:
            is_subscribed = any(
                state.name == change.mailbox and state.is_subscribed for state in self._snapshot.values()
            )
            is_wanted = self._wants(event, change.mailbox, is_subscribed=is_subscribed)
        else:
            is_wanted = any(event in group.events for group in self._others)
        if is_wanted:
            self._annotations.update(dict.fromkeys((change.mailbox, entry) for entry in change.entries))
            if len(self._annotations) > MAX_ANNOTATIONS:
                self._annotations.clear()
                self._has_overflown = True
            self._ring()

    def _tell_annotations(self) -> None:
        changed, self._annotations = self._annotations, {}
        by_mailbox: dict[str, list[str]] = {}
        for mailbox, entry in changed:
            by_mailbox.setdefault(mailbox, []).append(entry)
        for mailbox, entries in by_mailbox.items():
            self._session.write(write_metadata.changed(mailbox, entries, utf8=self._session.utf8))


_SELECTING = frozenset({FilterKind.SELECTED, FilterKind.SELECTED_DELAYED})
_COUNTS = (StatusItem.UIDNEXT, StatusItem.MESSAGES)
_FIGURES: dict[StatusItem, Callable[[MailboxStatus], int]] = {
    StatusItem.UIDVALIDITY: lambda now: now.uidvalidity,
    StatusItem.UIDNEXT: lambda now: now.uidnext,
    StatusItem.MESSAGES: lambda now: now.messages,
    StatusItem.UNSEEN: lambda now: now.unseen,
    StatusItem.HIGHESTMODSEQ: lambda now: now.highestmodseq,
}


def _stored_by(command: Command, code: bytes | None) -> set[int]:
    """Return the UIDs that a command of this session has given to messages, as APPENDUID and COPYUID tell them."""
    if code is None or not code.startswith((Code.APPENDUID.value, Code.COPYUID.value)):
        return set()
    numbers = SequenceSet.parse(code.rpartition(b" ")[2])
    return {uid for low, high in numbers.ranges for uid in range(low, high + 1)}


def _is_doing_of(command: Command | None, change: NameChange) -> bool:
    """Tell whether a command of this session has brought about the change, so that it is no news (section 5)."""
    match command:
        case commands.Create(mailbox):
            is_it = mailbox == change.name or mailbox.startswith(change.name + "/")
            return is_it and change.kind is not TreeChange.DELETED
        case commands.Delete(mailbox):
            return change.kind is TreeChange.DELETED and change.name == mailbox
        case commands.Rename(old, new):
            return change.name in (old, new) or change.old_name == old or change.name.startswith(new + "/")
        case commands.Subscribe(mailbox):
            return change.kind is TreeChange.SUBSCRIPTION and change.name == mailbox
        case _:
            return False
