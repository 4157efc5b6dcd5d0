"""Delta queries: what changed in a folder since a token, told the way Graph tells it.

Rounds have no order, may tell a thing twice or again, tell removals of what nobody knew, and with immutable ids never
tell of a message that left and came back. A round of pages ends with a deltaLink; each page before it has a nextLink.
"""

from __future__ import annotations

import random
import re
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from tests.fakes.graph.calls import Call, Json, Reply
from tests.fakes.graph.errors import ApiError, bad_query, misuse, sync_state_not_found
from tests.fakes.graph.links import seal, unseal
from tests.fakes.graph.listing import DEFAULT_PAGE, context, place
from tests.fakes.graph.odata import parse_count, parse_expand, parse_select
from tests.fakes.graph.records import Entry, Folder, Kind, Message, to_ms
from tests.fakes.graph.schema import TIME

_FILTER: Final = re.compile(r"receivedDateTime\s+(ge|gt)\s+(\S+)")
_FILTERED_AT_MOST: Final = 5000
_SNAPSHOTS: Final = 4096
_PARTIAL: Final = frozenset({"isRead"})
_CHANGE_TYPES: Final = frozenset({"created", "updated", "deleted"})
_REPLAYED: Final = 3


@dataclass(frozen=True, slots=True)
class State:
    """What a token holds. `since` None: the first round, of the messages in `snapshot`. `upto`: where the next begins.

    `before`: where the round before began. `names`: what is selected. `is_filled`: the empty page before was given.
    """

    folder: int
    epoch: int
    names: tuple[str, ...] | None
    page: int
    since: int | None
    upto: int
    offset: int = 0
    snapshot: int = 0
    before: int | None = None
    kinds: tuple[str, ...] = ()
    after_ms: int | None = None
    is_filled: bool = False


@dataclass(frozen=True, slots=True)
class _Change:
    """One item of a round. `properties` None: told in full."""

    number: int
    reason: str | None = None
    properties: frozenset[str] | None = None
    moves: int = 0


class Deltas:
    """Delta rounds of one stand-in; keeps what the first rounds under way are about."""

    def __init__(self) -> None:
        self._snapshots: OrderedDict[int, list[int]] = OrderedDict()
        self._last = 0

    def messages(self, call: Call) -> Reply:
        """Answer a page of a round."""
        folder = call.mailbox.folder(call.ids["f"])
        if folder.search_query is not None:
            raise ApiError(400, "ErrorInvalidRequest", "Change tracking is not supported in a search folder.")
        state = self._state(call, folder)
        quirks = call.mailbox.quirks
        if quirks.delta_empty_pages and not state.is_filled:
            return self._page(call, folder, [], replace(state, is_filled=True))
        changes = self._changes(call, folder, state)
        page = min(call.prefer.page_size or state.page, call.fake.options.max_page)
        shown = changes[state.offset : state.offset + page]
        items = [item for change in shown for item in _items(call, folder, state, change)]
        if state.offset + page < len(changes):
            return self._page(call, folder, items, replace(state, offset=state.offset + page, is_filled=False))
        self._snapshots.pop(state.snapshot, None)
        return self._page(call, folder, items, state, is_last=True)

    def _state(self, call: Call, folder: Folder) -> State:
        token = call.query.get("$deltatoken") or call.query.get("$skiptoken")
        if not token:
            return self._first(call, folder)
        if len(call.query) > 1:
            raise misuse("ErrorInvalidUrlQuery", "A delta link is followed as it is given, with nothing added.")
        held = unseal(token)
        if held.pop("k", None) != ("delta" if "$deltatoken" in call.query else "next"):
            raise misuse("ErrorInvalidUrlQuery", "Badly formed token.")
        held |= {name: tuple(held[name]) for name in ("names", "kinds") if held[name] is not None}
        state = State(**held)
        if state.folder != folder.number:
            raise misuse("ErrorInvalidUrlQuery", "The token is of another folder.")
        is_forgotten = state.snapshot and state.snapshot not in self._snapshots
        if state.epoch != folder.epoch or is_forgotten:
            where = f"{place(call, folder)}/messages/delta?$deltatoken=" if folder.expired_status == 410 else None
            raise sync_state_not_found(folder.expired_status, where)
        if "$deltatoken" in call.query:
            upto = folder.shown if call.mailbox.quirks.delta_lags else folder.newest
            folder.shown = folder.newest
            assert state.since is not None
            return replace(state, upto=max(upto, state.since))
        return state

    def _first(self, call: Call, folder: Folder) -> State:
        query, checker = call.query, call.fake.checker
        names = parse_select(query["$select"], "Message", checker) if "$select" in query else None
        if "$expand" in query:
            parse_expand(query["$expand"], "Message", checker)
            if call.mailbox.quirks.delta_expand_fails:
                raise ApiError(500, "ErrorInternalServerError", "Value cannot be null. Parameter name: type")
        if query.get("$orderby", "receivedDateTime desc").split() != ["receivedDateTime", "desc"]:
            raise bad_query("Delta is ordered by receivedDateTime desc, or not at all.")
        kinds = tuple(query["changeType"].split(",")) if "changeType" in query else ()
        if not _CHANGE_TYPES.issuperset(kinds):
            raise bad_query(f"{query['changeType']} is no changeType.")
        page = call.prefer.page_size or DEFAULT_PAGE
        if "$top" in query:
            page = parse_count("top", query["$top"], 1, call.fake.options.max_page)
        after_ms = _after_ms(query["$filter"]) if "$filter" in query else None
        numbers = [number for ms, number in folder.order if after_ms is None or ms >= after_ms]
        if after_ms is not None:
            numbers = numbers[-_FILTERED_AT_MOST:]
        if call.mailbox.quirks.delta_disorder:
            random.Random(f"{call.fake.options.seed} {folder.newest}").shuffle(numbers)
        self._last += 1
        self._snapshots[self._last] = numbers
        if len(self._snapshots) > _SNAPSHOTS:
            self._snapshots.popitem(last=False)
        folder.shown = folder.newest
        return State(
            folder.number, folder.epoch, names, page, None, folder.newest, snapshot=self._last, kinds=kinds,
            after_ms=after_ms,
        )  # fmt: skip

    def _page(self, call: Call, folder: Folder, items: list[Json], state: State, *, is_last: bool = False) -> Reply:
        body: Json = {"@odata.context": context(call, "messages", state.names), "value": items}
        base = f"{place(call, folder)}/messages/delta"
        if is_last:
            ended = replace(state, since=state.upto, before=state.since, offset=0, snapshot=0, is_filled=False)
            body["@odata.deltaLink"] = f"{base}?%24deltatoken={seal({'k': 'delta', **asdict(ended)})}"
        else:
            body["@odata.nextLink"] = f"{base}?%24skiptoken={seal({'k': 'next', **asdict(state)})}"
        return Reply(body=body, type_name="Message", is_collection=True)

    def _changes(self, call: Call, folder: Folder, state: State) -> Sequence[_Change]:
        quirks = call.mailbox.quirks
        if state.since is None:
            changes = [_Change(number) for number in self._snapshots[state.snapshot]]
        else:
            since = state.since
            if quirks.delta_replays and state.before is not None:
                # The last few of what was told before, told again.
                told = folder.since(state.before, state.since)[-_REPLAYED:]
                since = told[0].sequence - 1 if told else since
            changes = list(_coalesced(call, folder.since(since, state.upto), state))
            if quirks.delta_disorder:
                random.Random(f"{state.since} {state.upto}").shuffle(changes)
        if quirks.delta_repeats:
            changes += changes[::3]
        return changes


