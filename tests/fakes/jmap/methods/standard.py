"""What the /get, /changes, /query and /set methods of all types have in common (RFC 8620 section 5)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Arguments, boolean, id_list, identifier, integer, list_of, nullable, positive, text
from tests.fakes.jmap.checks import unsigned as unsigned_integer
from tests.fakes.jmap.errors import MethodFailure, SetFailure, invalid_arguments
from tests.fakes.jmap.journal import UnknownState
from tests.fakes.jmap.options import Quirk
from tests.fakes.jmap.records import Email, ResultList
from tests.fakes.jmap.scope import Scope


@dataclass(slots=True)
class GetRequest:
    """The common arguments of /get. `ids` of None means all; `properties` of None means the default ones."""

    ids: list[str] | None
    properties: list[str] | None


def take_get(scope: Scope, arguments: Arguments, is_property: Callable[[str], bool], count: int) -> GetRequest:
    """Take `ids` and `properties`; `count` is how many objects there are.

    Raises:
        MethodFailure: an unknown property, or more objects than `maxObjectsInGet`.
    """
    ids = arguments.optional("ids", nullable(id_list), None)
    properties = arguments.optional("properties", nullable(list_of(text)), None)
    unknown = [name for name in properties or () if not is_property(name)]
    if unknown:
        raise invalid_arguments(f"unknown property: {', '.join(unknown)}")
    limit = scope.options.max_objects_in_get
    objects = len(ids) if ids is not None else count
    if scope.exceeds(limit, "get", objects):
        is_violation = ids is not None and objects > limit
        raise MethodFailure("requestTooLarge", f"more than {limit} ids", is_violation=is_violation)
    return GetRequest(None if ids is None else list(dict.fromkeys(ids)), properties)


def get_reply(
    account: Account, kind: str, ids: Iterable[str], found: Callable[[str], dict[str, object] | None]
) -> dict[str, object]:
    """Return the reply of a /get: each id is in `list` or in `notFound`."""
    listed: list[dict[str, object]] = []
    missing: list[str] = []
    for object_id in ids:
        item = found(object_id)
        if item is None:
            missing.append(object_id)
        else:
            listed.append(item)
    return {"accountId": account.id, "state": account.state(kind), "list": listed, "notFound": missing}


def selected(item: dict[str, object], properties: Collection[str] | None) -> dict[str, object]:
    """Return the properties asked for; `id` always comes."""
    if properties is None:
        return item
    return {name: value for name, value in item.items() if name == "id" or name in properties}


def changes(scope: Scope, arguments: Arguments, kind: str) -> dict[str, object]:
    """Answer a /changes call (RFC 8620 section 5.2).

    Raises:
        MethodFailure: `cannotCalculateChanges`, or what the server's quirks have instead.
    """
    account = scope.account(arguments)
    since = arguments.required("sinceState", text)
    limit = arguments.optional("maxChanges", nullable(positive), None)
    arguments.finish()
    clamp = scope.options.changes_clamp
    if clamp is not None:
        limit = clamp if limit is None else min(limit, clamp)
    if scope.options.has(Quirk.CANNOT_CALCULATE_CHANGES):
        raise MethodFailure("cannotCalculateChanges")
    try:
        page = account.journals[kind].changes(since, limit, scope.options)
    except UnknownState:
        if scope.options.has(Quirk.INVALID_ARGUMENTS_FOR_BAD_STATE):
            raise MethodFailure("invalidArguments", "sinceState") from None
        raise MethodFailure("cannotCalculateChanges", "the state is not known") from None
    reply: dict[str, object] = {
        "accountId": account.id,
        "oldState": page.old_state,
        "newState": page.new_state,
        "hasMoreChanges": page.has_more,
        "created": page.created,
        "updated": page.updated,
        "destroyed": page.destroyed,
    }
    if scope.options.has(Quirk.ENDLESS_CHANGES):
        reply |= {"newState": since, "hasMoreChanges": True}
    if kind == "Mailbox":
        only_counts = page.is_counts_only and page.updated and not scope.options.has(Quirk.NO_UPDATED_PROPERTIES)
        counts = ["totalEmails", "unreadEmails", "totalThreads", "unreadThreads"]
        reply["updatedProperties"] = counts if only_counts else None
    return reply


@dataclass(slots=True)
class Window:
    """Which part of a query's results is asked for."""

    position: int
    anchor: str | None
    anchor_offset: int
    limit: int | None
    wants_total: bool


