"""The mailbox tree: listing, creating, renaming, deleting, subscribing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from connectors.api.errors import AlreadyExists, ConnectorError, NotFound, OutcomeUnknown, Rejected, Unsupported
from connectors.api.types import MailboxInfo, MailboxRef, Role
from connectors.imap import names
from connectors.imap.client import Connection
from connectors.imap.names import INBOX, Naming
from connectors.imap.pool import check_exists
from connectors.imap.session import Session
from connectors.imap.sync import status
from gateway.wire.command_writer import Argument, Text
from gateway.wire.responses import ListData, NamespaceData, Response, StatusData

_ROLES = {
    "\\all": Role.ALL,
    "\\archive": Role.ARCHIVE,
    "\\drafts": Role.DRAFTS,
    "\\flagged": Role.FLAGGED,
    "\\important": Role.IMPORTANT,
    "\\junk": Role.JUNK,
    "\\sent": Role.SENT,
    "\\trash": Role.TRASH,
    # XLIST, which preceded RFC 6154.
    "\\allmail": Role.ALL,
    "\\spam": Role.JUNK,
    "\\starred": Role.FLAGGED,
}
_USES = {
    Role.ALL: b"\\All",
    Role.ARCHIVE: b"\\Archive",
    Role.DRAFTS: b"\\Drafts",
    Role.FLAGGED: b"\\Flagged",
    Role.IMPORTANT: b"\\Important",
    Role.JUNK: b"\\Junk",
    Role.SENT: b"\\Sent",
    Role.TRASH: b"\\Trash",
}
# Not MAILBOXID (RFC 8474): Cyrus 3.6 answers with the contents of freed memory when asked for it along with counters,
# and to ask for it apart would cost another round trip at each look.
_STATUS_ITEMS = b"STATUS (MESSAGES UIDNEXT UIDVALIDITY)"


async def list_mailboxes(session: Session) -> list[MailboxInfo]:
    """Return the tree, INBOX first, parents before children."""
    naming = await _naming(session)
    responses, subscribed = await session.pool.read(None, lambda connection: _read_tree(session, connection))
    # INBOX exists even where a server forgets to list it.
    delimiter = naming.delimiter.encode() if naming.delimiter else None
    listed: dict[MailboxRef, ListData] = {INBOX: ListData(frozenset(), delimiter, b"INBOX")}
    counters: dict[MailboxRef, dict[str, int]] = {}
    for response in responses:
        # Some list the root as well, by its name that is empty.
        if isinstance(response, ListData) and not response.is_lsub and response.name:
            listed[names.ref_from_wire(response.name)] = response
        elif isinstance(response, StatusData):
            counters[names.ref_from_wire(response.name)] = response.items
    taken: set[tuple[str, ...]] = set()
    mailboxes = []
    for ref in sorted(listed, key=lambda ref: ref != INBOX):
        path = _free_path(naming, ref, listed[ref], taken)
        if path is None or session.settings.excludes(path):
            continue
        taken.add(path)
        is_subscribed = ref in subscribed if subscribed is not None else "\\subscribed" in listed[ref].attributes
        mailboxes.append(_info(session, ref, path, listed[ref], counters.get(ref, {}), is_subscribed=is_subscribed))
    mailboxes.sort(key=lambda info: (info.path != ("INBOX",), info.path))
    return mailboxes


async def create_mailbox(session: Session, path: tuple[str, ...], role: Role | None) -> MailboxInfo:
    """Create a mailbox; the server makes the parents.

    Raises:
        AlreadyExists, Denied.
        Unsupported: the server cannot have the name, or keeps no roles.
        OutcomeUnknown: it is not told whether it was made, or it was and cannot be looked at.
    """
    ref = (await _naming(session)).ref(path)
    if ref == INBOX:
        raise AlreadyExists("INBOX always exists")
    async with session.pool.connection(None) as connection:
        arguments: list[Argument] = [Text(names.ref_to_wire(ref))]
        if role is not None:
            if role not in _USES or "CREATE-SPECIAL-USE" not in connection.capabilities:
                raise Unsupported(f"{connection.where} cannot keep the use {role.value} of a mailbox")
            arguments.append(b"(USE (%b))" % _USES[role])
        try:
            await connection.run(b"CREATE", *arguments, is_write=True)
        except Rejected as exc:
            if await _is_there(connection, ref, exc):
                raise AlreadyExists(exc.operator_text) from exc
            raise
        session.forget(ref)
        return await _describe_changed(session, connection, ref, path)


async def rename_mailbox(session: Session, mailbox: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
    """Rename a mailbox with all below it.

    Raises:
        AlreadyExists, NotFound, Denied, Unsupported.
        OutcomeUnknown: it is not told whether it was renamed, or it was and cannot be looked at.
    """
    ref = (await _naming(session)).ref(path)
    await session.pool.evict(_below(session, mailbox))
    async with session.pool.connection(None) as connection:
        try:
            await connection.run(
                b"RENAME", Text(names.ref_to_wire(mailbox)), Text(names.ref_to_wire(ref)), is_write=True
            )
        except Rejected as exc:
            if not await _is_there(connection, mailbox, exc, selectable_only=False):
                raise NotFound(exc.operator_text) from exc
            if await _is_there(connection, ref, exc):
                raise AlreadyExists(exc.operator_text) from exc
            raise
        session.forget(mailbox)
        session.forget(ref)
        return await _describe_changed(session, connection, ref, path)


async def delete_mailbox(session: Session, mailbox: MailboxRef) -> None:
    """Delete a mailbox; what is below it stays.

    Raises:
        NotFound, Denied, Unsupported, Rejected.
    """
    if mailbox == INBOX:
        raise Unsupported("INBOX cannot be deleted", client_text="INBOX cannot be deleted.")
    await session.pool.evict(lambda ref: ref == mailbox)
    async with session.pool.connection(None) as connection:
        try:
            await connection.run(b"DELETE", Text(names.ref_to_wire(mailbox)), is_write=True)
        except Rejected as exc:
            await check_exists(connection, mailbox, exc)
            raise
        session.forget(mailbox)


async def subscribe(session: Session, mailbox: MailboxRef, is_subscribed: bool) -> None:
    """Subscribe or unsubscribe.

    Raises:
        NotFound, Denied.
    """
    name = b"SUBSCRIBE" if is_subscribed else b"UNSUBSCRIBE"
    async with session.pool.connection(None) as connection:
        try:
            await connection.run(name, Text(names.ref_to_wire(mailbox)), is_write=True)
        except Rejected as exc:
            await check_exists(connection, mailbox, exc)
            raise


async def names_without_mailbox(session: Session) -> dict[tuple[str, ...], MailboxRef]:
    """Return the subscribed names that have no mailbox; of a server without LIST-EXTENDED also those that have one."""
    naming = await _naming(session)
    names_found: dict[tuple[str, ...], MailboxRef] = {}
    for listed in await session.pool.read(None, lambda connection: _read_subscribed(session, connection)):
        ref = names.ref_from_wire(listed.name)
        path = naming.path(ref, _delimiter(listed.delimiter))
        if not session.settings.excludes(path):
            names_found.setdefault(path, ref)
    return names_found


# -- inside ------------------------------------------------------------------------------------------------------------


async def _naming(session: Session) -> Naming:
    """Return how the server builds names, asked once."""
    if session.naming is None:
        session.naming = await session.pool.read(None, _read_naming)
    return session.naming


async def _read_naming(connection: Connection) -> Naming:
    if connection.capabilities & {"NAMESPACE", "IMAP4REV2"}:
        for response in (await connection.run(b"NAMESPACE")).responses:
            if isinstance(response, NamespaceData) and response.personal:
                personal = response.personal[0]
                return Naming.of(names.readable(names.ref_from_wire(personal.prefix)), _delimiter(personal.delimiter))
    # An empty name asks for the delimiter alone (RFC 9051 section 6.3.9).
    for response in (await connection.run(b"LIST", b'""', b'""')).responses:
        if isinstance(response, ListData):
            return Naming("", _delimiter(response.delimiter))
    return Naming("", None)


async def _read_tree(session: Session, connection: Connection) -> tuple[list[Response], set[MailboxRef] | None]:
    """Return what LIST says, and the subscribed mailboxes where that does not say it."""
    await session.pool.renew(connection)
    offered = connection.capabilities
    is_extended = bool(offered & {"LIST-EXTENDED", "IMAP4REV2"})
    has_status = bool(offered & {"LIST-STATUS", "IMAP4REV2"})
    if is_extended:
        options = [b"SUBSCRIBED", b"CHILDREN"]
        if offered & {"SPECIAL-USE", "IMAP4REV2"}:
            options.append(b"SPECIAL-USE")
        if has_status:
            options.append(_STATUS_ITEMS)
        reply = await connection.run(b"LIST", b'""', b'"*"', b"RETURN (%b)" % b" ".join(options))
        responses, subscribed = reply.responses, None
    else:
        # Servers with special uses and without LIST-EXTENDED tell them unasked (RFC 6154 section 2).
        use_xlist = "XLIST" in offered and "SPECIAL-USE" not in offered
        responses = (await connection.run(b"XLIST" if use_xlist else b"LIST", b'""', b'"*"')).responses
        subscribed = {names.ref_from_wire(listed.name) for listed in await _read_lsub(connection)}
    return (responses if has_status else await _with_status(connection, responses)), subscribed


async def _read_subscribed(session: Session, connection: Connection) -> list[ListData]:
    """Return what may be subscribed without being a mailbox."""
    await session.pool.renew(connection)
    if connection.capabilities & {"LIST-EXTENDED", "IMAP4REV2"}:
        reply = await connection.run(b"LIST", b"(SUBSCRIBED)", b'""', b'"*"')
        listed = [response for response in reply.responses if isinstance(response, ListData)]
        # One that is not \Subscribed is told for what is below it (RFC 5258 section 3.5).
        return [each for each in listed if {"\\nonexistent", "\\subscribed"} <= each.attributes]
    return await _read_lsub(connection)


async def _read_lsub(connection: Connection) -> list[ListData]:
    reply = await connection.run(b"LSUB", b'""', b'"*"')
    # \Noselect in LSUB: not subscribed itself, something below it is (RFC 3501 section 6.3.9).
    return [
        response
        for response in reply.responses
        if isinstance(response, ListData) and response.name and "\\noselect" not in response.attributes
    ]


async def _with_status(connection: Connection, responses: list[Response]) -> list[Response]:
    """Add the counters of every mailbox, asked one by one."""
    counted: list[Response] = list(responses)
    for response in responses:
        if not isinstance(response, ListData) or not _is_selectable(response.attributes):
            continue
        # A mailbox that cannot be looked into, or is gone meanwhile, is listed without counters.
        reply = await connection.attempt(b"STATUS", Text(response.name), b"(MESSAGES UIDNEXT UIDVALIDITY)")
        counted.extend(item for item in reply.responses if isinstance(item, StatusData))
    return counted


def _free_path(
    naming: Naming, ref: MailboxRef, listed: ListData, taken: Iterable[tuple[str, ...]]
) -> tuple[str, ...] | None:
    """Return the path of a mailbox; with the prefix if it is taken without; None if it is taken either way."""
    delimiter = _delimiter(listed.delimiter)
    for path in (naming.path(ref, delimiter), naming.full_path(ref, delimiter)):
        if path not in taken:
            return path
    return None


def _info(
    session: Session,
    ref: MailboxRef,
    path: tuple[str, ...],
    listed: ListData,
    counters: dict[str, int],
    *,
    is_subscribed: bool,
) -> MailboxInfo:
    attributes = listed.attributes
    storable, any_keyword = session.storable_flags(ref)
    session.delimiters[ref] = _delimiter(listed.delimiter)
    role = next((_ROLES[attribute] for attribute in sorted(attributes) if attribute in _ROLES), None)
    return MailboxInfo(
        ref=ref,
        path=path,
        role=Role.INBOX if ref == INBOX else role,
        is_selectable=_is_selectable(attributes),
        allows_children="\\noinferiors" not in attributes and listed.delimiter is not None,
        is_read_only=session.is_read_only(ref),
        is_subscribed=is_subscribed,
        storable_flags=storable,
        any_keyword=any_keyword,
        uidvalidity=counters.get("UIDVALIDITY"),
        uidnext=counters.get("UIDNEXT"),
        messages=counters.get("MESSAGES"),
    )


async def _describe(session: Session, connection: Connection, ref: MailboxRef, path: tuple[str, ...]) -> MailboxInfo:
    """Return what the server says of one mailbox."""
    listed = ListData(frozenset(), None, b"")
    returning = [b"RETURN (SUBSCRIBED SPECIAL-USE)"] if connection.can("LIST-EXTENDED", "SPECIAL-USE") else []
    reply = await connection.run(b"LIST", b'""', Text(names.ref_to_wire(ref)), *returning)
    for response in reply.responses:
        if isinstance(response, ListData) and names.ref_from_wire(response.name) == ref:
            listed = response
    told = {}
    # What only has others below it has no counters.
    if _is_selectable(listed.attributes):
        counters = await status(connection, ref)
        told = {"UIDVALIDITY": counters.uidvalidity, "UIDNEXT": counters.uidnext, "MESSAGES": counters.messages}
    is_subscribed = "\\subscribed" in listed.attributes
    return _info(session, ref, path, listed, told, is_subscribed=is_subscribed)


async def _describe_changed(
    session: Session, connection: Connection, ref: MailboxRef, path: tuple[str, ...]
) -> MailboxInfo:
    """Return what the server says of a mailbox that it has just made or renamed.

    Raises:
        OutcomeUnknown: it says nothing, which is no word against what was done.
    """
    try:
        return await _describe(session, connection, ref, path)
    except ConnectorError as exc:
        raise OutcomeUnknown(f"a mailbox was made or renamed, and then: {exc.operator_text}") from exc


async def _is_there(
    connection: Connection, mailbox: MailboxRef, refusal: Rejected, *, selectable_only: bool = True
) -> bool:
    """Tell whether a mailbox exists, for servers that refuse without saying why."""
    try:
        await check_exists(connection, mailbox, refusal, selectable_only=selectable_only)
    except NotFound:
        return False
    return True


def _below(session: Session, mailbox: MailboxRef) -> Callable[[MailboxRef], bool]:
    """Return a test for being `mailbox` or below it."""
    delimiter = session.delimiters.get(mailbox) or (session.naming.delimiter if session.naming else None)
    prefix = mailbox + delimiter if delimiter else None
    return lambda ref: ref == mailbox or (prefix is not None and ref.startswith(prefix))


def _is_selectable(attributes: frozenset[str]) -> bool:
    return not attributes & {"\\noselect", "\\nonexistent"}


def _delimiter(data: bytes | None) -> str | None:
    return data.decode("ascii", "replace") if data else None
