"""The capability URIs the server knows, and what the session document says of each."""

from __future__ import annotations

from tests.fakes.jmap.options import FakeOptions, Quirk

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
QUOTA = "urn:ietf:params:jmap:quota"
WEBSOCKET = "urn:ietf:params:jmap:websocket"

SORT_OPTIONS = (
    "receivedAt",
    "size",
    "from",
    "to",
    "subject",
    "sentAt",
    "hasKeyword",
    "allInThreadHaveKeyword",
    "someInThreadHaveKeyword",
)
COLLATIONS = ("i;ascii-casemap", "i;unicode-casemap")


def offered(options: FakeOptions) -> frozenset[str]:
    """Return the capabilities that a request may name in `using`."""
    extra = {QUOTA} if has_quota(options) else set()
    return frozenset({CORE, MAIL, SUBMISSION} | extra | ({WEBSOCKET} if options.websocket else set()))


def has_quota(options: FakeOptions) -> bool:
    return options.quota_octets is not None or options.quota_messages is not None


def core(options: FakeOptions) -> dict[str, object]:
    """Return the core capability (RFC 8620 section 2)."""
    limits: dict[str, object] = {
        "maxSizeUpload": options.max_size_upload,
        "maxConcurrentUpload": options.max_concurrent_upload,
        "maxSizeRequest": options.max_size_request,
        "maxConcurrentRequests": options.max_concurrent_requests,
        "maxCallsInRequest": options.max_calls_in_request,
        "maxObjectsInGet": options.max_objects_in_get,
        "maxObjectsInSet": options.max_objects_in_set,
    }
    if options.has(Quirk.LIMITS_MISSING):
        limits.clear()
    if options.has(Quirk.LIMITS_MISSPELT):
        limits["maxConcurrentRequest"] = limits.pop("maxConcurrentRequests", options.max_concurrent_requests)
    return {**limits, "collationAlgorithms": list(COLLATIONS)}


def mail(options: FakeOptions) -> dict[str, object]:
    """Return the mail capability of an account (RFC 8621 section 1.3.1)."""
    if options.has(Quirk.LIMITS_MISSING):
        return {}
    sort_options = "emailsListSortOptions" if options.has(Quirk.LIMITS_MISSPELT) else "emailQuerySortOptions"
    return {
        "maxMailboxesPerEmail": options.max_mailboxes_per_email,
        "maxMailboxDepth": options.max_mailbox_depth,
        "maxSizeMailboxName": options.max_size_mailbox_name,
        "maxSizeAttachmentsPerEmail": options.max_size_upload,
        sort_options: list(SORT_OPTIONS),
        "mayCreateTopLevelMailbox": options.may_create_top_level,
    }


def submission() -> dict[str, object]:
    """Return the submission capability of an account (RFC 8621 section 1.3.2); only identities are offered."""
    return {"maxDelayedSend": 0, "submissionExtensions": {}}
