"""Filters and sort orders of Email/query (RFC 8621 section 4.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fakes.jmap.account import Account
from tests.fakes.jmap.capabilities import COLLATIONS, SORT_OPTIONS
from tests.fakes.jmap.checks import (
    Arguments,
    Check,
    Mismatch,
    boolean,
    identifier,
    keyword,
    list_of,
    mapping,
    text,
    unsigned,
    utc_date,
)
from tests.fakes.jmap.content import Body, Content, decoded_text, plain_text
from tests.fakes.jmap.errors import MethodFailure
from tests.fakes.jmap.methods.email_body import email_has_attachment
from tests.fakes.jmap.methods.email_headers import first_name, sent_at
from tests.fakes.jmap.records import Email

Match = Callable[[Email], bool]
ADDRESSED = ("from", "to", "cc", "bcc", "subject")
TOKEN = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'|(\S+)""")
REPLY_PREFIX = re.compile(r"(?i)^\s*((re|fwd?|aw|wg)\s*(\[[^]]*\])?:\s*|\[[^]]*\]\s*)+")


def header_condition(value: object) -> list[str]:
    names = list_of(text)(value)
    if len(names) not in (1, 2):
        raise Mismatch("must hold a name and perhaps a text")
    return names


CONDITIONS: dict[str, Check[Any]] = {
    "inMailbox": identifier,
    "inMailboxOtherThan": list_of(identifier),
    "before": utc_date,
    "after": utc_date,
    "minSize": unsigned,
    "maxSize": unsigned,
    "allInThreadHaveKeyword": keyword,
    "someInThreadHaveKeyword": keyword,
    "noneInThreadHaveKeyword": keyword,
    "hasKeyword": keyword,
    "notKeyword": keyword,
    "hasAttachment": boolean,
    "text": text,
    "from": text,
    "to": text,
    "cc": text,
    "bcc": text,
    "subject": text,
    "body": text,
    "header": header_condition,
}


@dataclass(frozen=True, slots=True)
class EmailFilter:
    """A filter: `mailbox` is one that all matches are in, if the filter says so; `is_whole` if it says nothing else."""

    matches: Match
    mailbox: str | None = None
    is_whole: bool = False


def read_filter(account: Account) -> Check[EmailFilter]:
    """Return the check that reads a filter for messages of the account."""

    def read(value: object) -> EmailFilter:
        if value is None:
            return EmailFilter(lambda _: True, is_whole=True)
        condition = mapping(value)
        if "operator" in condition:
            return _operator(condition, read)
        tests = []
        for name, wanted in condition.items():
            if name not in CONDITIONS:
                raise Mismatch(f"unknown condition {name}")
            tests.append(_condition(account, name, CONDITIONS[name](wanted)))
        mailbox = condition.get("inMailbox")
        return EmailFilter(
            lambda email: all(test(email) for test in tests),
            str(mailbox) if mailbox is not None else None,
            condition.keys() <= {"inMailbox"},
        )

    return read


def _operator(condition: dict[str, object], read: Check[EmailFilter]) -> EmailFilter:
    if set(condition) != {"operator", "conditions"}:
        raise Mismatch("an operator has conditions and nothing else")
    parts = list_of(read)(condition["conditions"])
    match condition["operator"]:
        case "AND":
            mailbox = next((part.mailbox for part in parts if part.mailbox is not None), None)
            return EmailFilter(lambda email: all(part.matches(email) for part in parts), mailbox)
        case "OR":
            return EmailFilter(lambda email: any(part.matches(email) for part in parts))
        case "NOT":
            return EmailFilter(lambda email: not any(part.matches(email) for part in parts))
    raise Mismatch(f"unknown operator {condition['operator']!r}")


def _condition(account: Account, name: str, wanted: Any) -> Match:
    match name:
        case "inMailbox":
            return lambda email: wanted in email.mailbox_ids
        case "inMailboxOtherThan":
            others = set(wanted)
            return lambda email: bool(email.mailbox_ids - others)
        case "before":
            return lambda email: email.received_at < wanted
        case "after":
            return lambda email: email.received_at >= wanted
        case "minSize":
            return lambda email: email.size >= wanted
        case "maxSize":
            return lambda email: email.size < wanted
        case "hasKeyword":
            return lambda email: wanted in email.keywords
        case "notKeyword":
            return lambda email: wanted not in email.keywords
        case "allInThreadHaveKeyword" | "someInThreadHaveKeyword" | "noneInThreadHaveKeyword":
            return _thread_condition(account, name, wanted)
        case "hasAttachment":
            return lambda email: email_has_attachment(email) == wanted
        case _:
            return _text_condition(name, wanted)


