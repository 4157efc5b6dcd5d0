"""The commands: who handles each, when it is allowed, and what may be told at its end. No handler decides these."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from gateway.imap.commands import (
    append,
    authenticate,
    compress,
    context,
    copy_move,
    expunge,
    fetch,
    idle,
    jmap_access,
    list,
    login,
    mailbox_admin,
    metadata,
    misc,
    multisearch,
    notify,
    quota,
    rights,
    search,
    select,
    sort,
    store,
    uid_batches,
)
from gateway.imap.completion import Completion
from gateway.imap.session import Session, State
from gateway.wire import commands as wire
from gateway.wire import metadata as wire_metadata
from gateway.wire import quota as wire_quota
from gateway.wire import rights as wire_rights
from gateway.wire import search as wire_search
from gateway.wire import sort as wire_sort
from gateway.wire.commands import Command
from gateway.wire.context import CancelUpdate
from gateway.wire.jmap_access import GetJmapAccess
from gateway.wire.multisearch import MultiSearch
from gateway.wire.notify import Notify
from gateway.wire.uid_batches import UidBatches

ANY = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
STRANGER = frozenset({State.NOT_AUTHENTICATED})
LOGGED_IN = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})


@dataclass(frozen=True, slots=True)
class CommandRule:
    """What holds for a command.

    `takes_numbers`: its plain form names messages by sequence number, its UID form by UID.
    `holds_expunges`: its plain form must not be answered with EXPUNGE (RFC 9051 section 7.5.1), nor must its UID form
    with sequence numbers among the criteria (RFC 7162 section 3.2.10).
    `tells_news`: at its end the client is told what is new in the selected mailbox. Not where that mailbox was just
    opened or left.
    `reports_modseq`: its OK carries HIGHESTMODSEQ if messages went (RFC 7162 sections 3.2.7 and 3.2.9).
    `waits_for_client`: it lasts as long as the client likes, so no sign of life is sent for it.
    """

    handler: Callable[[Session, Any], Awaitable[Completion]]
    states: frozenset[State]
    takes_numbers: bool = False
    holds_expunges: bool = False
    tells_news: bool = True
    reports_modseq: bool = False
    waits_for_client: bool = False

    def uses_sequence_numbers(self, command: Command) -> bool:
        """Say whether this very command names messages by sequence number."""
        return self.takes_numbers and not getattr(command, "is_uid", False)

    def has_sequence_numbers(self, command: Command) -> bool:
        """Say whether there are sequence numbers in this very command, or would be in the answer to it."""
        match command:
            case wire.Search() | wire_sort.Sort() | wire_sort.Thread() | MultiSearch():
                return self.uses_sequence_numbers(command) or wire_search.has_numbers(command.key)
            case wire.Select(qresync=qresync):
                return qresync is not None and qresync.match_sequence is not None
            case _:
                return self.uses_sequence_numbers(command)

    def may_expunge(self, command: Command) -> bool:
        """Say whether EXPUNGE or VANISHED may be sent at the end of this very command."""
        return not (self.holds_expunges and self.has_sequence_numbers(command))


TABLE: Mapping[type[Command], CommandRule] = MappingProxyType(
    {
        wire.Capability: CommandRule(misc.capability, ANY),
        wire.Noop: CommandRule(misc.noop, ANY),
        wire.Logout: CommandRule(misc.logout, ANY, tells_news=False),
        wire.Id: CommandRule(misc.identify, ANY),
        wire.StartTls: CommandRule(login.start_tls, STRANGER),
        wire.Login: CommandRule(login.log_in, STRANGER),
        wire.Authenticate: CommandRule(authenticate.authenticate, STRANGER, waits_for_client=True),
        wire.Unauthenticate: CommandRule(login.unauthenticate, LOGGED_IN, tells_news=False),
        wire.Compress: CommandRule(compress.compress, LOGGED_IN),
        wire.Enable: CommandRule(misc.enable, LOGGED_IN),
        wire.Select: CommandRule(select.select, LOGGED_IN, tells_news=False),
        wire.Create: CommandRule(mailbox_admin.create, LOGGED_IN),
        wire.Delete: CommandRule(mailbox_admin.delete, LOGGED_IN),
        wire.Rename: CommandRule(mailbox_admin.rename, LOGGED_IN),
        wire.Subscribe: CommandRule(mailbox_admin.subscribe, LOGGED_IN),
        wire.List: CommandRule(list.list_mailboxes, LOGGED_IN),
        wire.Namespace: CommandRule(misc.namespace, LOGGED_IN),
        wire.Status: CommandRule(list.status, LOGGED_IN),
        wire_quota.GetQuota: CommandRule(quota.get_quota, LOGGED_IN),
        wire_quota.GetQuotaRoot: CommandRule(quota.get_quota_root, LOGGED_IN),
        wire_quota.SetQuota: CommandRule(quota.set_quota, LOGGED_IN),
        wire_rights.MyRights: CommandRule(rights.my_rights, LOGGED_IN),
        wire_rights.GetAcl: CommandRule(rights.get_acl, LOGGED_IN),
        wire_rights.ListRights: CommandRule(rights.list_rights, LOGGED_IN),
        wire_rights.SetAcl: CommandRule(rights.set_acl, LOGGED_IN),
        wire_metadata.GetMetadata: CommandRule(metadata.get_metadata, LOGGED_IN),
        wire_metadata.SetMetadata: CommandRule(metadata.set_metadata, LOGGED_IN),
        wire.Append: CommandRule(append.append, LOGGED_IN),
        wire.Replace: CommandRule(append.replace, SELECTED, takes_numbers=True, reports_modseq=True),
        Notify: CommandRule(notify.notify, LOGGED_IN),
        wire.Idle: CommandRule(idle.idle, LOGGED_IN, waits_for_client=True),
        wire.Check: CommandRule(misc.check, SELECTED),
        wire.Close: CommandRule(select.close, SELECTED, tells_news=False),
        wire.Expunge: CommandRule(expunge.expunge, SELECTED, reports_modseq=True),
        wire.Search: CommandRule(search.search, SELECTED, takes_numbers=True, holds_expunges=True),
        MultiSearch: CommandRule(multisearch.multisearch, LOGGED_IN, holds_expunges=True),
        wire_sort.Sort: CommandRule(sort.sort, SELECTED, takes_numbers=True, holds_expunges=True),
        wire_sort.Thread: CommandRule(sort.thread, SELECTED, takes_numbers=True, holds_expunges=True),
        wire.Fetch: CommandRule(fetch.fetch, SELECTED, takes_numbers=True, holds_expunges=True),
        wire.Store: CommandRule(store.store, SELECTED, takes_numbers=True, holds_expunges=True),
        wire.StoreLabels: CommandRule(store.store_labels, SELECTED, takes_numbers=True, holds_expunges=True),
        GetJmapAccess: CommandRule(jmap_access.get_jmap_access, LOGGED_IN),
        CancelUpdate: CommandRule(context.cancel_update, SELECTED),
        UidBatches: CommandRule(uid_batches.tell_batches, SELECTED),
        wire.Copy: CommandRule(copy_move.copy, SELECTED, takes_numbers=True, reports_modseq=True),
    }
)
