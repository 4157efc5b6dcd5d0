"""The lexer: a position in a command's text, and the terminals of RFC 9051 section 9 read at it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gateway.wire import mailbox_name
from gateway.wire.codes import Code, Status
from gateway.wire.gmail import Label, read_label
from gateway.wire.limits import Limits
from gateway.wire.sequence_set import SequenceSet, SequenceSetError

T = TypeVar("T")

_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+")
# Laxer than RFC 3501 section 9: 8-bit octets pass in bare astrings too, for names sent by scripts as plain UTF-8.
_ASTRING = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~\x80-\xff]+")
_LIST_MAILBOX = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~%*\x80-\xff]+")
# Laxer than RFC 3501 section 9 `QUOTED-CHAR`: 8-bit passwords and search words come in quotes from many clients.
_QUOTED = re.compile(rb'"([^"\\\r\n\x00]*(?:\\["\\][^"\\\r\n\x00]*)*)"')
_ESCAPE = re.compile(rb'\\(["\\])')
_DIGITS = re.compile(rb"[0-9]+")
_SEQUENCE = re.compile(rb"\$|[0-9*:,]+")
_OBJECT_ID = re.compile(rb"[A-Za-z0-9_\-]{1,255}")
_UNPRINTABLE = frozenset({"Cc", "Zl", "Zp"})
_SHOWN = re.compile(rb"[^ ()]{1,20}")

MAX_NUMBER = 0xFFFF_FFFF
MAX_NUMBER64 = (1 << 63) - 1


class SyntaxFault(Exception):
    """The command is not grammatical or cannot be taken; becomes a `BadCommand`."""

    def __init__(
        self, text: str, *, status: Status = Status.BAD, code: Code | None = None, arguments: bytes = b""
    ) -> None:
        super().__init__(text)
        self.text = text
        self.arguments = arguments
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class InlineLiteral:
    """A literal kept in memory; `is_binary` if it was announced as `~{n}` (RFC 3516 section 4.2, `literal8`)."""

    data: bytes
    is_binary: bool = False


@dataclass(frozen=True, slots=True)
class MessageLiteral:
    """Stands for an APPEND's message, which is in the reader's spool. Has the shape of `commands.Literal`."""

    size: int
    is_binary: bool = False


AnyLiteral = InlineLiteral | MessageLiteral


class Cursor:
    """A reading position in one command.

    `texts` are the stretches of text around the literals, announcements and line ends taken off: always one more than
    `literals`. Every method that reads raises `SyntaxFault` where the text does not fit, and has then moved nothing
    that matters, for parsing ends.
    """

    __slots__ = (
        "_arguments",
        "_data",
        "_depth",
        "_index",
        "_literals",
        "_position",
        "_texts",
        "is_saving",
        "is_secret",
        "limits",
        "utf8",
    )

    def __init__(
        self,
        texts: Sequence[bytes],
        literals: Sequence[AnyLiteral] = (),
        *,
        limits: Limits | None = None,
        utf8: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.utf8 = utf8
        self.is_saving = False  # what a search finds is to be saved (RFC 5182)
        self.is_secret = False  # errors must not repeat the text
        self._texts = texts
        self._literals = literals
        self._index = 0
        self._data = texts[0]
        self._position = 0
        self._arguments = 0
        self._depth = 0

    # -- moving -------------------------------------------------------------------------------------------------------

    def is_at_end(self) -> bool:
        """Tell whether nothing is left."""
        return self._position >= len(self._data) and self._index >= len(self._literals)

    def is_at_literal(self) -> bool:
        """Tell whether a literal comes next."""
        return self._position >= len(self._data) and self._index < len(self._literals)

    def peek(self) -> bytes:
        """Return the next octet of text; empty at the end of the command and in front of a literal."""
        return self._data[self._position : self._position + 1]

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Read what the pattern matches here, if it does."""
        match = pattern.match(self._data, self._position)
        if match is not None:
            self._position = match.end()
        return match

    def accept(self, token: bytes) -> bool:
        """Read `token` if it comes next."""
        if self._data.startswith(token, self._position):
            self._position += len(token)
            return True
        return False

    def accept_word(self, word: bytes) -> bool:
        """Read `word`, given in upper case, if it comes next in any case and ends there."""
        end = self._position + len(word)
        if self._data[self._position : end].upper() != word or _ASTRING.match(self._data, end):
            return False
        self._position = end
        return True

    def expect(self, token: bytes) -> None:
        """Read `token`."""
        if not self.accept(token):
            raise self.fault(f"{token.decode('ascii')!r} expected")

    def space(self) -> None:
        """Read SP. Laxer than RFC 9051 section 9: several count as one, as hand-written clients send them."""
        if not self.accept(b" "):
            raise self.fault("Space expected")
        while self.accept(b" "):
            pass

    def accept_space(self) -> bool:
        """Read SP if it comes next and is not merely what trails the command."""
        if self.peek() != b" ":
            return False
        self.space()
        return not self.is_at_end()

    def finish(self) -> None:
        """Check that the command ends here. Laxer than RFC 9051 section 9: trailing spaces are no error."""
        while self.accept(b" "):
            pass
        if not self.is_at_end():
            raise self.fault("Unexpected text after the command")

    def fault(self, text: str) -> SyntaxFault:
        """Return an error that names the place."""
        if self.is_secret:
            return SyntaxFault(text)
        if self.is_at_literal():
            return SyntaxFault(f"{text} before the literal")
        shown = _SHOWN.match(self._data, self._position)
        if shown is not None:
            return SyntaxFault(f"{text} at {shown[0].decode('ascii', 'backslashreplace')!r}")
        return SyntaxFault(f"{text} at {self.peek().decode('ascii')!r}" if self.peek() else f"{text} at the end")

    # -- limits -------------------------------------------------------------------------------------------------------

    def count(self) -> None:
        """Count one more member of a list."""
        self._arguments += 1
        if self._arguments > self.limits.arguments:
            raise SyntaxFault("Too many arguments", status=Status.NO, code=Code.LIMIT)

    def enter(self) -> None:
        """Count one level of nesting; `leave` ends it."""
        self._depth += 1
        if self._depth > self.limits.nesting:
            raise SyntaxFault("Nested too deeply", status=Status.NO, code=Code.LIMIT)

    def leave(self) -> None:
        self._depth -= 1

    # -- terminals ----------------------------------------------------------------------------------------------------

    def atom(self) -> bytes:
        """Read `atom`."""
        match = self.match(_ATOM)
        if match is None:
            raise self.fault("Atom expected")
        return match[0]

    def word(self) -> bytes:
        """Read `atom` as a keyword of the protocol: in upper case."""
        return self.atom().upper()

    def astring(self) -> bytes:
        """Read `astring`."""
        match = self.match(_ASTRING)
        return match[0] if match is not None else self.string()

    def list_mailbox(self) -> bytes:
        """Read `list-mailbox`: a pattern, bare wildcards allowed."""
        match = self.match(_LIST_MAILBOX)
        return match[0] if match is not None else self.string()

    def string(self) -> bytes:
        """Read `string`."""
        if self.is_at_literal():
            return self._inline_literal()
        match = self.match(_QUOTED)
        if match is None:
            raise self.fault("String expected")
        text = match[1]
        return _ESCAPE.sub(rb"\1", text) if b"\\" in text else text

    def nstring(self) -> bytes | None:
        """Read `nstring`."""
        return None if self.accept_word(b"NIL") else self.string()

    def nstring8(self) -> bytes | None:
        """Read `nstring / literal8` (RFC 5464 section 5)."""
        if self.is_at_literal():
            literal = self._literals[self._index]
            if isinstance(literal, InlineLiteral) and literal.is_binary:
                self._next_text()
                return literal.data
        return self.nstring()

    def number(self, *, largest: int = MAX_NUMBER, smallest: int = 0) -> int:
        """Read `number`, `nz-number` or `number64`, as the bounds say."""
        match = self.match(_DIGITS)
        if match is None:
            raise self.fault("Number expected")
        # Twenty digits hold any 64-bit number; leading zeros are no reason for more.
        value = int(match[0]) if len(match[0]) <= 20 else largest + 1
        if not smallest <= value <= largest:
            raise SyntaxFault(f"Number out of range {smallest} to {largest}")
        return value

    def mod_sequence(self, *, smallest: int = 1) -> int:
        """Read `mod-sequence-value` (RFC 7162 section 7)."""
        return self.number(largest=MAX_NUMBER64, smallest=smallest)

    def object_id(self) -> str:
        """Read `objectid` (RFC 8474 section 7). Laxer: it may be quoted, as clients send any text they search for."""
        data = self.astring()
        if not _OBJECT_ID.fullmatch(data):
            raise SyntaxFault("Not an object identifier")
        return data.decode("ascii")

    def label(self) -> Label:
        """Read a label: an `astring`, or a system label bare, as Gmail's documentation writes it."""
        data = b"\\" + self.atom() if self.accept(b"\\") else self.astring()
        try:
            return read_label(data, utf8=self.utf8)
        except ValueError as error:
            raise SyntaxFault(f"Not a label: {error}", status=Status.NO, code=Code.CANNOT) from None

    def sequence_set(self) -> SequenceSet:
        """Read `sequence-set`, or `$` (RFC 5182)."""
        match = self.match(_SEQUENCE)
        if match is None:
            raise self.fault("Sequence set expected")
        try:
            return SequenceSet.parse(match[0])
        except SequenceSetError:
            raise SyntaxFault("Not a sequence set") from None

    def mailbox(self) -> str:
        """Read `mailbox` and decode it.

        A trailing separator is taken off: CREATE may have one (RFC 9051 section 6.3.4), and Thunderbird sends one
        elsewhere (Dovecot's workaround `tb-extra-mailbox-sep`).
        """
        name = self._decode_name(self.astring())
        return name[:-1] if name.endswith("/") and len(name) > 1 else name

    def new_mailbox(self) -> str:
        """Read `mailbox` as the name of one to be made; control characters are refused (RFC 9051 section 5.1).

        A name in UTF-8 must be Net-Unicode (RFC 9051 section 6.3.4, RFC 5198 section 2). Modified UTF-7, which names of
        other spellings are known by, may hold any.
        """
        name = self.mailbox()
        if self.utf8 and not _is_net_unicode(name):
            raise SyntaxFault("Mailbox name is not Net-Unicode", status=Status.NO, code=Code.CANNOT)
        if any(character < " " or character == "\x7f" for character in name):
            raise SyntaxFault("Control character in a mailbox name", status=Status.NO, code=Code.CANNOT)
        return name

    def mailbox_pattern(self) -> str:
        """Read `list-mailbox` and decode it."""
        return self._decode_name(self.list_mailbox())

    def mailbox_reference(self) -> str:
        """Read LIST's reference, a `mailbox` whose trailing separator means something."""
        return self._decode_name(self.astring())

    def message_literal(self) -> MessageLiteral:
        """Read the place of an APPEND's message."""
        if self.is_at_literal():
            literal = self._literals[self._index]
            if isinstance(literal, MessageLiteral):
                self._next_text()
                return literal
        raise self.fault("Message literal expected")

    def in_parentheses(self, read: Callable[[], T], *, is_empty_allowed: bool = False) -> list[T]:
        """Read `"(" member *(SP member) ")"`, each counted. Spaces next to the parentheses are tolerated."""
        self.expect(b"(")
        members: list[T] = []
        while True:
            while self.accept(b" "):
                pass
            if self.accept(b")"):
                break
            self.count()
            members.append(read())
            if self.peek() not in (b" ", b")"):
                raise self.fault("Space or ) expected")
        if not members and not is_empty_allowed:
            raise SyntaxFault("Empty list")
        return members

    def _inline_literal(self) -> bytes:
        literal = self._literals[self._index]
        if isinstance(literal, MessageLiteral):
            raise SyntaxFault("A message literal is not allowed here")
        if literal.is_binary:
            raise SyntaxFault("A binary literal is not allowed here")
        if b"\0" in literal.data:
            raise SyntaxFault("NUL in a literal")
        self._next_text()
        return literal.data

    def _next_text(self) -> None:
        self._index += 1
        self._data = self._texts[self._index]
        self._position = 0

    def _decode_name(self, data: bytes) -> str:
        try:
            name = mailbox_name.from_wire(data, self.utf8)
        except ValueError:
            encoding = "UTF-8" if self.utf8 else "modified UTF-7"
            raise SyntaxFault(f"Mailbox name is not {encoding}", status=Status.NO, code=Code.CANNOT) from None
        return mailbox_name.fold_first_level(name)


def _is_net_unicode(name: str) -> bool:
    return unicodedata.is_normalized("NFC", name) and not any(
        unicodedata.category(character) in _UNPRINTABLE for character in name
    )
