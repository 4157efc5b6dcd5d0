"""The table of commands: a name, and what reads its arguments (RFC 9051 section 9, `command`)."""

from __future__ import annotations

import re
from collections.abc import Callable

from gateway.wire import commands
from gateway.wire.jmap_access import GetJmapAccess
from gateway.wire.parser import (
    append,
    context,
    fetch,
    listing,
    mailboxes,
    metadata,
    multisearch,
    notify,
    quota,
    rights,
    search,
    session,
    sort,
    store,
    uid_batches,
)
from gateway.wire.parser.cursor import Cursor, SyntaxFault

# 1*<any ASTRING-CHAR except "+">, bounded, as it is sent back.
_TAG = re.compile(rb"([!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]{1,200})(?= |\Z)")
_NAME = re.compile(rb"[A-Za-z]{1,20}(?= |\Z)")


def read_tag(cursor: Cursor) -> str:
    """Read `tag`. Laxer than RFC 9051 section 9: spaces in front are skipped."""
    while cursor.accept(b" "):
        pass
    match = cursor.match(_TAG)
    if match is None:
        raise SyntaxFault("No valid tag")
    return match[0].decode("ascii")


def read_name(cursor: Cursor) -> str:
    """Read the command's name, `UID` with what follows it, in capitals."""
    cursor.space()
    name = _read_word(cursor)
    if name == "UID":
        cursor.space()
        name = f"UID {_read_word(cursor)}"
    if name not in _COMMANDS:
        raise SyntaxFault("Unknown command")
    return name


def read_arguments(name: str, cursor: Cursor) -> commands.Command:
    """Read everything behind the name.

    Raises:
        SyntaxFault: the arguments do not fit the command.
    """
    command = _COMMANDS[name](cursor)
    cursor.finish()
    return command


def _read_word(cursor: Cursor) -> str:
    match = cursor.match(_NAME)
    if match is None:
        raise SyntaxFault("Unknown command")
    return match[0].decode("ascii").upper()


_COMMANDS: dict[str, Callable[[Cursor], commands.Command]] = {
    "APPEND": append.read_append,
    "AUTHENTICATE": session.read_authenticate,
    "CANCELUPDATE": context.read_cancel_update,
    "CAPABILITY": lambda cursor: commands.Capability(),
    "CHECK": lambda cursor: commands.Check(),
    "CLOSE": lambda cursor: commands.Close(is_expunging=True),
    "COMPRESS": session.read_compress,
    "COPY": lambda cursor: store.read_copy(cursor, is_uid=False, is_move=False),
    "CREATE": mailboxes.read_create,
    "DELETE": lambda cursor: commands.Delete(mailboxes.read_mailbox(cursor)),
    "DELETEACL": rights.read_delete_acl,
    "ENABLE": session.read_enable,
    "ESEARCH": multisearch.read_multisearch,
    "EXAMINE": lambda cursor: mailboxes.read_select(cursor, is_examine=True),
    "EXPUNGE": lambda cursor: commands.Expunge(),
    "FETCH": lambda cursor: fetch.read_fetch(cursor, is_uid=False),
    "GETACL": rights.read_get_acl,
    "GETJMAPACCESS": lambda cursor: GetJmapAccess(),
    "GETMETADATA": metadata.read_get_metadata,
    "GETQUOTA": quota.read_get_quota,
    "GETQUOTAROOT": quota.read_get_quota_root,
    "ID": session.read_id,
    "IDLE": lambda cursor: commands.Idle(),
    "LIST": listing.read_list,
    "LISTRIGHTS": rights.read_list_rights,
    "LOGIN": session.read_login,
    "LOGOUT": lambda cursor: commands.Logout(),
    "LSUB": lambda cursor: listing.read_plain_list(cursor, commands.ListKind.LSUB),
    "MOVE": lambda cursor: store.read_copy(cursor, is_uid=False, is_move=True),
    "MYRIGHTS": rights.read_my_rights,
    "NAMESPACE": lambda cursor: commands.Namespace(),
    "NOOP": lambda cursor: commands.Noop(),
    "NOTIFY": notify.read_notify,
    "RENAME": mailboxes.read_rename,
    "REPLACE": lambda cursor: append.read_replace(cursor, is_uid=False),
    "SEARCH": lambda cursor: search.read_search(cursor, is_uid=False),
    "SELECT": lambda cursor: mailboxes.read_select(cursor, is_examine=False),
    "SETACL": rights.read_set_acl,
    "SETMETADATA": metadata.read_set_metadata,
    "SETQUOTA": quota.read_set_quota,
    "SORT": lambda cursor: sort.read_sort(cursor, is_uid=False),
    "STARTTLS": lambda cursor: commands.StartTls(),
    "STATUS": mailboxes.read_status,
    "STORE": lambda cursor: store.read_store(cursor, is_uid=False),
    "SUBSCRIBE": lambda cursor: commands.Subscribe(mailboxes.read_mailbox(cursor), is_subscribe=True),
    "THREAD": lambda cursor: sort.read_thread(cursor, is_uid=False),
    "UID COPY": lambda cursor: store.read_copy(cursor, is_uid=True, is_move=False),
    "UID EXPUNGE": store.read_uid_expunge,
    "UID FETCH": lambda cursor: fetch.read_fetch(cursor, is_uid=True),
    "UID MOVE": lambda cursor: store.read_copy(cursor, is_uid=True, is_move=True),
    "UID REPLACE": lambda cursor: append.read_replace(cursor, is_uid=True),
    "UID SEARCH": lambda cursor: search.read_search(cursor, is_uid=True),
    "UID SORT": lambda cursor: sort.read_sort(cursor, is_uid=True),
    "UID STORE": lambda cursor: store.read_store(cursor, is_uid=True),
    "UID THREAD": lambda cursor: sort.read_thread(cursor, is_uid=True),
    "UIDBATCHES": uid_batches.read_uid_batches,
    "UNAUTHENTICATE": lambda cursor: commands.Unauthenticate(),
    "UNSELECT": lambda cursor: commands.Close(is_expunging=False),
    "UNSUBSCRIBE": lambda cursor: commands.Subscribe(mailboxes.read_mailbox(cursor), is_subscribe=False),
    "XLIST": lambda cursor: listing.read_plain_list(cursor, commands.ListKind.XLIST),
}
