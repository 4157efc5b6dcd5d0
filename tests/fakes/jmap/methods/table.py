"""Every method the server has, with the capability that a request must name to use it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.fakes.jmap.capabilities import CORE, MAIL, QUOTA, SUBMISSION
from tests.fakes.jmap.checks import Arguments
from tests.fakes.jmap.methods.email_get import email_changes, email_get, thread_changes, thread_get
from tests.fakes.jmap.methods.email_import import email_import
from tests.fakes.jmap.methods.email_query import email_query, query_changes
from tests.fakes.jmap.methods.email_set import email_set
from tests.fakes.jmap.methods.mailbox_reading import mailbox_changes, mailbox_get, mailbox_query
from tests.fakes.jmap.methods.mailbox_set import mailbox_set
from tests.fakes.jmap.methods.small import identity_get, quota_changes, quota_get
from tests.fakes.jmap.scope import Scope


@dataclass(frozen=True, slots=True)
class Method:
    """`answer` takes the arguments after back-references are resolved and returns the arguments of the reply."""

    capability: str
    answer: Callable[[Scope, Arguments], dict[str, object]]


METHODS = {
    "Mailbox/get": Method(MAIL, mailbox_get),
    "Mailbox/changes": Method(MAIL, mailbox_changes),
    "Mailbox/query": Method(MAIL, mailbox_query),
    "Mailbox/queryChanges": Method(MAIL, query_changes),
    "Mailbox/set": Method(MAIL, mailbox_set),
    "Email/get": Method(MAIL, email_get),
    "Email/changes": Method(MAIL, email_changes),
    "Email/query": Method(MAIL, email_query),
    "Email/queryChanges": Method(MAIL, query_changes),
    "Email/set": Method(MAIL, email_set),
    "Email/import": Method(MAIL, email_import),
    "Thread/get": Method(MAIL, thread_get),
    "Thread/changes": Method(MAIL, thread_changes),
    "Identity/get": Method(SUBMISSION, identity_get),
    "Quota/get": Method(QUOTA, quota_get),
    "Quota/changes": Method(QUOTA, quota_changes),
}
ECHO = "Core/echo"
ECHO_CAPABILITY = CORE
