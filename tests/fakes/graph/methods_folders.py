"""Folders: list, get, create, rename, move, copy, delete, and which of them changed."""

from __future__ import annotations

from typing import Any

from tests.fakes.graph import mapi
from tests.fakes.graph.calls import Call, Json, Reply
from tests.fakes.graph.errors import misuse, sync_state_not_found
from tests.fakes.graph.links import seal, unseal
from tests.fakes.graph.listing import DEFAULT_PAGE, context
from tests.fakes.graph.methods_messages import extended_given
from tests.fakes.graph.odata import Expansion, parse_count, parse_expand, parse_flag, parse_select
from tests.fakes.graph.records import MAIL_CLASS, Folder
from tests.fakes.graph.views import folder_extended

_WRITABLE = frozenset({"displayName", "isHidden", "singleValueExtendedProperties", "@odata.type"})


def list_children(call: Call) -> Reply:
    """Answer the folders right below one, or below the root; hidden ones if they are asked for."""
    parent = call.mailbox.folder(call.ids["f"]) if "f" in call.ids else call.mailbox.root
    query, offset = _query(call)
    names, expansion = _asked(call, query)
    shows_hidden = parse_flag("includeHiddenFolders", query.get("includeHiddenFolders", "false"))
    children = sorted(parent.children.values(), key=lambda folder: folder.name.lower())
    found = [each for each in children if shows_hidden or not each.is_hidden]
    if "$filter" in query:
        found = [each for each in found if _passes(each, query["$filter"])]
    page = _page_size(call, query)
    body: Json = {
        "@odata.context": context(call, "mailFolders", names),
        "value": [_resource(call, folder, names, expansion) for folder in found[offset : offset + page]],
    }
    if parse_flag("$count", query.get("$count", "false")):
        body["@odata.count"] = len(found)
    if offset + page < len(found):
        where = f"mailFolders('{call.mailbox.ids.folder(parent.number).replace('=', '%3D')}')/childFolders"
        below = "mailFolders" if "f" not in call.ids else where
        token = seal({"k": "folders", "q": query, "o": offset + page})
        body["@odata.nextLink"] = f"{call.root}/{below}?%24skiptoken={token}"
    return Reply(body=body, type_name="MailFolder", is_collection=True)


def get(call: Call) -> Reply:
    """Answer one folder."""
    names, expansion = _asked(call, call.query)
    return _entity(call, call.mailbox.folder(call.ids["f"]), names=names, expansion=expansion)


def create(call: Call) -> Reply:
    """Make a folder."""
    parent = call.mailbox.folder(call.ids["f"]) if "f" in call.ids else call.mailbox.root
    if parent.search_query is not None:
        raise misuse("ErrorInvalidRequest", "A search folder has no folders.")
    _check_writable(call)
    if not call.body.get("displayName"):
        raise misuse("ErrorInvalidRequest", "A folder has a displayName.")
    properties = extended_given(call.body)
    folder = call.mailbox.create_folder(
        call.body["displayName"],
        parent,
        is_hidden=bool(call.body.get("isHidden")),
        folder_class=properties.get(mapi.FOLDER_CLASS, MAIL_CLASS),
    )
    folder.extended |= properties
    return _entity(call, folder, 201)


def patch(call: Call) -> Reply:
    """Rename a folder."""
    folder = call.mailbox.folder(call.ids["f"])
    _check_writable(call)
    if "isHidden" in call.body:
        raise misuse("ErrorInvalidRequest", "isHidden is set when a folder is made, and not afterwards.")
    if "displayName" in call.body:
        call.mailbox.rename_folder(folder, call.body["displayName"] or "")
    folder.extended |= extended_given(call.body)
    return _entity(call, folder)


def move(call: Call) -> Reply:
    """Put a folder below another."""
    folder = call.mailbox.folder(call.ids["f"])
    call.mailbox.move_folder(folder, call.mailbox.folder(call.body["destinationId"]))
    return _entity(call, folder, 201)


def copy(call: Call) -> Reply:
    """Copy a folder with all in it."""
    folder = call.mailbox.folder(call.ids["f"])
    made = call.mailbox.copy_folder(folder, call.mailbox.folder(call.body["destinationId"]))
    return _entity(call, made, 201)


def delete(call: Call) -> Reply:
    """Delete a folder: into Deleted Items, from there for good."""
    call.mailbox.delete_folder(call.mailbox.folder(call.ids["f"]))
    return Reply(204)


def permanent_delete(call: Call) -> Reply:
    """Delete a folder for good."""
    call.mailbox.delete_folder(call.mailbox.folder(call.ids["f"]), is_purge=True)
    return Reply(204)


