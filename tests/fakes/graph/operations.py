"""Every operation that is played, by verb and path; which query options, body and rights belong to it.

What a path names is checked against Graph's types by a test. The parameters of actions are not in those types; each is
followed by Microsoft's page it is taken from, below learn.microsoft.com/graph/api.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote

from tests.fakes.graph import methods_attachments as attachments
from tests.fakes.graph import methods_folders as folders
from tests.fakes.graph import methods_mailbox as others
from tests.fakes.graph import methods_messages as messages
from tests.fakes.graph.calls import Operation
from tests.fakes.graph.listing import list_messages

_READ: Final = frozenset({"Mail.Read", "Mail.ReadWrite"})
_WRITE: Final = frozenset({"Mail.ReadWrite"})
_SEND: Final = frozenset({"Mail.Send"})
_SETTINGS: Final = frozenset({"MailboxSettings.Read", "MailboxSettings.ReadWrite"})
_CHANGE_SETTINGS: Final = frozenset({"MailboxSettings.ReadWrite"})
_PROFILE: Final = frozenset({"User.Read", "User.Read.All", "User.ReadWrite"})
_ONE: Final = frozenset({"$select", "$expand"})
_LIST: Final = _ONE | {"$top", "$skip", "$filter", "$orderby", "$search", "$count", "$skiptoken"}
_FOLDERS: Final = _ONE | {"$top", "$skip", "$filter", "$count", "$skiptoken", "includeHiddenFolders"}
_DELTA: Final = _ONE | {"$top", "$filter", "$orderby", "changeType", "$skiptoken", "$deltatoken"}
_DESTINATION: Final = {"destinationId": "string"}  # message-move, message-copy, mailfolder-move, mailfolder-copy
_UPLOAD: Final = {"AttachmentItem": "AttachmentItem"}  # attachment-createuploadsession
_SEND_MAIL: Final = {"message": "Message", "saveToSentItems": "boolean"}  # user-sendmail


def operations() -> list[Operation]:
    """Return them all; of two that fit a request the one with fewer parameters in its path is meant."""
    return [*_messages(), *_attachments(), *_folders(), *_others()]


def _messages() -> Iterator[Operation]:
    for place in ("", "mailFolders/{f}/"):
        kind = "folder-messages" if place else "messages"
        yield Operation(f"{kind}.list", "GET", f"{place}messages", list_messages, _LIST, scopes=_READ)
        yield Operation(
            f"{kind}.create", "POST", f"{place}messages", messages.create, request="Message", scopes=_WRITE,
            takes_mime=True,
        )  # fmt: skip
        yield Operation(f"{kind}.get", "GET", f"{place}messages/{{m}}", messages.get, _ONE, scopes=_READ)
    yield Operation("messages.delta-all", "GET", "messages/delta", others.delta_of_all, _DELTA, scopes=_READ)
    yield Operation("messages.delta", "GET", "mailFolders/{f}/messages/delta", others.delta, _DELTA, scopes=_READ)
    yield Operation(
        "folder-messages.value", "GET", "mailFolders/{f}/messages/{m}/$value", messages.value_in_folder, scopes=_READ
    )
    yield Operation("messages.value", "GET", "messages/{m}/$value", messages.value, scopes=_READ)
    yield Operation("messages.patch", "PATCH", "messages/{m}", messages.patch, request="Message", scopes=_WRITE)
    yield Operation("messages.delete", "DELETE", "messages/{m}", messages.delete, scopes=_WRITE)
    for name, handler in (("move", messages.move), ("copy", messages.copy)):
        yield Operation(
            f"messages.{name}", "POST", f"messages/{{m}}/{name}", handler, parameters=_DESTINATION,
            required=frozenset(_DESTINATION), scopes=_WRITE,
        )  # fmt: skip
    yield Operation(
        "messages.permanentDelete", "POST", "messages/{m}/permanentDelete", messages.permanent_delete, scopes=_WRITE
    )
    yield Operation("messages.send", "POST", "messages/{m}/send", messages.send, scopes=_SEND)
    yield Operation(
        "sendMail", "POST", "sendMail", messages.send_mail, parameters=_SEND_MAIL, required=frozenset({"message"}),
        scopes=_SEND, takes_mime=True,
    )  # fmt: skip


def _attachments() -> Iterator[Operation]:
    path = "messages/{m}/attachments"
    yield Operation("attachments.list", "GET", path, attachments.list_all, _ONE | {"$top"}, scopes=_READ)
    yield Operation("attachments.create", "POST", path, attachments.create, request="Attachment", scopes=_WRITE)
    yield Operation("attachments.get", "GET", f"{path}/{{a}}", attachments.get, _ONE, scopes=_READ)
    yield Operation("attachments.value", "GET", f"{path}/{{a}}/$value", attachments.value, scopes=_READ)
    yield Operation("attachments.delete", "DELETE", f"{path}/{{a}}", attachments.delete, scopes=_WRITE)
    yield Operation(
        "attachments.createUploadSession", "POST", f"{path}/createUploadSession", attachments.create_session,
        parameters=_UPLOAD, required=frozenset(_UPLOAD), scopes=_WRITE,
    )  # fmt: skip


def _folders() -> Iterator[Operation]:
    for path, kind in (("mailFolders", "folders"), ("mailFolders/{f}/childFolders", "child-folders")):
        yield Operation(f"{kind}.list", "GET", path, folders.list_children, _FOLDERS, scopes=_READ)
        yield Operation(f"{kind}.create", "POST", path, folders.create, request="MailFolder", scopes=_WRITE)
    yield Operation("folders.delta", "GET", "mailFolders/delta", folders.delta, _DELTA, scopes=_READ)
    path = "mailFolders/{f}"
    yield Operation("folders.get", "GET", path, folders.get, _ONE | {"includeHiddenFolders"}, scopes=_READ)
    yield Operation("folders.patch", "PATCH", path, folders.patch, request="MailFolder", scopes=_WRITE)
    yield Operation("folders.delete", "DELETE", path, folders.delete, scopes=_WRITE)
    for name, handler in (("move", folders.move), ("copy", folders.copy)):
        yield Operation(
            f"folders.{name}", "POST", f"{path}/{name}", handler, parameters=_DESTINATION,
            required=frozenset(_DESTINATION), scopes=_WRITE,
        )  # fmt: skip
    yield Operation(
        "folders.permanentDelete", "POST", f"{path}/permanentDelete", folders.permanent_delete, scopes=_WRITE
    )


def _others() -> Iterator[Operation]:
    path = "outlook/masterCategories"
    yield Operation("categories.list", "GET", path, others.list_categories, _ONE | {"$top"}, scopes=_SETTINGS)
    yield Operation(
        "categories.create", "POST", path, others.create_category, request="OutlookCategory", scopes=_CHANGE_SETTINGS
    )
    yield Operation("user.get", "GET", "", others.get_user, frozenset({"$select"}), scopes=_PROFILE)
    yield Operation("subscriptions.list", "GET", "/subscriptions", others.list_subscriptions)
    yield Operation(
        "subscriptions.create", "POST", "/subscriptions", others.create_subscription, request="Subscription",
        scopes=_READ,
    )  # fmt: skip
    path = "/subscriptions/{s}"
    yield Operation("subscriptions.get", "GET", path, others.get_subscription)
    yield Operation("subscriptions.patch", "PATCH", path, others.patch_subscription, request="Subscription")
    yield Operation("subscriptions.delete", "DELETE", path, others.delete_subscription)


class Table:
    """Finds the operation a request is for."""

    def __init__(self) -> None:
        self.all = operations()
        self._by_shape: dict[tuple[str, int], list[tuple[tuple[str, ...], Operation]]] = {}
        for operation in self.all:
            steps = tuple(operation.path.split("/")) if operation.path else ()
            self._by_shape.setdefault((operation.verb, len(steps)), []).append((steps, operation))
        for each in self._by_shape.values():
            each.sort(key=lambda pair: sum(step.startswith("{") for step in pair[0]))

    def find(self, verb: str, steps: list[str]) -> tuple[Operation, dict[str, str]] | None:
        """Return what is meant by a path below a mailbox (or, with an empty first step, below the root)."""
        for pattern, operation in self._by_shape.get((verb, len(steps)), ()):
            ids: dict[str, str] = {}
            for wanted, step in zip(pattern, steps, strict=True):
                if wanted.startswith("{"):
                    ids[wanted[1:-1]] = unquote(step)
                elif wanted != step:
                    break
            else:
                return operation, ids
        return None

    def verbs(self, steps: list[str]) -> list[str]:
        """Return the verbs there are for a path."""
        return [verb for verb in ("GET", "POST", "PATCH", "DELETE") if self.find(verb, steps) is not None]
