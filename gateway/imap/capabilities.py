"""All that the server can do, gathered from where it is done."""

from __future__ import annotations

from typing import Final

from gateway.imap import message_limit
from gateway.imap.capability import Capability, Offer
from gateway.imap.commands import (
    append,
    authenticate,
    compress,
    context,
    copy_move,
    expunge,
    fetch,
    filters,
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
    uid_batches,
)

_PROTOCOL: Final = (
    Capability("IMAP4rev1", "RFC 3501", "The protocol"),
    Capability(
        "IMAP4rev2",
        "RFC 9051",
        "The protocol as it is now, once it is enabled; see below",
        can_be_enabled=True,
        # Appendix E, item 2. A client that enables it asks for none of them one by one.
        needs=(
            "BINARY",
            "CHILDREN",
            "ENABLE",
            "ESEARCH",
            "IDLE",
            "LIST-EXTENDED",
            "LIST-STATUS",
            "MOVE",
            "NAMESPACE",
            "SASL-IR",
            "SEARCHRES",
            "SPECIAL-USE",
            "STATUS=SIZE",
            "UIDPLUS",
            "UNSELECT",
        ),
    ),
    Capability(
        "LITERAL+", "RFC 7888", "Literals without waiting for the server, up to the size of the largest message"
    ),
    Capability(
        "LITERAL-",
        "RFC 7888",
        "In place of LITERAL+: only literals up to 4096 octets come without waiting, so a large one can be declined",
        is_unasked=False,
        replaces="LITERAL+",
    ),
    Capability("INPROGRESS", "RFC 9585", "A sign of life every half minute while a command waits for the backend"),
)

OFFER: Final = Offer(
    (
        *_PROTOCOL,
        *login.CAPABILITIES,
        *authenticate.CAPABILITIES,
        *misc.CAPABILITIES,
        *compress.CAPABILITIES,
        *idle.CAPABILITIES,
        *notify.CAPABILITIES,
        *list.CAPABILITIES,
        *mailbox_admin.CAPABILITIES,
        *quota.CAPABILITIES,
        *rights.CAPABILITIES,
        *metadata.CAPABILITIES,
        *select.CAPABILITIES,
        *append.CAPABILITIES,
        *message_limit.CAPABILITIES,
        *expunge.CAPABILITIES,
        *copy_move.CAPABILITIES,
        *fetch.CAPABILITIES,
        *search.CAPABILITIES,
        *multisearch.CAPABILITIES,
        *sort.CAPABILITIES,
        *context.CAPABILITIES,
        *filters.CAPABILITIES,
        *uid_batches.CAPABILITIES,
        *jmap_access.CAPABILITIES,
    )
)
