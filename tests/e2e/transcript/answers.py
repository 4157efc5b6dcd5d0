r"""What a server answers, written in one form, so that two servers that mean the same write the same.

What is made equal, and why it may be:

* Quoted string, literal and atom are forms of one text (RFC 9051 section 4.3 and 9, `astring`).
* A tag and the text for people after a status or response code mean nothing (RFC 9051 sections 2.2.1 and 7.1); an
  untagged OK with nothing but such a text is left out.
* The items of a FETCH, STATUS, ESEARCH, METADATA or LIST response, flags, attributes and what SEARCH has found stand in
  no order (RFC 9051 sections 7.2, 7.3 and 7.5.2), nor do untagged responses, but for EXPUNGE, which renumbers messages
  (section 7.5.1). Of neighbouring EXPUNGEs the order is free, so they are told by the numbers from before them.
* A server may tell more of a message than it was asked for, such as its UID, and in several responses (RFC 9051
  sections 7 and 7.5.2).
* Which keywords FLAGS and PERMANENTFLAGS name beside `\*` is up to the server (RFC 9051 sections 7.1 and 7.3.5), and so
  is whether it knows which mailboxes are \Marked (section 7.3.1).
* Sets of numbers are written as ranges or not (RFC 9051 section 9, `sequence-set`).
* UIDVALIDITY, mod-sequences and object ids are any number and name (RFC 9051 section 2.3.1.1, RFC 7162 section 3.1,
  RFC 8474 section 4), and the clock decides dates that were not given.
* A moment may be told in any time zone (RFC 9051 section 9, `date-time`).
* Media types, encodings and parameters' names are matched without regard to case (RFC 2045 sections 5.1 and 6.1).
* Rights are a set (RFC 4314 section 2).
* \Recent and RECENT tell which of several sessions came first; "if it is not possible to determine", all may have it
  (RFC 3501 section 2.3.2).
* What a server calls itself, and which capabilities it lists, are its own (RFC 2971 section 3, RFC 9051 section 6.1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

Value: TypeAlias = "str | bytes | list[Value]"
"""An atom or number as text, the octets of a string, or a list."""

_STATUS = re.compile(rb"(\S+) (OK|NO|BAD|BYE|PREAUTH)(?: \[([^\]]*)\])?(?: .*)?$", re.IGNORECASE | re.DOTALL)
_TOKEN = re.compile(rb'([()])|"((?:[^"\\]|\\.)*)"|~?\{(\d+)\}\r\n|((?:[^ ()"\[{]|\[[^\]]*\])+)|( +)')
_BARE = re.compile(r'[^\s(){}%*"\\\[\]<>]+')
_SET = re.compile(r"[\d:,]+")
_DATE = "%d-%b-%Y %H:%M:%S %z"
_STRUCTURES = ("BODY", "BODYSTRUCTURE")
_LONG = 160
_NUMBERS = re.compile(r"\b(UIDVALIDITY|HIGHESTMODSEQ|MODSEQ|APPENDUID|COPYUID) (\(?)\d+")
_IDS = re.compile(r"\b(MAILBOXID|EMAILID|THREADID) \([^()]+\)")
_ACTIVITY = ("\\marked", "\\unmarked")
_OWN = ("CAPABILITY", "ID")


def canonical(responses: Iterable[bytes], command: str) -> list[str]:
    """Return what responses to a command say, each as one line of text.

    A response is its octets with the literals in them, and without the last CRLF.
    """
    said: list[str] = []
    group = _Group("UID" in command.upper())
    gone: list[int] = []
    for response in responses:
        expunged = re.fullmatch(rb"\* (\d+) EXPUNGE", response)
        if expunged:
            said += group.told()
            gone.append(_number_before(int(expunged[1]), gone))
            continue
        if gone:
            said.append(f"* EXPUNGE {_as_set(sorted(gone))}")
            gone = []
        group.add(response)
    said += group.told()
    return [masked(line) for line in [*said, *([f"* EXPUNGE {_as_set(sorted(gone))}"] if gone else []), *group.end]]


class _Group:
    """Responses that may come in any order, and the end of the command.

    `has_uids` tells whether the UID of messages was asked for.
    """

    def __init__(self, has_uids: bool) -> None:
        self.end: list[str] = []
        self._has_uids = has_uids
        self._lines: list[str] = []
        self._fetched: dict[str, dict[str, str]] = {}

    def add(self, response: bytes) -> None:
        line = _line(response)
        if isinstance(line, tuple):
            number, items = line
            self._fetched.setdefault(number, {}).update(items)
        elif line.startswith("tagged "):
            self.end = [line.removeprefix("tagged ")]
        elif line:
            self._lines.append(line)

    def told(self) -> list[str]:
        """Return what there was, as lines in an order, and forget it."""
        lines = self._lines
        for number, items in self._fetched.items():
            if not self._has_uids:
                items.pop("UID", None)
            lines.append(f"* {number} FETCH ({' '.join(f'{name} {items[name]}' for name in sorted(items))})")
        self._lines, self._fetched = [], {}
        return sorted(lines)


def masked(line: str) -> str:
    """Return a line without numbers and names that are a server's own."""
    line = _NUMBERS.sub(r"\1 \2<n>", line)
    return _IDS.sub(r"\1 (<id>)", line)


