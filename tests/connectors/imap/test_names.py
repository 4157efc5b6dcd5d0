"""Names between the wire, refs and paths."""

from __future__ import annotations

import pytest

from connectors.api.errors import Unsupported
from connectors.api.types import MailboxRef
from connectors.imap.names import INBOX, Naming, readable, ref_from_wire, ref_to_wire

PLAIN = Naming("", "/")
BELOW_INBOX = Naming("INBOX.", ".")


@pytest.mark.parametrize(
    ("wire", "ref"),
    [(b"INBOX", "INBOX"), (b"inbox", "INBOX"), (b"Gr&APwA3w-e", "Grüße"), (b"R&-D", "R&D"), (b"a/b", "a/b")],
)
def test_a_ref_is_the_decoded_name(wire: bytes, ref: str) -> None:
    assert ref_from_wire(wire) == ref
    assert ref_from_wire(ref_to_wire(MailboxRef(ref))) == ref


@pytest.mark.parametrize("wire", [b"R&D", "Größe".encode(), b"\xff\xfe", b"&AGEA-", b"&//8-x"])
def test_a_name_that_cannot_be_decoded_can_still_be_opened(wire: bytes) -> None:
    ref = ref_from_wire(wire)
    assert ref_to_wire(ref) == wire
    assert readable(ref)
    assert readable(ref_from_wire("Größe".encode())) == "Größe"


def test_malformed_and_wellformed_spellings_are_two_mailboxes() -> None:
    assert ref_from_wire("Größe".encode()) != ref_from_wire(b"Gr&APYA3w-e")


@pytest.mark.parametrize(
    ("naming", "name", "path"),
    [
        (PLAIN, "INBOX", ("INBOX",)),
        (PLAIN, "Work/May", ("Work", "May")),
        (PLAIN, "inbox/May", ("INBOX", "May")),
        (PLAIN, "a.b", ("a.b",)),
        (BELOW_INBOX, "INBOX", ("INBOX",)),
        (BELOW_INBOX, "INBOX.Sent", ("Sent",)),
        (BELOW_INBOX, "INBOX.Work.May", ("Work", "May")),
        (BELOW_INBOX, "shared.x", ("shared", "x")),
        (BELOW_INBOX, "INBOX.INBOX", ("INBOX", "INBOX")),
    ],
)
def test_a_path_leaves_out_the_personal_prefix(naming: Naming, name: str, path: tuple[str, ...]) -> None:
    assert naming.path(MailboxRef(name), naming.delimiter) == path


@pytest.mark.parametrize("naming", [PLAIN, BELOW_INBOX, Naming("", None), Naming("~/Mail/", "/")])
@pytest.mark.parametrize("path", [("Sent",), ("Größe & Co",), ("Work", "May"), ("INBOX",)])
def test_a_created_name_has_the_path_that_was_asked(naming: Naming, path: tuple[str, ...]) -> None:
    if naming.delimiter is None and len(path) > 1:
        with pytest.raises(Unsupported):
            naming.ref(path)
    else:
        assert naming.path(naming.ref(path), naming.delimiter) == path


@pytest.mark.parametrize(
    ("naming", "path"),
    [
        (PLAIN, ()),
        (PLAIN, ("",)),
        (PLAIN, ("a", "")),
        (PLAIN, ("a/b",)),
        (PLAIN, ("a\r\nb",)),
        (PLAIN, ("a\0",)),
        (PLAIN, ("\ud800",)),
        (BELOW_INBOX, ("a.b",)),
        (BELOW_INBOX, ("INBOX", "a")),
        (Naming("", None), ("a", "b")),
    ],
)
def test_a_name_that_the_server_cannot_have_is_refused(naming: Naming, path: tuple[str, ...]) -> None:
    with pytest.raises(Unsupported):
        naming.ref(path)


def test_inbox_in_any_case_is_one_ref() -> None:
    assert ref_from_wire(b"InBoX") == INBOX
