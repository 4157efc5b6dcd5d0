"""How a command ended: the tagged line, before it has a tag."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.wire.codes import Status


@dataclass(frozen=True, slots=True)
class Completion:
    """A tagged response to be.

    `code` is the inside of the response code in wire form, such as `b"APPENDUID 38 5"`. `after` is run when the tagged
    line is on its way; STARTTLS needs it.
    """

    status: Status
    text: str
    code: bytes | None = None
    after: Callable[[], Awaitable[None]] | None = None


def ok(text: str, code: bytes | None = None) -> Completion:
    """The command was done."""
    return Completion(Status.OK, text, code)


def no(text: str, code: bytes | None = None) -> Completion:
    """The command was understood and could not be done."""
    return Completion(Status.NO, text, code)


def bad(text: str, code: bytes | None = None) -> Completion:
    """The command makes no sense, or not now."""
    return Completion(Status.BAD, text, code)
