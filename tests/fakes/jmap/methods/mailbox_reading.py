"""Mailbox/get, /changes and /query (RFC 8621 sections 2.1 to 2.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Arguments, Check, Mismatch, boolean, identifier, list_of, mapping, nullable, text
from tests.fakes.jmap.errors import MethodFailure
from tests.fakes.jmap.methods.standard import changes, get_reply, query_reply, selected, take_get, take_window
from tests.fakes.jmap.records import RIGHTS, FoundIds, Mailbox
from tests.fakes.jmap.scope import Scope

PROPERTIES = frozenset(
    {
        "id",
        "name",
        "parentId",
        "role",
        "sortOrder",
        "totalEmails",
        "unreadEmails",
        "totalThreads",
        "unreadThreads",
        "myRights",
        "isSubscribed",
    }
)
CONDITIONS: dict[str, Check[object]] = {
    "parentId": nullable(identifier),
    "name": text,
    "role": nullable(text),
    "hasAnyRole": boolean,
    "isSubscribed": boolean,
}
Match = Callable[[Mailbox], bool]
SORTS: dict[str, Callable[[Mailbox], object]] = {
    "sortOrder": lambda mailbox: mailbox.sort_order,
    "name": lambda mailbox: mailbox.name.casefold(),
}


def document(account: Account, mailbox: Mailbox) -> dict[str, object]:
    """Return all properties of a mailbox."""
    is_writable = not account.is_read_only
    return {
        "id": mailbox.id,
        "name": mailbox.name,
        "parentId": mailbox.parent_id,
        "role": mailbox.role,
        "sortOrder": mailbox.sort_order,
        "totalEmails": len(mailbox.emails),
        "unreadEmails": mailbox.unread,
        "totalThreads": len(mailbox.threads),
        "unreadThreads": len(mailbox.unread_threads),
        "myRights": {
            right: mailbox.allows(right) and (is_writable or right in ("mayReadItems", "maySubmit")) for right in RIGHTS
        },
        "isSubscribed": mailbox.is_subscribed,
    }


def mailbox_get(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    request = take_get(scope, arguments, PROPERTIES.__contains__, len(account.mailboxes))
    arguments.finish()

    def found(mailbox_id: str) -> dict[str, object] | None:
        mailbox = account.mailboxes.get(mailbox_id)
        return None if mailbox is None else selected(document(account, mailbox), request.properties)

    return get_reply(account, "Mailbox", list(account.mailboxes) if request.ids is None else request.ids, found)


def mailbox_changes(scope: Scope, arguments: Arguments) -> dict[str, object]:
    return changes(scope, arguments, "Mailbox")


def mailbox_query(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    matches = arguments.optional("filter", nullable(_filter), None) or _everything
    sorts = arguments.optional("sort", nullable(list_of(mapping)), None) or []
    as_tree = arguments.optional("sortAsTree", boolean, False)
    filter_as_tree = arguments.optional("filterAsTree", boolean, False)
    window = take_window(arguments)
    arguments.finish()
    found = [mailbox for mailbox in account.mailboxes.values() if matches(mailbox)]
    if filter_as_tree:
        found = [mailbox for mailbox in found if all(matches(parent) for parent in account.ancestors(mailbox))]
    for comparator in reversed(sorts):
        key, is_ascending = _comparator(comparator)
        found.sort(key=cast(Callable[[Mailbox], str], key), reverse=not is_ascending)
    if as_tree:
        found = _tree_order(account, found)
    ids = [mailbox.id for mailbox in found]
    if window.anchor is not None:
        if window.anchor not in ids:
            raise MethodFailure("anchorNotFound", window.anchor)
        window.position = max(ids.index(window.anchor) + window.anchor_offset, 0)
        window.anchor = None
    return query_reply(scope, account, FoundIds(ids), window, account.state("Mailbox"), lambda _: None)


def _everything(_: Mailbox) -> bool:
    return True


def _tree_order(account: Account, found: list[Mailbox]) -> list[Mailbox]:
    """Put each mailbox behind its parent, siblings in the order they have."""
    rank = {mailbox.id: place for place, mailbox in enumerate(found)}
    for mailbox in account.mailboxes.values():
        rank.setdefault(mailbox.id, len(rank))

    def path(mailbox: Mailbox) -> list[int]:
        return [rank[each.id] for each in (*reversed(list(account.ancestors(mailbox))), mailbox)]

    return sorted(found, key=path)


def _filter(value: object) -> Match:
    condition = mapping(value)
    if "operator" in condition:
        if set(condition) != {"operator", "conditions"}:
            raise Mismatch("not a FilterOperator")
        parts = list_of(_filter)(condition["conditions"])
        match condition["operator"]:
            case "AND":
                return lambda mailbox: all(part(mailbox) for part in parts)
            case "OR":
                return lambda mailbox: any(part(mailbox) for part in parts)
            case "NOT":
                return lambda mailbox: not any(part(mailbox) for part in parts)
        raise Mismatch("unknown operator")
    for name, wanted in condition.items():
        if name not in CONDITIONS:
            raise Mismatch(f"unknown condition {name}")
        CONDITIONS[name](wanted)
    return lambda mailbox: all(_meets(mailbox, name, wanted) for name, wanted in condition.items())


def _meets(mailbox: Mailbox, name: str, wanted: object) -> bool:
    match name:
        case "parentId":
            return mailbox.parent_id == wanted
        case "name":
            return str(wanted).casefold() in mailbox.name.casefold()
        case "role":
            return mailbox.role == wanted
        case "hasAnyRole":
            return (mailbox.role is not None) == wanted
        case _:
            return mailbox.is_subscribed == wanted


def _comparator(comparator: dict[str, object]) -> tuple[Callable[[Mailbox], object], bool]:
    values = Arguments(comparator)
    name = values.required("property", text)
    is_ascending = values.optional("isAscending", boolean, True)
    values.optional("collation", text, "")
    values.finish()
    if name not in SORTS:
        raise MethodFailure("unsupportedSort", name, is_violation=True)
    return SORTS[name], is_ascending
