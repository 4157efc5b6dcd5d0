"""Checks of JSON values against the types of RFC 8620 section 1, and of a call's arguments as a whole.

A check takes a JSON value and returns it in its Python type, or raises `Mismatch` with a clause that tells why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import TypeVar, cast

from tests.fakes.jmap.errors import invalid_arguments

T = TypeVar("T")
Check = Callable[[object], T]

ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
KEYWORD = re.compile(r"""[!#$&'+-\[^-z|}~]{1,255}""")
UTC_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d*[1-9])?Z")
MAX_SAFE = 2**53 - 1


class Mismatch(Exception):
    """The value is not of the type."""


def anything(value: object) -> object:
    return value


def text(value: object) -> str:
    if not isinstance(value, str):
        raise Mismatch("must be a string")
    return value


def boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise Mismatch("must be true or false")
    return value


def true_only(value: object) -> bool:
    if value is not True:
        raise Mismatch("must be true")
    return True


def integer(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_SAFE:
        raise Mismatch("must be an integer")
    return value


def unsigned(value: object) -> int:
    number = integer(value)
    if number < 0:
        raise Mismatch("must not be negative")
    return number


def positive(value: object) -> int:
    number = integer(value)
    if number <= 0:
        raise Mismatch("must be greater than 0")
    return number


def identifier(value: object) -> str:
    """Check an Id (RFC 8620 section 1.2)."""
    if not isinstance(value, str) or not ID.fullmatch(value):
        raise Mismatch(f"{value!r} is not an Id")
    return value


def reference(value: object) -> str:
    """Check an Id, or `#` and the creation id of an object made earlier (RFC 8620 section 5.3)."""
    if isinstance(value, str) and value.startswith("#"):
        return "#" + identifier(value[1:])
    return identifier(value)


def keyword(value: object) -> str:
    """Check a keyword (RFC 8621 section 4.1.1) and return it in lower case."""
    if not isinstance(value, str) or not KEYWORD.fullmatch(value):
        raise Mismatch(f"{value!r} is not a keyword")
    return value.lower()


def utc_date(value: object) -> datetime:
    """Check a UTCDate (RFC 8620 section 1.4)."""
    if not isinstance(value, str) or not UTC_DATE.fullmatch(value):
        raise Mismatch(f"{value!r} is not a UTCDate")
    try:
        return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError:
        raise Mismatch(f"{value!r} is not a date") from None


def mapping(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise Mismatch("must be an object")
    return cast(dict[str, object], value)


def nullable(check: Check[T]) -> Check[T | None]:
    return lambda value: None if value is None else check(value)


def list_of(check: Check[T]) -> Check[list[T]]:
    def checked(value: object) -> list[T]:
        if not isinstance(value, list):
            raise Mismatch("must be an array")
        return [check(item) for item in value]

    return checked


def map_of(key_check: Check[str], value_check: Check[T]) -> Check[dict[str, T]]:
    return lambda value: {key_check(key): value_check(item) for key, item in mapping(value).items()}


def one_of(choices: Collection[str]) -> Check[str]:
    def checked(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Mismatch(f"{value!r} is not one of {', '.join(sorted(choices))}")
        return value

    return checked


id_list = list_of(identifier)


class Arguments:
    """The arguments of one call. Each is taken once; `finish` refuses what nobody took."""

    _REQUIRED = object()

    def __init__(self, values: dict[str, object]) -> None:
        self._values = dict(values)

    def required(self, name: str, check: Check[T]) -> T:
        """Take an argument that must be there.

        Raises:
            MethodFailure: it is missing or of the wrong type.
        """
        if name not in self._values:
            raise invalid_arguments(f"{name} is missing")
        return self._check(name, check)

    def optional(self, name: str, check: Check[T], default: T) -> T:
        """Take an argument, or `default` where it is left out.

        Raises:
            MethodFailure: it is of the wrong type.
        """
        return self._check(name, check) if name in self._values else default

    def finish(self) -> None:
        """Refuse arguments that the method does not have.

        Raises:
            MethodFailure.
        """
        if self._values:
            raise invalid_arguments(f"unknown argument: {', '.join(self._values)}")

    def _check(self, name: str, check: Check[T]) -> T:
        try:
            return check(self._values.pop(name))
        except Mismatch as mismatch:
            raise invalid_arguments(f"{name}: {mismatch}") from None
