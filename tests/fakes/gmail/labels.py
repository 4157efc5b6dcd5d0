"""The labels of a mailbox and Gmail's rules for their names.

A user label's name may hold "/" for nesting, and no label needs its parent. Names of the system are reserved, also
in other languages; names that differ only in case or in the character between words collide.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from tests.fakes.gmail.errors import ApiError, invalid, not_found
from tests.fakes.gmail.options import Quirks

CATEGORIES: Final = tuple(f"CATEGORY_{name}" for name in ("PERSONAL", "SOCIAL", "PROMOTIONS", "UPDATES", "FORUMS"))
SYSTEM_IDS: Final = (
    "CHAT", "SENT", "INBOX", "IMPORTANT", "TRASH", "DRAFT", "SPAM", *CATEGORIES, "STARRED", "UNREAD",
)  # fmt: skip
PLACES: Final = frozenset({"INBOX", "SPAM", "TRASH"})
UNTOUCHABLE: Final = frozenset({"SENT", "DRAFT", "CHAT"})
UNLISTED_ID: Final = "YELLOW_STAR"
MAX_NAME_LENGTH: Final = 225

# Reported by people whose restores stumbled over them; Gmail publishes no list.
_RESERVED: Final = frozenset(
    {"inbox", "sent", "draft", "drafts", "trash", "spam", "starred", "unread", "important", "chat", "chats"}
    | {"muted", "todo", "voicemail", "archive", "migrated", "scheduled", "snoozed"}
    | {"enviado", "ongelezen", "[gmail]", "[googlemail]"}
)
_SHOWN: Final = {"labelListVisibility": "labelShow", "messageListVisibility": "show"}
_HIDDEN_IDS: Final = frozenset({"CHAT", *CATEGORIES})
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_BETWEEN_WORDS: Final = re.compile(r"[ /-]+")


@dataclass(frozen=True, slots=True)
class Label:
    """One label, as Gmail describes it; visibilities are absent where Gmail leaves them out."""

    id: str
    name: str
    is_system: bool
    visibilities: dict[str, str] = field(default_factory=dict)
    color: dict[str, str] | None = None

    def resource(self) -> dict[str, Any]:
        """Return the Label resource as labels.list gives it, without counts."""
        found: dict[str, Any] = {"id": self.id, "name": self.name, **self.visibilities}
        found["type"] = "system" if self.is_system else "user"
        if self.color is not None:
            found["color"] = dict(self.color)
        return found


class LabelBook:
    """The labels of one mailbox, by id and by name."""

    def __init__(self, quirks: Quirks, limit: int) -> None:
        self._quirks = quirks
        self._limit = limit
        self._numbers = itertools.count(1)
        self._labels: dict[str, Label] = {}
        self._folded: dict[str, str] = {}
        for name in SYSTEM_IDS:
            hidden = {"labelListVisibility": "labelHide", "messageListVisibility": "hide"}
            self._labels[name] = Label(name, name, is_system=True, visibilities=hidden if name in _HIDDEN_IDS else {})

    def __iter__(self) -> Iterator[Label]:
        return iter(self._labels.values())

    def __contains__(self, label_id: str) -> bool:
        return label_id in self._labels

    def __len__(self) -> int:
        return len(self._labels)

    def get(self, label_id: str) -> Label:
        """Return a label. Raises ApiError (404) if there is none."""
        if label_id not in self._labels:
            raise not_found()
        return self._labels[label_id]

    def named(self, name: str) -> Label | None:
        """Return the label of that name, or whose name collides with it; system labels by id, in any case."""
        if name.upper() in SYSTEM_IDS:
            return self._labels[name.upper()]
        found = self._folded.get(_fold(name))
        return self._labels[found] if found is not None else None

    def create(
        self, name: str, visibilities: dict[str, str] | None = None, color: dict[str, str] | None = None
    ) -> Label:
        """Make a user label. Raises ApiError: 400 for a name Gmail does not take, 409 for one that collides."""
        name = self._checked(name, None)
        if sum(not label.is_system for label in self) >= self._limit:
            raise ApiError(400, "invalidArgument", "Label limit exceeded.")
        label = Label(f"Label_{next(self._numbers)}", name, False, {**_SHOWN, **(visibilities or {})}, color)
        self._put(label)
        return label

    def change(
        self, label_id: str, name: str | None, visibilities: dict[str, str], color: dict[str, str] | None
    ) -> Label:
        """Change what is given of a user label. Raises ApiError as `create` does, 400 for a label of the system."""
        label = self.get(label_id)
        if label.is_system:
            raise invalid("Invalid update request")
        old = label.name
        if name is not None:
            name = self._checked(name, label_id)
            del self._folded[_fold(old)]
        changed = replace(label, name=name or old, visibilities={**label.visibilities, **visibilities})
        self._put(changed if color is None else replace(changed, color=color))
        if name is not None and self._quirks.rename_moves_children:
            self._move_children(old, name)
        return self._labels[label_id]

    def delete(self, label_id: str) -> None:
        """Remove a user label. Raises ApiError: 404 for none, 400 for a label of the system."""
        label = self.get(label_id)
        if label.is_system:
            raise invalid("Invalid delete request")
        del self._labels[label_id]
        del self._folded[_fold(label.name)]

    def _move_children(self, old: str, new: str) -> None:
        for child in [each for each in self if each.name.startswith(f"{old}/")]:
            del self._folded[_fold(child.name)]
            self._put(replace(child, name=new + child.name[len(old) :]))

    def _put(self, label: Label) -> None:
        self._labels[label.id] = label
        self._folded[_fold(label.name)] = label.id

    def _checked(self, name: str, own_id: str | None) -> str:
        name = name.strip(" ")
        parts = name.split("/")
        if (
            len(name) > MAX_NAME_LENGTH
            or _CONTROL.search(name)
            or not all(part.strip(" ") for part in parts)
            or (parts[0].lower() in _RESERVED and (len(parts) == 1 or parts[0].startswith("[")))
        ):
            raise invalid("Invalid label name")
        if self._folded.get(_fold(name), own_id) != own_id:
            raise ApiError(409, "aborted", "Label name exists or conflicts")
        return name


def _fold(name: str) -> str:
    return _BETWEEN_WORDS.sub("-", name.lower())