def captured(response: bytes) -> dict[str, str]:
    """Return what a later command may name of a response, by the name for that."""
    patterns = {
        "uidvalidity": rb"\[UIDVALIDITY (\d+)\]",
        "modseq": rb"\* OK \[HIGHESTMODSEQ (\d+)\]",
        "mailboxid": rb"\bMAILBOXID \(([^()]+)\)",
        "emailid": rb"\bEMAILID \(([^()]+)\)",
        "threadid": rb"\bTHREADID \(([^()]+)\)",
    }
    found = {name: re.search(pattern, response) for name, pattern in patterns.items()}
    return {name: match[1].decode() for name, match in found.items() if match}


def _number_before(number: int, gone: Sequence[int]) -> int:
    """Return which message a number meant before those in `gone` were taken out."""
    for each in sorted(gone):
        if each <= number:
            number += 1
    return number


def _line(response: bytes) -> str | tuple[str, dict[str, str]]:
    """Return a response as text, the empty text for one that says nothing; a FETCH by its number and items."""
    if response.startswith(b"+"):
        return "+"
    status = _STATUS.match(response)
    if status is not None:
        tag, kind, code = (part.decode("utf-8", "replace") if part else "" for part in status.groups())
        return _status(tag, kind, code)
    values = list(_values(response))
    match values:
        case ["*", str(number), str(kind)] if number.isdigit():
            return "" if kind.upper() == "RECENT" else f"* {number} {kind.upper()}"
        case ["*", str(number), str(kind), list(items)] if kind.upper() == "FETCH":
            return number, _fetched(items)
        case ["*", str(kind), *rest]:
            return _data(kind.upper(), rest)
        case _:
            return repr(response)


def _status(tag: str, kind: str, code: str) -> str:
    words = [kind.upper()]
    if code and not code.upper().startswith("CAPABILITY"):
        words.append(f"[{_code(code)}]")
    if tag != "*":
        return "tagged " + " ".join(words)
    return "" if words == ["OK"] else "* " + " ".join(words)


def _code(code: str) -> str:
    name, _, argument = code.partition(" ")
    name = name.upper()
    if name == "PERMANENTFLAGS":
        return f"{name} ({' '.join(_system(argument.strip('()').split()))})"
    if name in ("APPENDUID", "COPYUID", "MODIFIED"):
        return " ".join([name, *(_as_set(_numbers(word)) for word in argument.split())])
    return f"{name} {argument}".strip()


def _fetched(items: list[Value]) -> dict[str, str]:
    said = {}
    for name, value in zip(items[::2], items[1::2], strict=True):
        item = str(name).upper()
        if item == "FLAGS":
            assert isinstance(value, list)
            said[item] = f"({' '.join(_flags(map(_text, value)))})"
        elif item in ("INTERNALDATE", "SAVEDATE") and value != "NIL":
            said[item] = _moment(_text(value))
        elif item in _STRUCTURES:
            said[item] = _text(value).lower()
        else:
            said[item] = _text(value)
    return said


