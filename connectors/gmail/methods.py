"""The methods of the Gmail API and of Pub/Sub that are called, as their discovery documents describe them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from connectors.transport.messages import Effect

_VARIABLE: Final = re.compile(r"\{(\+?)(\w+)\}")

MAX_MESSAGE_OCTETS: Final = 157_286_400
"""Of a message that is inserted or imported."""

MAX_DRAFT_OCTETS: Final = 36_700_160


@dataclass(frozen=True, slots=True)
class Method:
    """One method. `path` is below the root of its API and names its parameters in braces.

    `effect` is that of calling it twice. `upload_octets` is how large the message may be that is uploaded with it; 0 if
    it takes none.
    """

    id: str
    verb: str
    path: str
    effect: Effect
    upload_octets: int = 0

    @property
    def name(self) -> str:
        """The id without what all have in common: `messages.get`."""
        return self.id.removeprefix("gmail.users.").removeprefix("pubsub.projects.")

    def target(self, path: Mapping[str, str], query: Sequence[tuple[str, str]] = (), *, is_upload: bool = False) -> str:
        """Return path and query string of a call, beginning with a slash.

        A value of `path` is one segment and is quoted as such, but where the template says `{+name}` its slashes stay
        (RFC 6570 section 3.2.3).

        Raises:
            KeyError: a parameter of the path is missing.
        """

        def value(match: re.Match[str]) -> str:
            return quote(path[match[2]], safe="/" if match[1] else "")

        prefix = "/upload/" if is_upload else "/"
        expanded = prefix + _VARIABLE.sub(value, self.path)
        return f"{expanded}?{urlencode(query)}" if query else expanded


def _gmail(name: str, verb: str, path: str, effect: Effect, upload_octets: int = 0) -> Method:
    return Method(f"gmail.users.{name}", verb, f"gmail/v1/users/{{userId}}/{path}", effect, upload_octets)


_READ: Final = Effect.READ
_SET: Final = Effect.IDEMPOTENT_WRITE
_WRITE: Final = Effect.WRITE

GET_PROFILE: Final = _gmail("getProfile", "GET", "profile", _READ)
WATCH: Final = _gmail("watch", "POST", "watch", _SET)
STOP: Final = _gmail("stop", "POST", "stop", _SET)

LABELS_LIST: Final = _gmail("labels.list", "GET", "labels", _READ)
LABELS_GET: Final = _gmail("labels.get", "GET", "labels/{id}", _READ)
LABELS_CREATE: Final = _gmail("labels.create", "POST", "labels", _WRITE)
LABELS_PATCH: Final = _gmail("labels.patch", "PATCH", "labels/{id}", _SET)
LABELS_DELETE: Final = _gmail("labels.delete", "DELETE", "labels/{id}", _SET)

MESSAGES_LIST: Final = _gmail("messages.list", "GET", "messages", _READ)
MESSAGES_GET: Final = _gmail("messages.get", "GET", "messages/{id}", _READ)
MESSAGES_MODIFY: Final = _gmail("messages.modify", "POST", "messages/{id}/modify", _SET)
MESSAGES_BATCH_MODIFY: Final = _gmail("messages.batchModify", "POST", "messages/batchModify", _SET)
MESSAGES_BATCH_DELETE: Final = _gmail("messages.batchDelete", "POST", "messages/batchDelete", _SET)
MESSAGES_TRASH: Final = _gmail("messages.trash", "POST", "messages/{id}/trash", _SET)
MESSAGES_UNTRASH: Final = _gmail("messages.untrash", "POST", "messages/{id}/untrash", _SET)
MESSAGES_DELETE: Final = _gmail("messages.delete", "DELETE", "messages/{id}", _SET)
MESSAGES_INSERT: Final = _gmail("messages.insert", "POST", "messages", _WRITE, MAX_MESSAGE_OCTETS)
MESSAGES_IMPORT: Final = _gmail("messages.import", "POST", "messages/import", _WRITE, MAX_MESSAGE_OCTETS)
MESSAGES_SEND: Final = _gmail("messages.send", "POST", "messages/send", _WRITE, MAX_DRAFT_OCTETS)

DRAFTS_LIST: Final = _gmail("drafts.list", "GET", "drafts", _READ)
DRAFTS_GET: Final = _gmail("drafts.get", "GET", "drafts/{id}", _READ)
DRAFTS_CREATE: Final = _gmail("drafts.create", "POST", "drafts", _WRITE, MAX_DRAFT_OCTETS)
DRAFTS_UPDATE: Final = _gmail("drafts.update", "PUT", "drafts/{id}", _SET, MAX_DRAFT_OCTETS)
DRAFTS_DELETE: Final = _gmail("drafts.delete", "DELETE", "drafts/{id}", _SET)
DRAFTS_SEND: Final = _gmail("drafts.send", "POST", "drafts/send", _WRITE, MAX_DRAFT_OCTETS)

HISTORY_LIST: Final = _gmail("history.list", "GET", "history", _READ)
GET_IMAP_SETTINGS: Final = _gmail("settings.getImap", "GET", "settings/imap", _READ)

PUBSUB_PULL: Final = Method("pubsub.projects.subscriptions.pull", "POST", "v1/{+subscription}:pull", _READ)
PUBSUB_ACKNOWLEDGE: Final = Method(
    "pubsub.projects.subscriptions.acknowledge", "POST", "v1/{+subscription}:acknowledge", _SET
)
PUBSUB_MODIFY_ACK_DEADLINE: Final = Method(
    "pubsub.projects.subscriptions.modifyAckDeadline", "POST", "v1/{+subscription}:modifyAckDeadline", _SET
)

METHODS: Final = (
    GET_PROFILE,
    WATCH,
    STOP,
    LABELS_LIST,
    LABELS_GET,
    LABELS_CREATE,
    LABELS_PATCH,
    LABELS_DELETE,
    MESSAGES_LIST,
    MESSAGES_GET,
    MESSAGES_MODIFY,
    MESSAGES_BATCH_MODIFY,
    MESSAGES_BATCH_DELETE,
    MESSAGES_TRASH,
    MESSAGES_UNTRASH,
    MESSAGES_DELETE,
    MESSAGES_INSERT,
    MESSAGES_IMPORT,
    MESSAGES_SEND,
    DRAFTS_LIST,
    DRAFTS_GET,
    DRAFTS_CREATE,
    DRAFTS_UPDATE,
    DRAFTS_DELETE,
    DRAFTS_SEND,
    HISTORY_LIST,
    GET_IMAP_SETTINGS,
    PUBSUB_PULL,
    PUBSUB_ACKNOWLEDGE,
    PUBSUB_MODIFY_ACK_DEADLINE,
)
