"""Email/get and /changes, Thread/get and /changes (RFC 8621 sections 3, 4.1 to 4.3)."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.checks import Arguments, boolean, list_of, nullable, text, unsigned
from tests.fakes.jmap.errors import invalid_arguments
from tests.fakes.jmap.methods.email_body import BODY_PROPERTIES, PART_PROPERTIES, BodyOptions, body_values
from tests.fakes.jmap.methods.email_headers import CONVENIENCE, header_value, is_header_property
from tests.fakes.jmap.methods.standard import changes, get_reply, selected, take_get
from tests.fakes.jmap.options import Quirk
from tests.fakes.jmap.records import Email
from tests.fakes.jmap.scope import Scope

SHORT = 7
"""Messages that a server with the quirk GET_STOPS_SHORT gives."""

METADATA = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
DEFAULT_BODY = ("hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments")
DEFAULT_PROPERTIES = (*METADATA, *CONVENIENCE, *DEFAULT_BODY)


def utc_text(moment: datetime) -> str:
    """Write a UTCDate (RFC 8620 section 1.4)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_property(name: str) -> bool:
    return name in METADATA or name in BODY_PROPERTIES or is_header_property(name)


def document(email: Email, properties: list[str], options: BodyOptions) -> dict[str, object]:
    """Return the properties asked for; `id` always comes."""
    item: dict[str, object] = {"id": email.id}
    in_body = []
    for name in properties:
        match name:
            case "id":
                continue
            case "blobId":
                item[name] = email.blob_id
            case "threadId":
                item[name] = email.thread_id
            case "mailboxIds":
                item[name] = dict.fromkeys(email.mailbox_ids, True)
            case "keywords":
                item[name] = dict.fromkeys(email.keywords, True)
            case "size":
                item[name] = email.size
            case "receivedAt":
                item[name] = utc_text(email.received_at)
            case _ if name in BODY_PROPERTIES:
                in_body.append(name)
            case _:
                item[name] = header_value(email.content, name)
    if in_body:
        item |= body_values(email, in_body, options)
    return item


def email_get(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    request = take_get(scope, arguments, is_property, len(account.emails))
    options = _body_options(arguments)
    arguments.finish()
    properties = list(DEFAULT_PROPERTIES) if request.properties is None else request.properties

    def found(email_id: str) -> dict[str, object] | None:
        email = account.emails.get(email_id)
        visible = account.readable(email) if email is not None else ()
        if email is None or not visible:
            return None
        item = document(email, properties, options)
        if "mailboxIds" in item:
            item["mailboxIds"] = dict.fromkeys(visible, True)
        return item

    ids = list(account.emails) if request.ids is None else request.ids
    if scope.options.has(Quirk.GET_STOPS_SHORT):
        ids = ids[:SHORT]
    return get_reply(account, "Email", ids, found)


def _body_options(arguments: Arguments) -> BodyOptions:
    part_properties = arguments.optional("bodyProperties", nullable(list_of(text)), None)
    unknown = [name for name in part_properties or () if name not in PART_PROPERTIES and not is_header_property(name)]
    if unknown:
        raise invalid_arguments(f"unknown body property: {', '.join(unknown)}")
    return BodyOptions(
        part_properties,
        arguments.optional("fetchTextBodyValues", boolean, False),
        arguments.optional("fetchHTMLBodyValues", boolean, False),
        arguments.optional("fetchAllBodyValues", boolean, False),
        arguments.optional("maxBodyValueBytes", unsigned, 0),
    )


def email_changes(scope: Scope, arguments: Arguments) -> dict[str, object]:
    return changes(scope, arguments, "Email")


def thread_get(scope: Scope, arguments: Arguments) -> dict[str, object]:
    account = scope.account(arguments)
    request = take_get(scope, arguments, ("id", "emailIds").__contains__, len(account.threads))
    arguments.finish()

    def found(thread_id: str) -> dict[str, object] | None:
        if thread_id not in account.threads:
            return None
        return selected({"id": thread_id, "emailIds": _oldest_first(account, thread_id)}, request.properties)

    return get_reply(account, "Thread", list(account.threads) if request.ids is None else request.ids, found)


def _oldest_first(account: Account, thread_id: str) -> list[str]:
    emails = sorted((account.emails[email_id] for email_id in account.threads[thread_id]), key=lambda each: each.order)
    return [email.id for email in emails]


def thread_changes(scope: Scope, arguments: Arguments) -> dict[str, object]:
    return changes(scope, arguments, "Thread")
