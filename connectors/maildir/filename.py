"""Names of message files: what the base name tells of size and order, what the letters after `:2,` tell of flags.

Source: https://cr.yp.to/proto/maildir.html; `,S=` and `,W=` as Dovecot and Courier write them, `,U=` as mbsync does.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from connectors.api.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, MessageRef

FORWARDED = "$Forwarded"
LETTERS: Mapping[str, str] = {"D": DRAFT, "F": FLAGGED, "P": FORWARDED, "R": ANSWERED, "S": SEEN, "T": DELETED}
LETTER_OF: Mapping[str, str] = {flag: letter for letter, flag in LETTERS.items()}

_UID = re.compile(r",U=[0-9]+(?=,|\Z)")
_DELIVERY = re.compile(r"(\d{1,12})\.(?:[^,]*?M(\d{1,9}))?")


@dataclass(frozen=True, slots=True)
class FileName:
    """A message's file name. `base` is the same for ever; `letters` are its flags, sorted; `rest` is not ours."""

    base: str
    letters: str = ""
    rest: str = ""

    def __str__(self) -> str:
        return f"{self.base}:2,{self.letters}{self.rest}"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes in octets as the base name has them: on disk, and with CRLF line ends.

    `is_verbatim` says that the message was stored by this connector with bare LF in it, and is served as stored.
    """

    stored: int | None = None
    crlf: int | None = None
    is_verbatim: bool = False

    @property
    def served(self) -> int | None:
        return self.stored if self.is_verbatim else self.crlf

    def says_crlf(self, octets: int) -> bool:
        """Tell whether a file of that many octets can be served as it is on disk."""
        return self.stored == octets and (self.is_verbatim or self.crlf == octets)


def parse(name: str) -> FileName:
    """Take a file name apart; one without flags, as in new/, has none."""
    base, _, info = name.partition(":")
    if not info.startswith("2,"):
        return FileName(base)
    letters, comma, rest = info[2:].partition(",")
    return FileName(base, letters, comma + rest)


def sizes(base: str) -> Sizes:
    """Return what the base name says of the size."""
    found: dict[str, int] = {}
    is_verbatim = False
    for field in base.split(",")[1:]:
        key, _, value = field.partition("=")
        if key in ("S", "W") and value.isascii() and value.isdecimal():
            found[key] = int(value)
        elif field == "V":
            is_verbatim = True
    return Sizes(found.get("S"), found.get("W"), is_verbatim and "S" in found)


def base_with_sizes(unique: str, stored: int, crlf: int) -> str:
    """Return a base name that tells the sizes. `V` marks what must not be converted; others ignore it."""
    return f"{unique},S={stored},W={crlf}" + (",V" if crlf != stored else "")


def order(name: str, mtime_ns: int) -> tuple[int, int, str]:
    """Return the key by which messages are in the order of their delivery."""
    match = _DELIVERY.match(name)
    if match is None:
        return mtime_ns // 1_000_000_000, mtime_ns // 1000 % 1_000_000, name
    return int(match[1]), int(match[2] or 0), name


def without_uid(base: str) -> str:
    """Return a base name without the UID of the folder that mbsync puts into it at its first look at a message."""
    return _UID.sub("", base) if ",U=" in base else base


def message_ref(base: str) -> MessageRef:
    """Return the ref of the message with that base name; octets that are not UTF-8 are spelled in hexadecimal.

    The UID that mbsync adds is no part of it: the message stays the same.
    """
    base = without_uid(base)
    try:
        base.encode("utf-8")
    except UnicodeEncodeError:
        return MessageRef(f"hex:{os.fsencode(base).hex()}")
    return MessageRef(base)


class UniqueNames:
    """Makes base names no other delivery has. Their order is the order in which they were made."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last_us = 0
        self._host = socket.gethostname().replace("/", "\\057").replace(":", "\\072").replace(",", "\\054")

    def next(self) -> str:
        with self._lock:
            self._last_us = max(self._last_us + 1, int(self._clock() * 1_000_000))
            seconds, microseconds = divmod(self._last_us, 1_000_000)
        return f"{seconds}.M{microseconds:06d}P{os.getpid()}R{os.urandom(4).hex()}.{self._host}"
