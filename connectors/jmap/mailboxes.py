"""The mailbox tree: listing it, altering it, subscriptions (RFC 8621 section 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.api.errors import (
    AlreadyExists,
    ConnectorError,
    NotFound,
    OutcomeUnknown,
    Rejected,
    Unsupported,
)
from connectors.api.types import MailboxInfo, MailboxRef, Role
from connectors.jmap.client import Results
from connectors.jmap.errors import map_set_error
from connectors.jmap.mail import Mail, in_chunks
from connectors.jmap.structs import GetReply, Mailbox, QueryReply, SetError, SetReply
from connectors.jmap.tree import INBOX, Path, build_tree
from connectors.transport.messages import Effect

PROPERTIES = ("id", "name", "parentId", "role", "sortOrder", "totalEmails", "myRights", "isSubscribed")

_MAX_PAGES = 1000
_HAS_CHILDREN = "The mailbox has mailboxes below it; delete those first."


async def list_mailboxes(mail: Mail) -> list[MailboxInfo]:
    """Return the tree, and remember that it was told."""
    infos = await _read_infos(mail)
    mail.listed = dict(mail.tree or {})
    mail.listed_at = mail.clock.monotonic()
    return infos


async def _read_infos(mail: Mail) -> list[MailboxInfo]:
    return build_tree(await read_tree(mail), is_read_only=mail.is_read_only)


async def read_tree(mail: Mail) -> list[Mailbox]:
    """Read every mailbox of the account, and remember them."""
    call = mail.call("Mailbox/get", "get", {"ids": None, "properties": PROPERTIES})
    return await _take_tree(mail, await mail.client.call(call))


async def _take_tree(mail: Mail, results: Results) -> list[Mailbox]:
    """Return what the call `get` of all mailboxes gave; read them in parts if they are too many for one call."""
    error = results.error("get")
    if error is not None and error.type == "requestTooLarge":
        found = await _read_in_parts(mail)
    else:
        found = results.get("get", GetReply[Mailbox]).items
    mail.tree = {MailboxRef(mailbox.id): mailbox for mailbox in found}
    return found


async def _read_in_parts(mail: Mail) -> list[Mailbox]:
    """Read more mailboxes than one Mailbox/get may give (RFC 8620 section 5.1)."""
    ids: dict[str, None] = {}
    for _ in range(_MAX_PAGES):
        query = mail.call("Mailbox/query", "query", {"position": len(ids), "limit": mail.get_limit})
        page = (await mail.client.call(query)).get("query", QueryReply).ids
        before = len(ids)
        ids.update(dict.fromkeys(page))
        if len(ids) == before:
            break
    found: list[Mailbox] = []
    for chunk in in_chunks(list(ids), mail.get_limit):
        call = mail.call("Mailbox/get", "get", {"ids": chunk, "properties": PROPERTIES})
        found += (await mail.client.call(call)).get("get", GetReply[Mailbox]).items
    return found


async def require_mailbox(mail: Mail, ref: MailboxRef) -> None:
    """Make sure that the mailbox is there, as far as is known; ask only if it has not been seen yet.

    Raises:
        NotFound: it is not.
    """
    if mail.tree is not None and ref in mail.tree:
        return
    await check_mailbox(mail, ref)


async def check_mailbox(mail: Mail, ref: MailboxRef) -> None:
    """Ask whether the mailbox is there.

    Raises:
        NotFound: it is not.
    """
    call = mail.call("Mailbox/get", "get", {"ids": [ref], "properties": PROPERTIES})
    found = {box.id: box for box in (await mail.client.call(call)).get("get", GetReply[Mailbox]).items}
    if ref not in found:
        if mail.tree is not None:
            mail.tree.pop(ref, None)
        raise NotFound(f"no mailbox {ref!r} in account {mail.client.account_id}")
    if mail.tree is not None:
        mail.tree[ref] = found[ref]


# -- altering ---------------------------------------------------------------------------------------------------------


async def create_mailbox(mail: Mail, path: Path, role: Role | None) -> MailboxInfo:
    """Create a mailbox and those above it that are missing, all or none."""
    path = _checked(mail, path)
    infos = await _read_infos(mail)
    by_path = {info.path: info for info in infos}
    if path in by_path:
        raise AlreadyExists(f"mailbox {path!r} exists")
    if role is not None and any(info.role is role for info in infos):
        raise Unsupported(f"another mailbox has the role {role.value}")
    creations, leaf = _creations(path, by_path)
    if role is not None:
        creations[leaf]["role"] = role.value
    results = await _set(mail, {"create": creations})
    reply = results.get("set", SetReply[Mailbox])
    if reply.not_created:
        await _undo(mail, reply)
        raise await _refusal(mail, next(iter(reply.not_created.values())), f"creating mailbox {path!r}", path)
    made = (reply.created or {}).get(leaf)
    if made is None:
        raise OutcomeUnknown(f"creating mailbox {path!r}: the server does not say what became of it")
    return await _info_of(mail, results, MailboxRef(made.id))


async def rename_mailbox(mail: Mail, ref: MailboxRef, path: Path) -> MailboxInfo:
    """Give a mailbox another name or place; those below go along, and those missing above are created."""
    infos = await _read_infos(mail)
    by_path = {info.path: info for info in infos}
    mailbox = _find(infos, ref)
    if mailbox.role is Role.INBOX:
        raise Unsupported("INBOX cannot be renamed")
    path = _checked(mail, path)
    if path in by_path:
        raise AlreadyExists(f"mailbox {path!r} exists")
    if path[: len(mailbox.path)] == mailbox.path:
        raise Unsupported(f"mailbox {mailbox.path!r} cannot be moved below itself")
    creations, leaf = _creations(path, by_path)
    update = {ref: creations.pop(leaf)}
    results = await _set(mail, {"create": creations, "update": update} if creations else {"update": update})
    reply = results.get("set", SetReply[Mailbox])
    refused = {**(reply.not_created or {}), **(reply.not_updated or {})}
    if refused:
        if ref not in (reply.updated or {}):
            await _undo(mail, reply)
        error = refused.get(ref) or next(iter(refused.values()))
        raise await _refusal(mail, error, f"renaming mailbox {mailbox.path!r} to {path!r}", path)
    _forget_told(mail, ref)
    return await _info_of(mail, results, ref)


async def delete_mailbox(mail: Mail, ref: MailboxRef) -> None:
    """Delete a mailbox, and the messages that are in no other one.

    JMAP cannot delete a mailbox that has children (RFC 8621 section 2.5), and there is no other honest way to let it
    go and them stay: so that is refused, as RFC 9051 section 6.3.5 lets a server do.
    """
    mailbox = _find(await _read_infos(mail), ref)
    if mailbox.role is Role.INBOX:
        raise Unsupported("INBOX cannot be deleted")
    if any(box.parent_id == ref for box in (mail.tree or {}).values()):
        raise Unsupported(f"mailbox {mailbox.path!r} has children", client_text=_HAS_CHILDREN)
    call = mail.call("Mailbox/set", "set", {"destroy": [ref], "onDestroyRemoveEmails": True})
    reply = (await mail.client.call(call, effect=Effect.WRITE)).get("set", SetReply[Mailbox])
    error = (reply.not_destroyed or {}).get(ref)
    if error is not None:
        if error.type == "mailboxHasChild":
            raise Unsupported(f"mailbox {mailbox.path!r} has children", client_text=_HAS_CHILDREN)
        raise map_set_error(error, f"deleting mailbox {mailbox.path!r}")
    if ref not in (reply.destroyed or ()):
        raise OutcomeUnknown(f"deleting mailbox {mailbox.path!r}: the server does not say what became of it")
    if mail.tree is not None:
        mail.tree.pop(ref, None)


async def subscribe(mail: Mail, ref: MailboxRef, is_subscribed: bool) -> None:
    """Subscribe or unsubscribe."""
    call = mail.call("Mailbox/set", "set", {"update": {ref: {"isSubscribed": is_subscribed}}})
    reply = (await mail.client.call(call, effect=Effect.WRITE)).get("set", SetReply[Mailbox])
    error = (reply.not_updated or {}).get(ref)
    if error is not None:
        raise map_set_error(error, f"subscribing mailbox {ref!r}")
    _forget_told(mail, ref)


# -- inside -----------------------------------------------------------------------------------------------------------


def _checked(mail: Mail, path: Path) -> Path:
    """Return the path with INBOX as this connector spells it.

    Raises:
        Unsupported: it cannot be the path of a mailbox here.
    """
    if not path or not all(path):
        raise Unsupported(f"a mailbox name has an empty component: {path!r}")
    # Net-Unicode has no control characters (RFC 5198 section 2), nor can JSON text hold half of a surrogate pair.
    if any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in "".join(path)):
        raise Unsupported(f"a mailbox name has a control character: {path!r}")
    longest = mail.client.mail.max_size_mailbox_name
    if longest is not None and any(len(name.encode()) > longest for name in path):
        raise Unsupported(f"a mailbox name is longer than {longest} octets: {path!r}")
    deepest = mail.client.mail.max_mailbox_depth
    if deepest is not None and len(path) > deepest:
        raise Unsupported(f"mailboxes go no deeper than {deepest} levels: {path!r}")
    return (*INBOX, *path[1:]) if path[0].lower() == "inbox" else path


def _creations(path: Path, by_path: Mapping[Path, MailboxInfo]) -> tuple[dict[str, dict[str, object]], str]:
    """Return what is to be created for the path to exist, by creation id, and the id of the last of them.

    A later one names an earlier one as its parent by `#` and its creation id (RFC 8620 section 5.3).
    """
    creations: dict[str, dict[str, object]] = {}
    parent: str | None = None
    creation_id = ""
    for depth in range(1, len(path) + 1):
        info = by_path.get(path[:depth])
        if info is not None and not creations:
            parent = info.ref
            continue
        creation_id = f"new{depth}"
        creations[creation_id] = {"name": path[depth - 1], "parentId": parent}
        parent = f"#{creation_id}"
    return creations, creation_id


async def _set(mail: Mail, arguments: Mapping[str, object]) -> Results:
    """Alter the tree and read it again, in one request."""
    return await mail.client.call(
        mail.call("Mailbox/set", "set", arguments),
        mail.call("Mailbox/get", "get", {"ids": None, "properties": PROPERTIES}),
        effect=Effect.WRITE,
    )


async def _undo(mail: Mail, reply: SetReply[Mailbox]) -> None:
    """Remove what was created above a mailbox that could not be had."""
    made = [box.id for box in (reply.created or {}).values() if box is not None]
    if made:
        # From the last to the first: a mailbox with children cannot be destroyed.
        calls = [
            mail.call("Mailbox/set", f"undo{index}", {"destroy": [ref]}) for index, ref in enumerate(reversed(made))
        ]
        for some in in_chunks(calls, mail.calls_limit):
            await mail.client.call(*some, effect=Effect.WRITE)


async def _refusal(mail: Mail, error: SetError, what: str, path: Path) -> ConnectorError:
    """Return why a name could not be had; servers do not agree on how to say that it is taken."""
    mapped = map_set_error(error, what)
    # Cyrus 3.6 calls a name that it cannot have a failure of its own.
    is_of_name = error.type == "serverFail" and "name" in (error.description or "").lower()
    if not isinstance(mapped, Rejected) and not is_of_name:
        return mapped
    if any(info.path == path for info in await _read_infos(mail)):
        return AlreadyExists(mapped.operator_text)
    return Unsupported(mapped.operator_text, client_text="The mail backend cannot have a mailbox of that name.")


async def _info_of(mail: Mail, results: Results, ref: MailboxRef) -> MailboxInfo:
    return _find(build_tree(await _take_tree(mail, results), is_read_only=mail.is_read_only), ref)


def _forget_told(mail: Mail, ref: MailboxRef) -> None:
    """Take what the gateway was told of the mailbox for outdated, so that the next change of it counts as one."""
    if mail.listed is not None:
        mail.listed.pop(ref, None)


def _find(infos: Sequence[MailboxInfo], ref: MailboxRef) -> MailboxInfo:
    for info in infos:
        if info.ref == ref:
            return info
    raise NotFound(f"no mailbox {ref!r}")
