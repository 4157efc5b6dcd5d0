"""Mailbox names between the server's form, the contract's refs and its paths.

A ref is the server's name decoded to Unicode, with the server's delimiter in it. Names that cannot be decoded and
encoded back to the same octets (raw 8-bit, wrong modified UTF-7) have a ref that holds the octets themselves, so that
they can still be opened.
"""

from __future__ import annotations

from dataclasses import dataclass

from connectors.api.errors import Unsupported
from connectors.api.types import MailboxRef
from gateway.wire import mailbox_name, mutf7

INBOX = MailboxRef("INBOX")

# U+FFFF is no character, so no decoded name begins with it.
_RAW = "\uffff"


def ref_from_wire(data: bytes) -> MailboxRef:
    """Return the ref of a name as the server sent it, quotes undone."""
    if data.lower() == b"inbox":
        return INBOX
    try:
        name = mutf7.decode(data)
    except ValueError:
        name = _RAW
    if name.startswith(_RAW):
        return MailboxRef(_RAW + data.decode("latin-1"))
    return MailboxRef(name)


def ref_to_wire(ref: MailboxRef) -> bytes:
    """Return the name to send for a ref, not quoted yet."""
    if ref.startswith(_RAW):
        return ref[1:].encode("latin-1", "replace")
    return mutf7.encode(ref)


def readable(ref: MailboxRef) -> str:
    """Return the name to show for a ref."""
    if not ref.startswith(_RAW):
        return ref
    data = ref[1:].encode("latin-1", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Naming:
    """How the server builds names: its personal namespace's prefix and its delimiter (RFC 2342).

    A prefix such as `INBOX.` is kept out of paths, so that a mailbox has the same path at every server. `delimiter` is
    None where names are flat.
    """

    prefix: str = ""
    delimiter: str | None = "/"

    @classmethod
    def of(cls, prefix: str, delimiter: str | None) -> Naming:
        """Return it by what NAMESPACE tells: some leave out the delimiter that a prefix ends with (RFC 2342)."""
        if prefix and delimiter and not prefix.endswith(delimiter):
            prefix += delimiter
        return cls(prefix, delimiter)

    def path(self, ref: MailboxRef, delimiter: str | None) -> tuple[str, ...]:
        """Return the path of a mailbox listed with `delimiter`."""
        if ref == INBOX:
            return ("INBOX",)
        full = self.full_path(ref, delimiter)
        name = readable(ref)
        if not self.prefix or not name.startswith(self.prefix) or len(name) == len(self.prefix):
            return full
        inner = _split(name[len(self.prefix) :], delimiter)
        # A child of INBOX that is called INBOX must not hide the real one.
        return full if mailbox_name.fold_inbox(inner[0]) == "INBOX" else inner

    def full_path(self, ref: MailboxRef, delimiter: str | None) -> tuple[str, ...]:
        """Return the path of a mailbox with the prefix as part of it."""
        path = _split(readable(ref), delimiter)
        return (mailbox_name.fold_inbox(path[0]), *path[1:])

    def ref(self, path: tuple[str, ...]) -> MailboxRef:
        """Return the ref of the mailbox to be created at `path`.

        Raises:
            Unsupported: the server cannot have such a name.
        """
        if path == ("INBOX",):
            return INBOX
        if not path or not all(path):
            raise Unsupported("a mailbox name with an empty level", client_text="A name must not be empty.")
        name = self._join(path)
        if any(character < " " or character == "\x7f" or "\ud800" <= character <= "\udfff" for character in name):
            raise Unsupported(
                "a mailbox name with control characters", client_text="The name holds a character that cannot be."
            )
        ref = MailboxRef(self.prefix + name)
        if self.path(ref, self.delimiter) != path:
            raise Unsupported(
                f"the server cannot have the mailbox name {name!r}",
                client_text="The mail backend cannot have a mailbox of this name.",
            )
        return ref

    def _join(self, path: tuple[str, ...]) -> str:
        if self.delimiter is None and len(path) > 1:
            raise Unsupported(
                "the server has no levels of mailboxes", client_text="The mail backend has no levels of mailboxes."
            )
        return (self.delimiter or "").join(path)


def _split(name: str, delimiter: str | None) -> tuple[str, ...]:
    # Empty levels, as in a leading or doubled delimiter, are kept: they are part of the name.
    return tuple(name.split(delimiter)) if delimiter else (name,)
