"""$filter on messages: comparisons, text functions, `any` over categories and extended properties; and, or, not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from tests.fakes.graph import mapi
from tests.fakes.graph.errors import ApiError, bad_query
from tests.fakes.graph.records import Message, iso, to_ms
from tests.fakes.graph.schema import TIME, Checker
from tests.fakes.graph.views import GETTERS, View, extended

Test = Callable[[View, Message], bool]
MAX_TERMS: Final = 10
_TOKEN: Final = re.compile(r"\s*('(?:[^']|'')*'|[(),:]|[^\s(),:']+)")
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda a, b: bool(a == b),
    "ne": lambda a, b: bool(a != b),
    "gt": lambda a, b: a is not None and bool(a > b),
    "ge": lambda a, b: a is not None and bool(a >= b),
    "lt": lambda a, b: a is not None and bool(a < b),
    "le": lambda a, b: a is not None and bool(a <= b),
}
_FUNCTIONS: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, part: part.lower() in text.lower(),
    "startswith": lambda text, part: text.lower().startswith(part.lower()),
    "endswith": lambda text, part: text.lower().endswith(part.lower()),
}


@dataclass(slots=True)
class Filter:
    """A parsed filter. `names`: properties in the order they occur. `message_id`: what internetMessageId must equal."""

    test: Test
    names: list[str] = field(default_factory=list)
    message_id: str | None = None


def parse_filter(text: str, checker: Checker) -> Filter:
    """Parse a filter on messages. Raises ApiError (400): wrong in form, unknown names, or too complex."""
    parser = _Parser(_tokens(text), checker)
    found = Filter(parser.either())
    if parser.tokens:
        raise bad_query(f"Syntax error at '{parser.tokens[0]}' in '{text}'.")
    found.names = parser.names
    if parser.terms > MAX_TERMS:
        text = "The restriction or sort order is too complex for this operation."
        raise ApiError(400, "ErrorRestrictionTooComplex", text, is_misuse=True)
    if parser.terms == 1 and len(parser.equals) == 1:
        found.message_id = parser.equals.get("internetMessageId")
    return found


def check_order(condition: Filter | None, order: list[tuple[str, bool]]) -> None:
    """Raise ApiError (400) unless what is ordered by is filtered by too, first and in the same order."""
    if condition is None or not order:
        return
    filtered = list(dict.fromkeys(condition.names))
    if filtered[: len(order)] != [name for name, _ in order]:
        text = "The restriction or sort order is too complex for this operation."
        raise ApiError(400, "InefficientFilter", text, is_misuse=True)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if match is None:
            raise bad_query(f"There is an unterminated literal at position {position} in '{text}'.")
        tokens.append(match[1])
        position = match.end()
    return tokens


class _Parser:
    def __init__(self, tokens: list[str], checker: Checker) -> None:
        self.tokens = tokens
        self.names: list[str] = []
        self.equals: dict[str, str] = {}
        self.terms = 0
        self._checker = checker

    def either(self) -> Test:
        tests = [self._both()]
        while self._taken("or"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else lambda view, message: any(test(view, message) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._taken("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda view, message: all(test(view, message) for test in tests)

    def _one(self) -> Test:
        if self._taken("not"):
            test = self._one()
            return lambda view, message: not test(view, message)
        if self._taken("("):
            test = self.either()
            self._expect(")")
            return test
        self.terms += 1
        word = self._next()
        if word in _FUNCTIONS:
            return self._function(_FUNCTIONS[word])
        if word == "categories/any":
            return self._category()
        if word.lower() == "singlevalueextendedproperties/any":
            return self._extended()
        return self._comparison(word)

    def _comparison(self, name: str) -> Test:
        self._known(name)
        operator = self._next()
        if operator not in _COMPARE:
            raise bad_query(f"Syntax error: '{operator}' is no operator.")
        value = self._value(name, self._next_value())
        compare = _COMPARE[operator]
        if operator == "eq" and isinstance(value, str):
            self.equals[name] = value
        return lambda view, message: compare(_read(view, message, name), value)

    def _function(self, function: Callable[[str, str], bool]) -> Test:
        self._expect("(")
        name = self._next()
        self._known(name)
        self._expect(",")
        part = _literal(self._next())
        self._expect(")")
        return lambda view, message: function(str(_read(view, message, name) or ""), part)

    def _category(self) -> Test:
        self._expect("(")
        variable = self._next()
        self._expect(":")
        self._expect(variable)
        self._expect("eq")
        wanted = _literal(self._next())
        self._expect(")")
        return lambda _, message: wanted in message.categories

    def _extended(self) -> Test:
        self._expect("(")
        variable = self._next()
        self._expect(":")
        self._expect(f"{variable}/id")
        self._expect("eq")
        name = mapi.canonical(_literal(self._next()))
        self._expect("and")
        subject = self._next()
        if subject == "contains":
            self._expect("(")
            self._expect(f"{variable}/value")
            self._expect(",")
            part = _literal(self._next())
            self._expect(")")
            self._expect(")")
            return lambda _, message: part.lower() in (extended(message, name) or "").lower()
        if subject == "cast":
            self._cast(variable)
        elif subject != f"{variable}/value":
            raise bad_query(f"Syntax error at '{subject}'.")
        compare = _COMPARE.get(self._next())
        if compare is None:
            raise bad_query("Syntax error: there is no such operator.")
        word = self._next_value()
        wanted = _literal(word) if word.startswith("'") else word
        self._expect(")")
        return lambda _, message: compare(extended(message, name), wanted)

    def _cast(self, variable: str) -> None:
        for token in ("(", f"{variable}/value", ","):
            self._expect(token)
        if not self._next().startswith("Edm."):
            raise bad_query("A value is cast to a type of Edm.")
        self._expect(")")

    def _known(self, name: str) -> None:
        if self._checker.property("Message", name) is None:
            raise bad_query(f"Could not find a property named '{name}' on type 'microsoft.graph.message'.")
        self.names.append(name)

    def _value(self, name: str, word: str) -> object:
        known = self._checker.property("Message", name)
        assert known is not None
        if word == "null":
            return None
        if known.name == "boolean" and word in {"true", "false"}:
            return word == "true"
        if name.endswith("DateTime") and TIME.fullmatch(word):
            return iso(to_ms(datetime.fromisoformat(word)))
        if known.name not in {"boolean", "number"} and not name.endswith("DateTime") and word.startswith("'"):
            value = _literal(word)
            allowed = self._checker.typings.enum(known.name) if known.name != "string" else None
            if allowed is None or value in allowed:
                return value
        raise bad_query(f"A binary operator with incompatible types was detected: {name}, {word}.")

    def _next_value(self) -> str:
        # A time has colons, which are tokens of their own elsewhere.
        word = self._next()
        while self.tokens[:1] == [":"] and re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]*", word):
            word += self._next() + self._next()
        return word

    def _next(self) -> str:
        if not self.tokens:
            raise bad_query("Syntax error: the filter ends too early.")
        return self.tokens.pop(0)

    def _taken(self, word: str) -> bool:
        if self.tokens[:1] == [word]:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, word: str) -> None:
        found = self._next()
        if found != word:
            raise bad_query(f"Syntax error: '{word}' is expected, not '{found}'.")


def _literal(word: str) -> str:
    if len(word) < 2 or not word.startswith("'") or not word.endswith("'"):
        raise bad_query(f"'{word}' is not a text in quotes.")
    return word[1:-1].replace("''", "'")


def _read(view: View, message: Message, path: str) -> Any:
    name, *steps = path.split("/")
    found = GETTERS[name](view, message)
    for step in steps:
        found = found.get(step) if isinstance(found, dict) else None
    return found
