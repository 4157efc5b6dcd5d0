"""Ids as Graph makes them: long, case-sensitive, in the URL alphabet of base64, and of two forms for a message.

The immutable id of a message stays; the classic one names the folder as well and changes with each move. A folder has
one id. What an id stands for is read out of it, so that none has to be kept.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Final

_IMMUTABLE: Final = "AAkALgAAAAAAHYQDEapmEc2byACqAC-EWg0A"
_CLASSIC: Final = "AAMkADhkNzQ3YWMxLTY0"
_ATTACHMENT: Final = "EgAQAH"
# Odd, hence invertible modulo 2**64: neighbouring numbers get ids that look nothing alike.
_MIX: Final = 0x9E3779B97F4A7C15
_UNMIX: Final = pow(_MIX, -1, 2**64)
_MASK: Final = 2**64 - 1


@dataclass(frozen=True, slots=True)
class MessageId:
    """What the id of a message says. `folder` and `moves` are None in an immutable id."""

    number: int
    folder: int | None = None
    moves: int | None = None


class Ids:
    """Makes and reads the ids of one mailbox."""

    def __init__(self, mailbox: str) -> None:
        self._salt = hashlib.blake2b(mailbox.encode(), digest_size=64).digest()

    def message(self, number: int) -> str:
        """Return the immutable id, of 72 characters."""
        return _IMMUTABLE + _text(self._salt[:19] + _mixed(number))

    def classic(self, number: int, folder: int, moves: int) -> str:
        """Return the id that changes with each move, of 152 characters; it ends in `=`."""
        data = self._salt + bytes(10) + _mixed(folder) + _mixed((number << 12) + (moves & 0xFFF)) + _mixed(number)
        return _CLASSIC + _text(data + b"\0\0")[:131] + "="

    def folder(self, number: int) -> str:
        """Return the id of a folder, of 120 characters; it ends in `=`."""
        return _CLASSIC + _text(self._salt + _mixed(number) + b"\0\0")[:99] + "="

    def attachment(self, number: int, place: int) -> str:
        """Return the id of an attachment."""
        return _CLASSIC + _ATTACHMENT + _text(self._salt[:5] + _mixed(number) + _mixed(place))

    def read_message(self, text: str) -> MessageId | None:
        """Return what a message's id says; None for what is not one of this mailbox."""
        if text.startswith(_IMMUTABLE):
            data = _octets(text.removeprefix(_IMMUTABLE))
            if data is None or len(data) != 27 or data[:19] != self._salt[:19]:
                return None
            return MessageId(_unmixed(data[19:]))
        data = _octets(text.removeprefix(_CLASSIC).removesuffix("=") + "A") if len(text) == 152 else None
        if data is None or not text.startswith(_CLASSIC) or data[:64] != self._salt:
            return None
        packed, number = _unmixed(data[82:90]), _unmixed(data[90:98])
        return MessageId(number, _unmixed(data[74:82]), packed & 0xFFF)

    def read_folder(self, text: str) -> int | None:
        """Return the number of a folder; None for what is not the id of one."""
        data = _octets(text.removeprefix(_CLASSIC).removesuffix("=") + "A") if len(text) == 120 else None
        if data is None or not text.startswith(_CLASSIC) or data[:64] != self._salt:
            return None
        return _unmixed(data[64:72])

    def read_attachment(self, text: str) -> tuple[int, int] | None:
        """Return the message's number and the attachment's place; None for what is not an attachment's id."""
        prefix = _CLASSIC + _ATTACHMENT
        data = _octets(text.removeprefix(prefix)) if text.startswith(prefix) else None
        if data is None or len(data) != 21:
            return None
        return _unmixed(data[5:13]), _unmixed(data[13:])


def _mixed(number: int) -> bytes:
    return (number * _MIX & _MASK).to_bytes(8, "big")


def _unmixed(data: bytes) -> int:
    return int.from_bytes(data, "big") * _UNMIX & _MASK


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _octets(text: str) -> bytes | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