def _data(kind: str, values: list[Value]) -> str:
    """Return any other untagged response."""
    if kind in _OWN:
        return f"* {kind}"
    said = [_text(value) for value in values]
    match kind, values:
        case "FLAGS", [list(flags)]:
            said = [f"({' '.join(_system(map(_text, flags)))})"]
        case "LIST" | "LSUB" | "XLIST", [list(attributes), *rest]:
            known = sorted(attribute for attribute in map(_text, attributes) if attribute.lower() not in _ACTIVITY)
            said = [f"({' '.join(known)})", *map(_text, rest)]
        case "MYRIGHTS", [name, rights]:
            said = [_text(name), "".join(sorted(_text(rights)))]
        case "STATUS" | "METADATA", [name, list(items)]:
            said = [_text(name), f"({' '.join(_pairs(items))})"]
        case "SEARCH", _:
            said = sorted(said, key=lambda word: (not word.isdigit(), int(word) if word.isdigit() else 0))
        case "ENABLED", _:
            said = sorted(said)
        case "VANISHED", [*_, str(uids)]:
            said[-1] = _as_set(_numbers(uids))
        case "ESEARCH", _:
            said = _extended(values)
    return " ".join(["*", kind, *said])


def _extended(values: list[Value]) -> list[str]:
    """Return the parts of an ESEARCH response without its tag."""
    said = []
    rest = list(values)
    if rest and isinstance(rest[0], list):
        correlator = rest.pop(0)
        assert isinstance(correlator, list)
        others = [pair for pair in _pairs(correlator) if not pair.startswith("TAG ")]
        said.append(" ".join(["(TAG)", *others]))
    if rest and rest[0] == "UID":
        rest.pop(0)
        said.append("UID")
    pairs = []
    for name, value in zip(rest[::2], rest[1::2], strict=True):
        text = _text(value)
        pairs.append(f"{_text(name)} {_as_set(_numbers(text)) if _SET.fullmatch(text) and name != 'COUNT' else text}")
    return said + sorted(pairs)


def _pairs(items: list[Value]) -> list[str]:
    return sorted(f"{_text(name)} {_text(value)}" for name, value in zip(items[::2], items[1::2], strict=True))


def _flags(flags: Iterable[str]) -> list[str]:
    return sorted(flag for flag in flags if flag != "\\Recent")


def _system(flags: Iterable[str]) -> list[str]:
    return [flag for flag in _flags(flags) if flag.startswith("\\")]


def _moment(text: str) -> str:
    """Return a date and time in UTC, or that it was just now."""
    moment = datetime.strptime(text.strip('" '), _DATE)
    if abs(datetime.now(UTC) - moment) < timedelta(days=1):
        return "<now>"
    return f'"{moment.astimezone(UTC).strftime(_DATE)}"'


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition(":")
        low, high = sorted((int(first), int(last or first)))
        found.extend(range(low, high + 1))
    return found


def _as_set(numbers: Iterable[int]) -> str:
    """Return numbers, ascending where they were, as a set with as few ranges as can be."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in ranges)


def _text(value: Value) -> str:
    if isinstance(value, list):
        return f"({' '.join(map(_text, value))})"
    if isinstance(value, str):
        return value
    text = value.decode("utf-8", "backslashreplace")
    if _BARE.fullmatch(text) and text.upper() != "NIL":
        return text
    if len(text) > _LONG:
        text = f"{text[: _LONG // 2]} ... {len(value)} octets ... {text[-_LONG // 4 :]}"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", "\\r").replace("\n", "\\n") + '"'


def _values(response: bytes) -> Iterator[Value]:
    """Yield what a response is made of."""
    open_lists: list[list[Value]] = [[]]
    position = 0
    while position < len(response):
        token = _TOKEN.match(response, position)
        if token is None:
            raise AssertionError(f"no token at {position} of {response!r}")
        position = token.end()
        parenthesis, quoted, count, atom, _ = token.groups()
        if parenthesis == b"(":
            open_lists.append([])
        elif parenthesis:
            done = open_lists.pop()
            open_lists[-1].append(done)
        elif quoted is not None:
            open_lists[-1].append(re.sub(rb"\\(.)", rb"\1", quoted))
        elif count is not None:
            open_lists[-1].append(response[position : position + int(count)])
            position += int(count)
        elif atom is not None:
            open_lists[-1].append(atom.decode("utf-8", "replace"))
    yield from open_lists[0]