def _thread_condition(account: Account, name: str, wanted: str) -> Match:
    def found(email: Email) -> list[bool]:
        return [wanted in account.emails[other].keywords for other in account.threads[email.thread_id]]

    match name:
        case "allInThreadHaveKeyword":
            return lambda email: all(found(email))
        case "someInThreadHaveKeyword":
            return lambda email: any(found(email))
        case _:
            return lambda email: not any(found(email))


def _text_condition(name: str, wanted: Any) -> Match:
    if name == "header":
        field, *rest = wanted
        if not rest:
            return lambda email: email.content.field(field) is not None
        return lambda email: rest[0].casefold() in header_text(email.content, (field.lower(),))
    terms = tokens(wanted)
    if name not in ("text", "body"):
        return lambda email: contains_all(header_text(email.content, (name,)), terms)
    missing_in: dict[Body, list[str]] = {}

    def matches(email: Email) -> bool:
        body = email.content.body
        missing = missing_in.get(body)
        if missing is None:
            found = body_text(email.content)
            missing = missing_in[body] = [term for term in terms if term not in found]
        return not missing or (name == "text" and contains_all(header_text(email.content, ADDRESSED), missing))

    return matches


def tokens(wanted: str) -> list[str]:
    """Split a search text into phrases and words (RFC 8621 section 4.4.1)."""
    found = [phrase or other or word for phrase, other, word in TOKEN.findall(wanted)]
    return [re.sub(r"\\(.)", r"\1", each).casefold() for each in found]


def contains_all(content: str, terms: list[str]) -> bool:
    return all(term in content for term in terms)


def header_text(content: Content, names: tuple[str, ...]) -> str:
    return "\n".join(decoded_text(value) for name, value in content.fields() if name.lower() in names).casefold()


def body_text(content: Content) -> str:
    """Return the text of a message's body in folded case; generated messages share bodies, so that few are read."""
    body = content.body
    if body.text is None:
        fields = (b"content-type", b"content-transfer-encoding")
        header = b"".join(
            name + b":" + value + b"\r\n" for name in fields if (value := content.field(name.decode())) is not None
        )
        body.text = plain_text(Content(header + b"\r\n", body).parsed()).casefold()
    return body.text


def read_comparator(account: Account, value: dict[str, object]) -> tuple[Callable[[Email], Any], bool]:
    """Return the sort key and whether it ascends.

    Raises:
        MethodFailure: `unsupportedSort`, or `invalidArguments` for what no Comparator has.
    """
    arguments = Arguments(value)
    name = arguments.required("property", text)
    is_ascending = arguments.optional("isAscending", boolean, True)
    collation = arguments.optional("collation", text, COLLATIONS[0])
    if name not in SORT_OPTIONS or collation not in COLLATIONS:
        raise MethodFailure("unsupportedSort", f"{name} {collation}", is_violation=True)
    if name.endswith("Keyword"):
        wanted = arguments.required("keyword", keyword)
        arguments.finish()
        if name == "hasKeyword":
            return (lambda email: wanted in email.keywords), is_ascending
        return _thread_condition(account, name, wanted), is_ascending
    arguments.finish()
    return SORT_KEYS[name], is_ascending


def base_subject(content: Content) -> str:
    return REPLY_PREFIX.sub("", decoded_text(content.field("subject") or b"")).casefold()


SORT_KEYS: dict[str, Callable[[Email], Any]] = {
    "receivedAt": lambda email: email.received_at,
    "size": lambda email: email.size,
    "from": lambda email: first_name(email.content, "from").casefold(),
    "to": lambda email: first_name(email.content, "to").casefold(),
    "subject": lambda email: base_subject(email.content),
    "sentAt": lambda email: sent_at(email.content),
}
