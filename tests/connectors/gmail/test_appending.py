"""APPEND: labels, dates, sizes, messages that are there already, and large ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.api.errors import NotFound, OverQuota, TooLarge
from connectors.api.types import FLAGGED, SEEN, BytesContent, MailboxRef, MessageRef
from connectors.gmail import appending
from connectors.gmail.appending import _date, _has_bare_ends, _look
from tests.conformance.rig import DATE, mail, octets
from tests.connectors.gmail.stage import Stage, staged, told
from tests.fakes.gmail.options import FakeOptions, Quirks

NONE: frozenset[str] = frozenset()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        made.fake.new_label("Work")
        await made.connector.list_mailboxes()
        made.clear()
        yield made


@pytest.mark.parametrize("how", ["insert", "import"])
@pytest.mark.parametrize(
    ("mailbox", "flags", "labels"),
    [
        ("INBOX", {SEEN}, {"INBOX"}),
        ("INBOX", set(), {"INBOX", "UNREAD"}),
        ("Label_1", {SEEN, FLAGGED}, {"Label_1", "STARRED"}),
        ("ALL", {SEEN}, set()),
        ("SENT", {SEEN}, {"SENT"}),
        ("TRASH", set(), {"TRASH", "UNREAD"}),
        ("SPAM", {SEEN}, {"SPAM"}),
        ("STARRED", {SEEN}, {"STARRED"}),
        ("IMPORTANT", {SEEN}, {"IMPORTANT"}),
    ],
)
async def test_mailbox_and_flags_become_labels(how: str, mailbox: str, flags: set[str], labels: set[str]) -> None:
    async with staged(append=how) as stage:
        stage.fake.new_label("Work")
        state = await stage.append(mailbox, mail(1), frozenset(flags), DATE)
        assert stage.has(state.ref) == labels
        assert mailbox in told(state)[0]
        assert stage.calls(f"messages.{how}") == 1


async def test_import_does_not_choose_spam_in_place_of_the_mailbox() -> None:
    unwanted = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
    async with staged(append="import") as stage:
        state = await stage.append("INBOX", mail(1, unwanted), frozenset({SEEN}))
        assert stage.has(state.ref) == {"INBOX"}


async def test_the_date_is_the_one_of_the_date_field_where_that_is_nearer(stage: Stage) -> None:
    now = stage.fake.clock.now()
    agreeing = await stage.append("INBOX", mail(1), NONE, DATE)
    near = await stage.append("INBOX", mail(2), NONE, DATE + timedelta(days=30))
    recent = await stage.append("INBOX", mail(3), NONE, now - timedelta(minutes=5))
    undated = await stage.append("INBOX", b"Subject: x\r\n\r\n", NONE, DATE)
    received = await stage.append("INBOX", mail(4))
    assert (agreeing.internal_date, near.internal_date) == (DATE, DATE)
    for state in (recent, undated, received):
        assert state.internal_date is not None
        assert abs(state.internal_date - now) < timedelta(minutes=1)
    for state in (agreeing, near, recent, undated, received):
        assert (await stage.probe().state(state.ref)).internal_date == state.internal_date


async def test_with_a_date_an_append_reads_no_message(stage: Stage) -> None:
    await stage.append("INBOX", mail(1), NONE, DATE)
    assert stage.units == 25 + 5
    stage.clear()
    await stage.append("INBOX", mail(2))
    assert stage.units == 25 + 5 + 20


async def test_that_the_date_cannot_be_read_does_not_fail_the_append(stage: Stage) -> None:
    stage.fake.fail_next("gmail.users.messages.get", times=20, status=500)
    state = await stage.append("INBOX", mail(1))
    assert state.internal_date is not None
    assert stage.has(state.ref) == {"INBOX", "UNREAD"}


# -- messages that are there already ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("has", "mailbox", "flags", "gets"),
    [
        ({"INBOX"}, "Label_1", {SEEN}, {"INBOX", "Label_1"}),
        # What was read stays read, and what was starred starred.
        ({"INBOX", "STARRED"}, "INBOX", set(), {"INBOX", "STARRED"}),
        ({"INBOX", "UNREAD"}, "INBOX", {SEEN, FLAGGED}, {"INBOX", "STARRED"}),
        ({"INBOX", "UNREAD"}, "ALL", set(), {"INBOX", "UNREAD"}),
        ({"TRASH"}, "Label_1", set(), {"Label_1"}),
        ({"INBOX"}, "TRASH", set(), {"TRASH"}),
    ],
)
async def test_a_message_that_is_there_gets_the_label(
    stage: Stage, has: set[str], mailbox: str, flags: set[str], gets: set[str]
) -> None:
    ref = stage.deliver(1, *has)
    state = await stage.append(mailbox, mail(1), frozenset(flags))
    assert state.ref == ref
    assert stage.has(ref) >= gets - {"INBOX"}
    assert mailbox in told(state)[0]
    assert "UNREAD" not in stage.has(ref) - has
    assert len(stage.fake.mailbox.messages) == 1
    assert not stage.calls("messages.insert")
    # Whether its octets are the same is not known.
    assert state.size is None


async def test_a_message_that_gmail_finds_to_be_there_is_answered_with_that_one(stage: Stage) -> None:
    """The search may lag behind."""
    ref = stage.deliver(1, "Label_1")
    stage.fake.fail_next("gmail.users.messages.list", status=200, delay_s=0.0)
    state = await stage.append("SENT", mail(1), frozenset({SEEN}))
    assert state.ref == ref
    assert stage.has(ref) == {"Label_1", "SENT"}


async def test_the_size_is_not_claimed_of_what_was_sent_already(stage: Stage) -> None:
    """Gmail keeps a copy of its own of what is sent by SMTP, with fields of its own; the client saves another."""
    ref = stage.deliver(1, "SENT")
    state = await stage.append("SENT", mail(1, b"the same, and yet not\r\n"), frozenset({SEEN}))
    assert state.ref == ref
    assert state.size is None
    [present] = await stage.probe("SENT").connector.states(MailboxRef("SENT"), [state.ref])
    assert present.size is None


async def test_the_size_is_not_claimed_of_a_message_that_the_search_did_not_show_yet(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object, **__: object) -> list[MessageRef]:
        return []

    monkeypatch.setattr(appending, "find", nothing)
    ref = stage.deliver(1, "Label_1")
    state = await stage.append("INBOX", mail(1, b"the same, and yet not\r\n"), frozenset({SEEN}))
    assert state.ref == ref
    assert stage.has(ref) == {"Label_1", "INBOX"}
    assert state.size is None


async def test_a_draft_is_not_taken_for_the_message(stage: Stage) -> None:
    draft = stage.fake.new_draft(mail(1))
    state = await stage.append("INBOX", mail(1))
    assert stage.has(state.ref) == {"INBOX", "UNREAD"}
    assert draft in stage.fake.mailbox.drafts


async def test_where_gmail_takes_messages_twice_the_first_is_found_nevertheless() -> None:
    async with staged(FakeOptions(quirks=Quirks(deduplicates=False))) as stage:
        first = await stage.append("INBOX", mail(1))
        assert (await stage.append("INBOX", mail(1))).ref == first.ref


# -- octets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [4_900_000, 5_100_000, 9_000_000])
async def test_large_messages_arrive_whole(stage: Stage, size: int) -> None:
    line = b"0123456789abcdef" * 4 + b"\r\n"
    data = mail(1, line * (size // len(line)))
    state = await stage.append("INBOX", data, NONE, DATE)
    assert state.size == len(data)
    assert stage.fake.message(state.ref).content().raw == data


async def test_a_message_that_is_too_large_is_refused() -> None:
    async with staged(FakeOptions(max_upload_octets=10_000)) as stage:
        with pytest.raises(TooLarge):
            await stage.append("INBOX", mail(1, b"x" * 20_000 + b"\r\n"))
        assert not stage.fake.mailbox.messages


async def test_a_full_account_is_told(stage: Stage) -> None:
    stage.fake.fail_next("gmail.users.messages.insert", status=403, reason="storageQuotaExceeded")
    with pytest.raises(OverQuota):
        await stage.append("INBOX", mail(1))


async def test_a_size_is_not_claimed_where_line_ends_are_altered(stage: Stage) -> None:
    state = await stage.append("INBOX", mail(1, b"one\ntwo\r\n"))
    assert state.size is None
    content = await stage.connector.fetch(stage.probe().ref, state.ref)
    assert (await octets(content)).endswith(b"one\r\ntwo\r\n")


async def test_a_label_that_was_just_deleted_is_not_found(stage: Stage) -> None:
    stage.fake.delete_label("Label_1")
    with pytest.raises(NotFound):
        await stage.append("Label_1", mail(1))
    assert not stage.fake.mailbox.messages


@pytest.mark.parametrize(
    ("data", "has"),
    [(b"", False), (b"a\r\nb\r\n", False), (b"a\nb", True), (b"a\rb", True), (b"\n", True), (b"a\r", False)],
)
def test_line_ends_are_told_apart(data: bytes, has: bool) -> None:
    assert _has_bare_ends(data) is has


class _Pieces:
    """Content that comes in pieces of one octet."""

    def __init__(self, data: bytes) -> None:
        self.size = len(data)
        self._data = data

    async def chunks(self) -> AsyncIterator[bytes]:
        for at in range(len(self._data)):
            yield self._data[at : at + 1]


@pytest.mark.parametrize(
    ("data", "has"), [(b"a\r\nb\r\n", False), (b"a\r\n\n", True), (b"a\r\rb\r\n", True), (b"a\r\nb\r", True)]
)
async def test_line_ends_across_pieces_are_told_apart(data: bytes, has: bool) -> None:
    assert (await _look(_Pieces(data))).has_bare_ends is has


@pytest.mark.parametrize(
    ("field", "message_id"),
    [
        ("<a@b>", "a@b"),
        (" <a.b-c=d@[1.2.3.4]> ", "a.b-c=d@[1.2.3.4]"),
        ("\r\n <folded@b>", "folded@b"),
        ("a@b", None),
        ("<a b@c>", None),
        ('<a"OR@c>', None),
        ("<a{b}@c>", None),
        ("<a@b> <c@d>", None),
    ],
)
async def test_only_a_plain_message_id_is_searched_for(field: str, message_id: str | None) -> None:
    sight = await _look(BytesContent(f"Message-ID: {field}\r\n\r\n".encode()))
    assert sight.message_id == message_id


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Fri, 17 May 2019 08:30:15 +0000", DATE),
        ("17 May 2019 08:30:15 -0000", DATE),
        ("yesterday", None),
        ("", None),
        ("1 Jan 1960 00:00:00 +0000", None),
    ],
)
def test_a_date_is_one_that_gmail_can_take(text: str, date: datetime | None) -> None:
    assert _date(text) == date
    assert date is None or date.tzinfo is UTC