def take_window(arguments: Arguments) -> Window:
    return Window(
        arguments.optional("position", integer, 0),
        arguments.optional("anchor", nullable(identifier), None),
        arguments.optional("anchorOffset", integer, 0),
        arguments.optional("limit", nullable(unsigned_integer), None),
        arguments.optional("calculateTotal", boolean, False),
    )


def query_reply(
    scope: Scope,
    account: Account,
    results: ResultList,
    window: Window,
    query_state: str,
    find: Callable[[str], Email | None],
) -> dict[str, object]:
    """Cut the window out of the results (RFC 8620 section 5.5); `find` gives the object of an anchor.

    Raises:
        MethodFailure: `anchorNotFound`.
    """
    total = len(results)
    start = window.position if window.position >= 0 else max(total + window.position, 0)
    if window.anchor is not None:
        email = find(window.anchor)
        place = None if email is None else results.index(email)
        if place is None:
            raise MethodFailure("anchorNotFound", window.anchor)
        start = max(place + window.anchor_offset, 0)
    limit, clamp = window.limit, scope.options.query_clamp
    is_clamped = clamp is not None and (limit is None or limit > clamp)
    if is_clamped:
        limit = clamp
    stop = total if limit is None else min(start + limit, total)
    reply: dict[str, object] = {
        "accountId": account.id,
        "queryState": query_state,
        "canCalculateChanges": False,
        "position": start,
        "ids": results.page(start, stop) if start < stop else [],
    }
    if window.wants_total and not scope.options.has(Quirk.NO_CALCULATE_TOTAL):
        reply["total"] = total
    if is_clamped:
        reply["limit"] = clamp
    return reply


@dataclass(slots=True)
class SetReply:
    """What became of each object of a /set."""

    created: dict[str, object] = field(default_factory=dict)
    updated: dict[str, object] = field(default_factory=dict)
    destroyed: list[str] = field(default_factory=list)
    not_created: dict[str, object] = field(default_factory=dict)
    not_updated: dict[str, object] = field(default_factory=dict)
    not_destroyed: dict[str, object] = field(default_factory=dict)

    def arguments(self) -> dict[str, object]:
        return {
            "created": self.created or None,
            "updated": self.updated or None,
            "destroyed": self.destroyed or None,
            "notCreated": self.not_created or None,
            "notUpdated": self.not_updated or None,
            "notDestroyed": self.not_destroyed or None,
        }


def check_state(account: Account, kind: str, expected: str | None) -> None:
    """Compare `ifInState`.

    Raises:
        MethodFailure: `stateMismatch`.
    """
    if expected is not None and expected != account.state(kind):
        raise MethodFailure("stateMismatch", f"the state is {account.state(kind)}")


def check_set_size(scope: Scope, count: int) -> None:
    """Compare with `maxObjectsInSet`.

    Raises:
        MethodFailure: `requestTooLarge`.
    """
    limit = scope.options.max_objects_in_set
    if scope.exceeds(limit, "set", count):
        raise MethodFailure("requestTooLarge", f"{count} objects, {limit} are allowed", is_violation=count > limit)


def attempt(scope: Scope, what: str, failed: dict[str, object], key: str, act: Callable[[], None]) -> None:
    """Do one part of a set, or put down under `key` why it failed."""
    try:
        planned = scope.planned_failure()
        if planned is not None:
            raise planned
        act()
    except SetFailure as failure:
        failed[key] = scope.failure_of(failure, what)
