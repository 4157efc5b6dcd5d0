"""What a backend can and cannot do, as data, so that nothing above asks for a backend by name."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Scope(enum.Enum):
    """How far an id or a cursor reaches."""

    ACCOUNT = "account"
    MAILBOX = "mailbox"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the backend of an open connector offers.

    `ref_scope`: ACCOUNT if a message has one ref in whatever mailbox; MAILBOX if a copy is a message of its own.
    `cursor_scope`: whether `changes` reports on the account or on one mailbox.
    `has_uids`: listings carry UIDs that the backend keeps; the gateway passes them and UIDVALIDITY through.
    `many_mailboxes`: a message can be in several mailboxes at once (labels); needs `ref_scope` ACCOUNT.
    `has_deleted_flag`: \\Deleted is stored at the backend; otherwise the gateway holds it until EXPUNGE.
    `local_bodies`: reading a message costs no network, so the gateway keeps no cached copy of it.
    `batch_limit`: refs per write call, at least 1; the gateway splits larger sets.
    `outline_limit`: refs per `outlines` call.
    `append_limit`: octets of the largest message that `append` takes; None if unknown.
    `poll_interval_s`: how often to ask for changes where there is no push.
    `reports_tree`: `changes` says (`ChangePage.mailboxes_changed`) when mailboxes were made, renamed, deleted or
    subscribed, so the tree need not be listed at each poll; needs `cursor_scope` ACCOUNT.
    `lists_by_mailbox`: listing one mailbox costs a fraction of `AccountListing`, so that mailboxes are listed as they
    are needed at first; where all of them have been and have to be listed anew, the account is.
    `gmail_ids`: message refs and thread ids are Gmail's, 64-bit numbers in lower-case hex without leading zeros, and
    mailboxes are labels, so that X-GM-EXT-1 can be offered; needs `many_mailboxes`, and `NativeSearch` for X-GM-RAW.
    `bodies_vary`: the backend keeps no octets but composes a message anew each time, so `fetch` may give other octets
    from one call to the next, and others than `append` was given. The gateway then holds to the first copy it served,
    what a client appended before all. `append` finds out by itself what became of a message whose answer was lost,
    as the octets do not tell; it raises `OutcomeUnknown` only if that could not be seen. Sizes it tells of messages
    are not exact (`MessageState.size_is_exact`), and it has no UIDs of its own.
    `jmap_url`: where the session document of a JMAP server is that has the same messages for the same login, so that
    clients can be told of it (JMAPACCESS).
    Known before `open`, like everything that does not depend on the backend's answer.
    """

    ref_scope: Scope = Scope.ACCOUNT
    cursor_scope: Scope = Scope.ACCOUNT
    has_uids: bool = False
    many_mailboxes: bool = False
    has_deleted_flag: bool = True
    local_bodies: bool = False
    batch_limit: int = 500
    outline_limit: int = 200
    append_limit: int | None = None
    poll_interval_s: float = 60.0
    reports_tree: bool = False
    lists_by_mailbox: bool = False
    gmail_ids: bool = False
    bodies_vary: bool = False
    jmap_url: str | None = None