def _coalesced(call: Call, entries: Sequence[Entry], state: State) -> Iterator[_Change]:
    """Tell for each message what became of it, from all that happened to it in a round."""
    by_number: dict[int, list[Entry]] = {}
    for entry in entries:
        by_number.setdefault(entry.number, []).append(entry)
    quirks = call.mailbox.quirks
    for number, own in by_number.items():
        removals = [entry for entry in own if entry.kind is Kind.REMOVED]
        was_there, is_there = own[0].kind is not Kind.ADDED, own[-1].kind is not Kind.REMOVED
        reason = "changed" if removals and removals[-1].is_move and number % 2 else "deleted"
        if not is_there:
            yield _Change(number, reason, moves=removals[-1].moves)
        elif was_there and removals:
            # By its classic id it is another message now; by its immutable one it is the same, in full.
            is_lost = call.prefer.is_immutable and quirks.delta_loses_returns
            if is_lost or not call.prefer.is_immutable:
                yield _Change(number, reason, moves=removals[0].moves)
            if not is_lost:
                yield _Change(number)
        elif not was_there:
            last = next(entry for entry in reversed(own) if entry.kind is Kind.ADDED)
            if not (quirks.delta_loses_arrivals and last.is_move):
                yield _Change(number)
        else:
            changed = frozenset[str]().union(*(entry.properties for entry in own))
            if changed != _PARTIAL or state.names is None or "isRead" in state.names:
                yield _Change(number, properties=changed)


def _items(call: Call, folder: Folder, state: State, change: _Change) -> Iterator[Json]:
    ids = call.mailbox.ids
    immutable = call.prefer.is_immutable
    message = call.mailbox.messages.get(change.number)
    if change.reason is not None:
        if not state.kinds or "deleted" in state.kinds:
            told = ids.message(change.number) if immutable else ids.classic(change.number, folder.number, change.moves)
            yield {"@odata.type": "#microsoft.graph.message", "id": told, "@removed": {"reason": change.reason}}
        return
    if message is None or message.folder is not folder:
        # Gone while the round went on; the next one tells.
        return
    if state.kinds and ("created" if change.properties is None else "updated") not in state.kinds:
        return
    if state.after_ms is not None and message.received_ms < state.after_ms:
        return
    yield _told(call, message, state, change)


def _told(call: Call, message: Message, state: State, change: _Change) -> Json:
    names = state.names
    is_partial = change.properties is not None and (change.properties == _PARTIAL or call.mailbox.quirks.delta_partial)
    if is_partial:
        assert change.properties is not None
        selected = change.properties if names is None else change.properties & set(names)
        names = (*sorted(selected - {"singleValueExtendedProperties"}), "parentFolderId")
    found: dict[str, Any] = {"@odata.type": "#microsoft.graph.message"}
    return found | call.view.message(message, names)


def _after_ms(text: str) -> int:
    match = _FILTER.fullmatch(text.strip())
    if match is None or not TIME.fullmatch(match[2]):
        raise bad_query("Delta is filtered by receivedDateTime ge, or gt, a time; by nothing else.")
    return to_ms(datetime.fromisoformat(match[2])) + (match[1] == "gt")