def delta(call: Call) -> Reply:
    """Answer which folders were made, changed or removed, all levels in one list."""
    mailbox = call.mailbox
    token = call.query.get("$deltatoken") or call.query.get("$skiptoken")
    if token:
        if len(call.query) > 1:
            raise misuse("ErrorInvalidUrlQuery", "A delta link is followed as it is given, with nothing added.")
        state = unseal(token)
        if state.get("k") != "folder-delta":
            raise misuse("ErrorInvalidUrlQuery", "Badly formed token.")
        if state["e"] != mailbox.root.epoch:
            raise sync_state_not_found(mailbox.root.expired_status, f"{call.root}/mailFolders/delta?$deltatoken=")
    else:
        names, _ = _asked(call, call.query)
        upto = len(mailbox.folder_log)
        state = {"k": "folder-delta", "e": mailbox.root.epoch, "n": names, "s": None, "u": upto, "o": 0}
    if "$deltatoken" in call.query:
        state |= {"u": len(mailbox.folder_log), "o": 0}
    items = _changes(call, state)
    page, offset = min(call.prefer.page_size or DEFAULT_PAGE, call.fake.options.max_page), state["o"]
    body: Json = {
        "@odata.context": context(call, "mailFolders", state["n"]),
        "value": items[offset : offset + page],
    }
    base = f"{call.root}/mailFolders/delta"
    if offset + page < len(items):
        body["@odata.nextLink"] = f"{base}?%24skiptoken={seal(state | {'o': offset + page})}"
    else:
        body["@odata.deltaLink"] = f"{base}?%24deltatoken={seal(state | {'s': state['u'], 'o': 0})}"
    return Reply(body=body, type_name="MailFolder", is_collection=True)


def _changes(call: Call, state: dict[str, Any]) -> list[Json]:
    mailbox = call.mailbox
    if state["s"] is None:
        shown = [each for each in mailbox.folders.values() if each is not mailbox.root and each.is_below(mailbox.root)]
        return [call.view.folder(each, state["n"]) for each in shown if not each.is_hidden]
    log = mailbox.folder_log[state["s"] : state["u"]]
    items = []
    for number in dict.fromkeys(number for _, number, _ in reversed(log)):
        if number in mailbox.folders:
            items.append(call.view.folder(mailbox.folders[number], state["n"]))
        else:
            items.append({"id": mailbox.ids.folder(number), "@removed": {"reason": "deleted"}})
    return items


def _query(call: Call) -> tuple[dict[str, str], int]:
    if "$skiptoken" not in call.query:
        query = dict(call.query)
        return query, parse_count("skip", query.pop("$skip", "0"), 0, 10**9)
    if len(call.query) > 1:
        raise misuse("ErrorInvalidUrlQuery", "A nextLink is followed as it is given, with nothing added.")
    state = unseal(call.query["$skiptoken"])
    if state.get("k") != "folders":
        raise misuse("ErrorInvalidUrlQuery", "Badly formed token.")
    return state["q"], state["o"]


def _page_size(call: Call, query: dict[str, str]) -> int:
    if "$top" in query:
        return parse_count("top", query["$top"], 1, call.fake.options.max_page)
    return min(call.prefer.page_size or DEFAULT_PAGE, call.fake.options.max_page)


def _asked(call: Call, query: Any) -> tuple[tuple[str, ...] | None, Expansion]:
    checker = call.fake.checker
    names = _select(call, query["$select"]) if "$select" in query else None
    expansion = parse_expand(query["$expand"], "MailFolder", checker) if "$expand" in query else Expansion()
    return names, expansion


def _select(call: Call, text: str) -> tuple[str, ...]:
    return parse_select(text, "MailFolder", call.fake.checker)


def _passes(folder: Folder, text: str) -> bool:
    name, _, wanted = text.partition(" eq ")
    if name != "displayName" or not wanted.startswith("'") or not wanted.endswith("'"):
        raise misuse("ErrorInvalidUrlQueryFilter", f"{text!r} cannot filter folders here; displayName eq '...' can.")
    return folder.name.lower() == wanted[1:-1].replace("''", "'").lower()


def _check_writable(call: Call) -> None:
    if unknown := call.body.keys() - _WRITABLE:
        raise misuse("ErrorInvalidPropertySet", f"{', '.join(sorted(unknown))} is read-only and cannot be set.")


def _resource(call: Call, folder: Folder, names: tuple[str, ...] | None, expansion: Expansion | None = None) -> Json:
    found = call.view.folder(folder, names)
    values = [
        {"id": name, "value": value}
        for name in (expansion.extended if expansion is not None else ())
        if (value := folder_extended(call.mailbox, folder, name)) is not None
    ]
    return found | {"singleValueExtendedProperties": values} if values else found


def _entity(
    call: Call,
    folder: Folder,
    status: int = 200,
    *,
    names: tuple[str, ...] | None = None,
    expansion: Expansion | None = None,
) -> Reply:
    body = {
        "@odata.context": context(call, "mailFolders", names) + "/$entity",
        **_resource(call, folder, names, expansion),
    }
    return Reply(status, body, "MailFolder")
