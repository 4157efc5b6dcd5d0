"""What the strict response reader of the end-to-end tests yields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

# Octet strings, numbers, NIL and lists of them, nested as they were on the wire.
Value: TypeAlias = "bytes | int | str | tuple[Value, ...] | None"


class WireError(AssertionError):
    """The server sent something that the grammar does not allow."""


@dataclass(frozen=True, slots=True)
class Status:
    """`OK`, `NO`, `BAD`, `BYE` or `PREAUTH`; `tag` is "*" if untagged. `code` is what stood between the brackets."""

    tag: str
    kind: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Continuation:
    """`+ text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Numbered:
    """`* n EXISTS`, `* n EXPUNGE`, `* n RECENT`."""

    number: int
    kind: str


@dataclass(frozen=True, slots=True)
class Fetched:
    """`* n FETCH (...)`: item names in capitals, header field names and origins as in `BODY[HEADER.FIELDS (TO)]<0>`."""

    number: int
    items: dict[str, Value]


@dataclass(frozen=True, slots=True)
class Listed:
    """`* LIST` or `* LSUB`; the name as it was on the wire, in modified UTF-7 or UTF-8."""

    kind: str
    attributes: frozenset[str]
    separator: str | None
    name: str
    extended: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Data:
    """Any other untagged response: its name in capitals and its values."""

    kind: str
    values: tuple[Value, ...]


Response: TypeAlias = "Status | Continuation | Numbered | Fetched | Listed | Data"


@dataclass(frozen=True, slots=True)
class Reply:
    """A tagged status and every untagged response that came before it."""

    status: Status
    untagged: list[Response] = field(default_factory=list)

    @property
    def is_ok(self) -> bool:
        return self.status.kind == "OK"

    def numbered(self, kind: str) -> list[int]:
        """Return the numbers of the EXISTS, EXPUNGE or RECENT responses, in order."""
        return [item.number for item in self.untagged if isinstance(item, Numbered) and item.kind == kind]

    def fetched(self) -> list[Fetched]:
        return [item for item in self.untagged if isinstance(item, Fetched)]

    def data(self, kind: str) -> list[tuple[Value, ...]]:
        return [item.values for item in self.untagged if isinstance(item, Data) and item.kind == kind]

    def codes(self) -> dict[str, str]:
        """Return the response codes of the untagged and the tagged status responses, name to argument."""
        found: dict[str, str] = {}
        for item in [*self.untagged, self.status]:
            if isinstance(item, Status) and item.code:
                name, _, argument = item.code.partition(" ")
                found[name.upper()] = argument
        return found
