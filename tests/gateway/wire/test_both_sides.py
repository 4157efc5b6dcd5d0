"""The two directions against each other: each reader understands what the writer at the other end writes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import gmail, mailbox_name, write, write_code, write_fetch
from gateway.wire.codes import Code, Status
from gateway.wire.command_writer import CommandWriter, LiteralMode, Message, Text
from gateway.wire.commands import Append, AppendMessage, Command, Login, Search, Select, StatusItem
from gateway.wire.fetch import BodySection, Section, SectionText
from gateway.wire.reader import ContinuationNeeded, ReadCommand
from gateway.wire.response_reader import ResponseReader
from gateway.wire.responses import (
    CopyUid,
    ESearchData,
    ExistsData,
    ExpungeData,
    FetchData,
    FlagsData,
    IdData,
    ListData,
    MalformedData,
    NamespaceData,
    ResponseCode,
    SearchData,
    StatusData,
    StatusResponse,
    TaggedResponse,
    UnknownData,
    VanishedData,
)
from gateway.wire.search import TextContains
from gateway.wire.sequence_set import SequenceSet
from tests.gateway.wire.reading import Stored, make_reader

NAMES = st.text(max_size=30)
MODES = st.sampled_from(LiteralMode)
NO_CONTROLS = st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])


def understood(wire: bytes) -> object:
    """Return what a client makes of one response."""
    reader = ResponseReader()
    reader.feed(wire + b"* 1 EXISTS\r\n")
    event = reader.next_event()
    assert not isinstance(event, (UnknownData, MalformedData)), event
    assert reader.next_event() == ExistsData(1)
    assert reader.is_between_responses
    return event


# -- server to client --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wire", "response"),
    [
        (write.exists(3), ExistsData(3)),
        (write.expunge(3), ExpungeData(3)),
        (write.flags(["\\Seen", "$x"]), FlagsData(("\\Seen", "$x"))),
        (write.search([3, 1], 9), SearchData((3, 1), 9)),
        (write.vanished(SequenceSet.parse(b"1:3"), earlier=True), VanishedData(SequenceSet.parse(b"1:3"), True)),
        (
            write.esearch("a1", is_uid=True, smallest=1, largest=9, found=SequenceSet.parse(b"1,9"), count=2, modseq=7),
            ESearchData(b"a1", True, 1, 9, 2, SequenceSet.parse(b"1,9"), 7),
        ),
        (
            write.mailbox_status("x", [(StatusItem.MESSAGES, 1), (StatusItem.APPENDLIMIT, None)]),
            StatusData(b"x", {"MESSAGES": 1}),
        ),
        (
            write.mailbox_status("x", [(StatusItem.MAILBOXID, "NIL"), (StatusItem.MESSAGES, 1)]),
            StatusData(b"x", {"MESSAGES": 1}, "NIL"),
        ),
        (
            write.untagged_status(Status.OK, "Ok", write_code.mailbox_id("F22-12_e")),
            StatusResponse(Status.OK, ResponseCode(Code.MAILBOXID, b"MAILBOXID", "F22-12_e"), "Ok"),
        ),
        (
            write_fetch.line(
                2, [b"EMAILID " + write_fetch.object_id("012"), b"THREADID " + write_fetch.object_id(None)]
            ),
            FetchData(2, email_id="012", thread_id=None),
        ),
        (
            write_fetch.line(
                3,
                [
                    b"X-GM-MSGID " + gmail.number(1 << 63),
                    b"X-GM-THRID " + gmail.number(None),
                    b"X-GM-LABELS " + gmail.label_list([gmail.SystemLabel.SENT, "NIL", "é a", 'a"b']),
                ],
            ),
            FetchData(3, gmail_message_id=1 << 63, gmail_labels=(b"\\Sent", b"NIL", b"&AOk- a", b'a"b')),
        ),
        (
            write_fetch.line(2, [write_fetch.uid(9), write_fetch.flags(b"(\\Seen)"), write_fetch.modseq(4)]),
            FetchData(2, uid=9, flags=frozenset({"\\Seen"}), modseq=4),
        ),
    ],
)
def test_client_understands_data(wire: bytes, response: object) -> None:
    assert understood(wire) == response


@given(NAMES, st.booleans(), st.sampled_from(["/", ".", "\\", '"', None]))
def test_client_understands_any_name(name: str, utf8: bool, delimiter: str | None) -> None:
    attributes = ["\\HasNoChildren", "\\Sent"]
    listed = understood(write.mailbox_list(name, attributes, delimiter=delimiter, child_info=["SUBSCRIBED"], utf8=utf8))
    assert isinstance(listed, ListData)
    sent = name.replace("\0", "\x80") if utf8 else name
    if not utf8 or "\0" not in name:
        assert mailbox_name.from_wire(listed.name, utf8) == mailbox_name.fold_inbox(sent)
    assert listed.delimiter == (None if delimiter is None else delimiter.encode())
    assert listed.attributes == {"\\hasnochildren", "\\sent"}


@given(st.text(max_size=30), st.dictionaries(st.integers(1, 50), st.integers(1, 50), min_size=1))
def test_client_understands_any_completion(text: str, copies: dict[int, int]) -> None:
    done = understood(write.tagged("a1", Status.OK, text, write_code.copy_uid(5, list(copies.items()))))
    assert isinstance(done, TaggedResponse)
    assert (done.tag, done.status) == (b"a1", Status.OK)
    assert done.code is not None
    assert done.code.code is Code.COPYUID
    assert isinstance(done.code.argument, CopyUid)
    assert dict(done.code.argument.pairs() or ()) == copies


@given(st.text(max_size=30))
def test_text_never_passes_for_a_code(text: str) -> None:
    told = understood(write.untagged_status(Status.OK, text))
    assert isinstance(told, StatusResponse)
    assert told.code is None


@given(st.lists(st.tuples(st.text(max_size=9), st.one_of(st.none(), st.text(max_size=9))), max_size=3))
def test_client_understands_any_id_and_namespace(fields: list[tuple[str, str | None]]) -> None:
    assert isinstance(understood(write.server_id(fields)), IdData)
    prefixes = [(name, "/") for name, _ in fields]
    namespace = understood(write.namespace(prefixes, prefixes))
    assert isinstance(namespace, NamespaceData)
    assert len(namespace.personal) == len(namespace.other_users) == len(fields)


@given(
    st.lists(st.binary(min_size=1, max_size=9).map(lambda f: f.replace(b"\0", b"")), min_size=1, max_size=3),
    st.binary(),
)
def test_client_understands_any_section(fields: list[bytes], data: bytes) -> None:
    content = data.replace(b"\0", b"")
    item = BodySection(Section((1, 2), SectionText.HEADER_FIELDS, tuple(fields)), (7, 100))
    value = write_fetch.literal_start(len(content)) + content
    fetched = understood(write_fetch.line(4, [write_fetch.item_name(item) + b" " + value, write_fetch.uid(8)]))
    assert isinstance(fetched, FetchData)
    assert fetched.uid == 8
    assert list(fetched.sections.values()) == [content]


# -- client to server --------------------------------------------------------------------------------------------------


def carried_out(
    writer: CommandWriter, name: bytes, *arguments: bytes | Text | Message, message: bytes = b""
) -> Command:
    """Return what a server makes of one command, answering `+` where the writer waits for it."""
    reader = make_reader(utf8=writer.utf8)
    for segment in writer.encode(b"a1", name, arguments):
        reader.feed(segment.data)
        if segment.is_asking:
            assert reader.next_command() == ContinuationNeeded()
        if segment.message_octets is not None:
            reader.feed(message)
    event = reader.next_command()
    assert isinstance(event, ReadCommand), event
    assert reader.next_command() is None
    assert reader.buffered_octets == 0
    return event.command


@given(st.text(NO_CONTROLS, max_size=30), st.binary(max_size=1200), MODES)
def test_server_understands_any_login(username: str, password: bytes, mode: LiteralMode) -> None:
    secret = re.sub(rb"[\r\n\0]", b"", password)
    command = carried_out(CommandWriter(mode), b"LOGIN", Text(username.encode()), Text(secret))
    assert command == Login(username, secret)


@given(NAMES, MODES)
def test_server_understands_any_mailbox_name(name: str, mode: LiteralMode) -> None:
    command = carried_out(CommandWriter(mode), b"SELECT", Text(mailbox_name.to_wire(name, utf8=False)))
    assert isinstance(command, Select)
    assert command.mailbox == mailbox_name.fold_first_level(name[:-1] if len(name) > 1 and name[-1] == "/" else name)


@given(st.text(NO_CONTROLS, max_size=30), MODES, st.booleans())
def test_server_understands_any_search_text(text: str, mode: LiteralMode, utf8: bool) -> None:
    writer = CommandWriter(mode, utf8=utf8)
    command = carried_out(writer, b"UID SEARCH", b"CHARSET", b"UTF-8", b"TEXT", Text(text.encode()))
    assert command == Search(TextContains(text), is_uid=True, charset="UTF-8")


@given(st.binary(max_size=200), MODES)
def test_server_understands_any_message(message: bytes, mode: LiteralMode) -> None:
    writer = CommandWriter(mode)
    command = carried_out(writer, b"APPEND", Text(b"box"), b"(\\Seen)", Message(len(message)), message=message)
    assert command == Append("box", (AppendMessage(Stored(message), ("\\Seen",)),))
