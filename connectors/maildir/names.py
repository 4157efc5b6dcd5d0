"""Names of folders on disk: Maildir++ and Dovecot's LAYOUT=fs, in modified UTF-7.

A character that the layout cannot hold in a name is written as a backslash and two hexadecimal digits, which is what
Dovecot's listescape plugin reads and writes; so every name goes to disk and comes back.
Source: Maildir++ specification; RFC 3501 section 5.1.3 for modified UTF-7.
"""

from __future__ import annotations

import binascii
import enum
import os
import re

from connectors.api.errors import Unsupported
from connectors.api.types import MailboxRef

Path = tuple[str, ...]

INBOX: Path = ("INBOX",)
INBOX_REF = MailboxRef("INBOX")
MAILDIR_PARTS = frozenset({"cur", "new", "tmp"})
ROLES_FILE = "imap-gateway-roles"
SUBSCRIPTIONS_FILE = "subscriptions"

_RESERVED = MAILDIR_PARTS | {SUBSCRIPTIONS_FILE, ROLES_FILE, "maildirfolder", "maildirsize", "sieve"}
_ESCAPE = re.compile(r"\\([0-9a-f]{2})")
_SHIFTED = re.compile(r"&([^-]*)-")
_NOT_DIRECT = re.compile(r"[^\x20-\x7e]+|&")


class Layout(enum.Enum):
    """How folders lie on disk, by the word used in the settings."""

    MAILDIRPP = "maildir++"
    FS = "fs"

    @property
    def separator(self) -> str:
        """What stands between the components of a name, on disk and in the subscriptions file."""
        return "." if self is Layout.MAILDIRPP else "/"

    def directory(self, path: Path) -> str:
        """Return the directory of a mailbox below the root, "" for INBOX.

        Raises:
            Unsupported: no mailbox can have that name.
        """
        if path == INBOX:
            return ""
        if not path or not all(path):
            raise Unsupported(f"a mailbox name has an empty component: {path!r}")
        components = [self._escape(component) for component in path]
        text = encode_mutf7(self.separator.join(components))
        directory = f".{text}" if self is Layout.MAILDIRPP else text
        if any(len(name) > 255 for name in directory.split("/")):
            raise Unsupported(f"the name is too long for a directory: {path!r}")
        return directory

    def path(self, directory: str) -> Path | None:
        """Return the name of the mailbox in a directory below the root; None if it is no mailbox."""
        if directory == "":
            return INBOX
        text = directory
        if self is Layout.MAILDIRPP:
            if not directory.startswith(".") or "/" in directory:
                return None
            text = directory[1:]
        names = text.split(self.separator)
        if not all(names) or (self is Layout.FS and not all(map(self._may_be_mailbox, names))):
            return None
        path = tuple(_ESCAPE.sub(_unescape, decode_mutf7(printable(name))) for name in names)
        return None if path == INBOX else path

    def _escape(self, component: str) -> str:
        if any(character < " " or character == "\x7f" for character in component):
            raise Unsupported(f"a mailbox name has a control character: {component!r}")
        unsafe = r"[\\/.]" if self is Layout.MAILDIRPP else r"[\\/]|^[.~]"
        escaped = re.sub(unsafe, _as_escape, component)
        if self is Layout.FS and (escaped in _RESERVED or escaped.startswith("dovecot")):
            escaped = re.sub("^.", _as_escape, escaped)
        return escaped

    @staticmethod
    def _may_be_mailbox(name: str) -> bool:
        return name not in MAILDIR_PARTS and not name.startswith(".")


def encode_mutf7(text: str) -> str:
    """Return text in modified UTF-7 (RFC 3501 section 5.1.3)."""

    def shift(match: re.Match[str]) -> str:
        if match[0] == "&":
            return "&-"
        coded = binascii.b2a_base64(match[0].encode("utf-16-be", "surrogatepass"), newline=False)
        return f"&{coded.decode().rstrip('=').replace('/', ',')}-"

    return _NOT_DIRECT.sub(shift, text)


def decode_mutf7(name: str) -> str:
    """Return a name from disk as text; what is no modified UTF-7 stays as it is, so that every folder has a name."""
    try:
        return _SHIFTED.sub(_unshift, name)
    except ValueError:
        return name


def _unshift(match: re.Match[str]) -> str:
    coded = match[1].replace(",", "/")
    if not coded:
        return "&"
    padded = coded + "=" * (-len(coded) % 4)
    return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")


def _as_escape(match: re.Match[str]) -> str:
    return f"\\{ord(match[0]):02x}"


def _unescape(match: re.Match[str]) -> str:
    return chr(int(match[1], 16))


def printable(name: str) -> str:
    """Return a file name without the surrogates that stand for octets that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")
