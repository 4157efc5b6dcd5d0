from __future__ import annotations

import pytest

from gateway.wire.codes import Code, Status
from gateway.wire.commands import Command, Copy, Expunge, Store, StoreAction, StoreLabels
from gateway.wire.gmail import SystemLabel as L
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.wire.reading import parse, refusal

SET = SequenceSet.parse


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"STORE 2:4 +FLAGS (\\Deleted)", Store(SET(b"2:4"), False, StoreAction.ADD, ("\\Deleted",), False)),
        (b"store 1 flags ()", Store(SET(b"1"), False, StoreAction.REPLACE, (), False)),
        (
            b"UID STORE $ -flags.silent (\\SEEN $Junk \\flagged)",
            Store(SET(b"$"), True, StoreAction.REMOVE, ("\\Seen", "$Junk", "\\Flagged"), True),
        ),
        (b"STORE 1 FLAGS \\Seen", Store(SET(b"1"), False, StoreAction.REPLACE, ("\\Seen",), False)),
        (
            b"STORE 1 +FLAGS.SILENT \\Seen NonJunk",
            Store(SET(b"1"), False, StoreAction.ADD, ("\\Seen", "NonJunk"), True),
        ),
        (
            b"UID STORE 6,4,8 (UNCHANGEDSINCE 12121230045) +FLAGS.SILENT (\\Deleted)",  # RFC 7162 section 3.1.3
            Store(SET(b"6,4,8"), True, StoreAction.ADD, ("\\Deleted",), True, 12121230045),
        ),
        (
            b"STORE 12 (unchangedsince 0) FLAGS.SILENT (\\Draft)",
            Store(SET(b"12"), False, StoreAction.REPLACE, ("\\Draft",), True, 0),
        ),
        (
            b'UID STORE 1 +X-GM-LABELS (\\Inbox "\\\\Sent" foo "Muy Importante" &AOk- \\junk INBOX)',
            StoreLabels(
                SET(b"1"),
                True,
                StoreAction.ADD,
                (L.INBOX, L.SENT, "foo", "Muy Importante", "é", L.SPAM, L.INBOX),
                False,
            ),
        ),
        (b"STORE 1 x-gm-labels.silent ()", StoreLabels(SET(b"1"), False, StoreAction.REPLACE, (), True)),
        (b"STORE 1 -X-GM-LABELS a b", StoreLabels(SET(b"1"), False, StoreAction.REMOVE, ("a", "b"), False)),
        (
            b"STORE 1 (UNCHANGEDSINCE 5) X-GM-LABELS.SILENT ({3}\r\nfoo)",
            StoreLabels(SET(b"1"), False, StoreAction.REPLACE, ("foo",), True, 5),
        ),
        (b"COPY 2:4 MEETING", Copy(SET(b"2:4"), False, "MEETING", False)),
        (b"UID COPY 1:* inbox", Copy(SET(b"1:*"), True, "INBOX", False)),
        (b'MOVE 42:69 "foo bar"', Copy(SET(b"42:69"), False, "foo bar", True)),
        (b"UID MOVE $ {3}\r\nfoo", Copy(SET(b"$"), True, "foo", True)),
        (b"UID EXPUNGE 3000:3002", Expunge(SET(b"3000:3002"))),
    ],
)
def test_commands_on_messages(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"STORE",
        b"STORE 1",
        b"STORE 1 FLAGS",
        b"STORE 1 FOO (\\Seen)",
        b"STORE x FLAGS (\\Seen)",
        b"STORE 1 FLAGS (\\Seen",
        b"STORE 1 FLAGS (\\Recent)",
        b"STORE 1 FLAGS (\\*)",
        b"STORE 1 FLAGS (\\ Seen)",
        b'STORE 1 FLAGS ("x")',
        b"STORE 1 FLAGS (caf\xc3\xa9)",
        b"STORE 1 FLAGS (\\Seen) x",
        b"STORE 1 () FLAGS (\\Seen)",
        b"STORE 1 (UNCHANGEDSINCE) FLAGS (\\Seen)",
        b"STORE 1 (UNCHANGEDSINCE -1) FLAGS (\\Seen)",
        b"STORE 1 (CHANGEDSINCE 1) FLAGS (\\Seen)",
        b"STORE 1 X-GM-LABELS",
        b"STORE 1 X-GM-LABELS (a",
        b"STORE 1 X-GM-LABELS (\\)",
        b"STORE 1 X-GM-LABELS.LOUD (a)",
        b"COPY 1",
        b"COPY 1 a b",
        b"COPY inbox 1",
        b"MOVE",
        b"UID MOVE 1",
        b"UID EXPUNGE",
        b"UID EXPUNGE x",
        b"EXPUNGE 1",
    ],
)
def test_wrong_commands_on_messages_are_refused(line: bytes) -> None:
    assert refusal(line).status is Status.BAD


@pytest.mark.parametrize("label", [b"\\Unheard", b'"\\\\Unheard"', b'"&bad"'])
def test_a_label_that_cannot_be_is_refused_with_its_reason(label: bytes) -> None:
    refused = refusal(b"STORE 1 X-GM-LABELS (%b)" % label)
    assert (refused.status, refused.code) == (Status.NO, Code.CANNOT)
