"""Lists of messages, page by page: selected, filtered, searched, ordered, with what is to come along."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.fakes.graph.calls import Call, Json, Reply
from tests.fakes.graph.errors import misuse
from tests.fakes.graph.filtering import check_order, parse_filter
from tests.fakes.graph.links import seal, unseal
from tests.fakes.graph.odata import Expansion, parse_count, parse_expand, parse_flag, parse_order, parse_select
from tests.fakes.graph.records import Folder, Message
from tests.fakes.graph.searching import search
from tests.fakes.graph.views import GETTERS, View, extended

DEFAULT_PAGE: Final = 10
MAX_FOUND: Final = 1000


def list_messages(call: Call) -> Reply:
    """Answer messages of a folder or of the whole mailbox."""
    folder = call.mailbox.folder(call.ids["f"]) if "f" in call.ids else None
    query, offset = _query(call)
    checker = call.fake.checker
    names = parse_select(query["$select"], "Message", checker) if "$select" in query else None
    expansion = parse_expand(query["$expand"], "Message", checker) if "$expand" in query else Expansion()
    page = page_size(call, query)
    found = _chosen(call, folder, query)
    total = len(found)
    shown = found[offset : offset + page]
    body: Json = {"@odata.context": context(call, "messages", names)}
    if parse_flag("$count", query.get("$count", "false")):
        body["@odata.count"] = total
    body["value"] = [message_resource(call, message, names, expansion) for message in shown]
    if offset + page < total:
        token = seal({"k": "list", "q": {**query, "$top": str(page)}, "o": offset + page})
        body["@odata.nextLink"] = f"{place(call, folder)}/messages?%24skiptoken={token}"
    return Reply(body=body, type_name="Message", is_collection=True)


def message_resource(call: Call, message: Message, names: Sequence[str] | None, expansion: Expansion) -> Json:
    """Return a message with what is expanded."""
    found = call.view.message(message, names)
    if expansion.extended:
        values = [
            {"id": name, "value": value}
            for name in expansion.extended
            if (value := extended(message, name)) is not None
        ]
        if values:
            found["singleValueExtendedProperties"] = values
    if expansion.has_attachments:
        count = len(message.content.body.attachments)
        with_content = expansion.attachments is None or "contentBytes" in expansion.attachments
        found["attachments"] = [
            call.view.attachment(message, number, expansion.attachments, with_content=with_content)
            for number in range(count)
        ]
    return found


def page_size(call: Call, query: Mapping[str, str]) -> int:
    """Return how many items a page has: $top, or what the Prefer header says, or 10; never more than the limit."""
    limit = call.fake.options.max_page
    if "$top" in query:
        return parse_count("top", query["$top"], 1, limit)
    return min(call.prefer.page_size or DEFAULT_PAGE, limit)


def place(call: Call, folder: Folder | None) -> str:
    """Return the URL of a folder, or of the mailbox, in the form Graph's links have."""
    if folder is None:
        return call.root
    return f"{call.root}/mailFolders('{call.mailbox.ids.folder(folder.number).replace('=', '%3D')}')"


def context(call: Call, what: str, names: Sequence[str] | None) -> str:
    """Return an @odata.context."""
    chosen = f"({','.join(names)})" if names else ""
    return f"{call.http.origin}/v1.0/$metadata#users('{call.mailbox.address}')/{what}{chosen}"


def _query(call: Call) -> tuple[dict[str, str], int]:
    if "$skiptoken" not in call.query:
        query = dict(call.query)
        return query, parse_count("skip", query.pop("$skip", "0"), 0, 10**9)
    if len(call.query) > 1:
        raise misuse("ErrorInvalidUrlQuery", "A nextLink is followed as it is given, with nothing added.")
    state = unseal(call.query["$skiptoken"])
    if state.get("k") != "list":
        raise misuse("ErrorInvalidUrlQuery", "Badly formed token.")
    return state["q"], state["o"]


def _chosen(call: Call, folder: Folder | None, query: Mapping[str, str]) -> Sequence[Message]:
    mailbox, view, checker = call.mailbox, View(call.mailbox, call.prefer.is_immutable), call.fake.checker
    order = parse_order(query["$orderby"], "Message", checker) if "$orderby" in query else []
    if "$search" in query:
        if "$filter" in query or "$orderby" in query:
            raise misuse("SearchWithFilter", "The query parameter '$search' is not allowed with '$filter', '$orderby'.")
        return search(mailbox, folder, query["$search"])[:MAX_FOUND]
    condition = parse_filter(query["$filter"], checker) if "$filter" in query else None
    check_order(condition, order)
    is_plain = not order or order == [("receivedDateTime", True)]
    if condition is None and is_plain and folder is not None and folder.search_query is None:
        return _Newest(mailbox.messages, folder.order)
    if condition is not None and condition.message_id is not None:
        known = mailbox.with_message_id(condition.message_id)
        found = [each for each in known if folder is None or folder.search_query is not None or each.folder is folder]
    else:
        everything = mailbox.in_folder(folder) if folder is not None else mailbox.everything()
        found = [each for each in everything if condition is None or condition.test(view, each)]
    for name, descends in reversed(order or [("receivedDateTime", True)]):
        found.sort(key=lambda message: _sort_key(view, message, name), reverse=descends)
    return found


def _sort_key(view: View, message: Message, path: str) -> Any:
    if path == "receivedDateTime":
        return message.key
    name, *steps = path.split("/")
    value = GETTERS[name](view, message)
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else None
    return (value is not None, value.lower() if isinstance(value, str) else value)


class _Newest(Sequence[Message]):
    """A folder newest first, of which only the wanted part is looked at."""

    def __init__(self, messages: Mapping[int, Message], order: list[tuple[int, int]]) -> None:
        self._messages = messages
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, where: Any) -> Any:
        if isinstance(where, slice):
            start, stop, _ = where.indices(len(self._order))
            return [self._messages[self._order[-1 - place][1]] for place in range(start, stop)]
        return self._messages[self._order[-1 - where][1]]
