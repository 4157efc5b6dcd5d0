"""APPEND: what is at Graph after it."""

from __future__ import annotations

import asyncio
import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.api.errors import Denied, NotFound, TooLarge, Unsupported
from connectors.api.types import ANSWERED, DRAFT, FLAGGED, SEEN, BytesContent, MailboxRef
from connectors.graph.addressing import read_addresses, read_date
from connectors.graph.appending import MAX_OCTETS, append
from connectors.graph.settings import AppendBy
from tests.connectors.graph.writing_rig import NONE, MakeRig, Rig, mail
from tests.corpus.generate import messages

VECTORS = Path(__file__).parents[2] / "vectors" / "mail"
DATE = datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)


async def test_the_corpus_keeps_date_read_state_author_and_message_id(rig: Rig) -> None:
    for number, given in enumerate(messages(60, 11)):
        flags = given.flags & {SEEN, FLAGGED, ANSWERED}
        state = await append(rig.mail, rig.ref("inbox"), BytesContent(given.data), flags, given.internal_date)
        message = rig.message(state.ref)
        header = email.message_from_bytes(given.data, policy=email.policy.compat32)
        author = read_addresses(str(header["From"]).encode())[0]
        envelope = message.content.envelope
        assert message.received == given.internal_date.replace(microsecond=0), number
        assert message.is_read == (SEEN in flags)
        assert not message.is_draft
        assert envelope.author is not None
        assert envelope.author[1] == author.address
        assert envelope.message_id == header["Message-ID"].strip()
        assert envelope.sent == read_date(str(header["Date"]).encode())
        assert (state.flags, state.internal_date) == (flags, message.received)
    assert len(rig.inside("inbox")) == 60


async def test_a_small_message_costs_one_request(rig: Rig) -> None:
    await rig.mail.tree()
    rig.fake.stats.clear()
    await rig.append("inbox", mail(1), frozenset({SEEN, ANSWERED, "Work"}))
    assert dict(rig.fake.stats.requests) == {"folder-messages.create": 1}


@pytest.mark.parametrize(
    "flags",
    [
        NONE,
        frozenset({SEEN}),
        frozenset({FLAGGED}),
        frozenset({ANSWERED}),
        frozenset({ANSWERED, "$Forwarded", SEEN}),
        frozenset({"$label1", "Project=20;X", "$Junk"}),
    ],
    ids=lambda flags: " ".join(sorted(flags)) or "none",
)
async def test_flags_are_those_that_were_asked_for(rig: Rig, flags: frozenset[str]) -> None:
    state = await rig.append("inbox", mail(1), flags)
    assert state.flags == flags
    (told,) = (await rig.mail.read_messages([state.ref])).values()
    assert rig.mail.state(told).flags == flags


async def test_without_a_date_it_came_now(rig: Rig) -> None:
    now = rig.mail.clock.now()
    state = await rig.append("inbox", mail(1))
    assert state.internal_date is not None
    assert abs(state.internal_date - now) < timedelta(seconds=2)


@pytest.mark.parametrize("date", [datetime(1, 1, 1, tzinfo=UTC), datetime(1500, 1, 1, tzinfo=UTC)])
async def test_a_date_that_exchange_cannot_hold_is_the_earliest(rig: Rig, date: datetime) -> None:
    state = await rig.append("inbox", mail(1), date=date)
    assert state.internal_date is not None
    assert state.internal_date.year == 1601


async def test_parts_and_header_are_at_graph(rig: Rig) -> None:
    data = mail(
        1, b"References: <a@example.org> <b@example.org>\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    ).partition(b"\r\n\r\n")[0]
    data += (
        b"\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: in\r\n\r\n\xff\r\n"
        b"--b\r\nContent-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        b"JVBERg==\r\n--b--\r\n"
    )
    state = await rig.append("inbox", data)
    message = rig.message(state.ref)
    assert message.content.body.text == "text"
    eml, pdf = rig.files(message)
    assert (eml.name, eml.data) == ("in.eml", b"Subject: in\r\n\r\n\xff")
    assert (pdf.name, pdf.content_type, pdf.data) == ("a.pdf", "application/pdf", b"%PDF")
    assert message.content.envelope.references == "<a@example.org> <b@example.org>"
    assert message.extended is not None
    assert "Message-ID: <1@example.org>" in message.extended["String 0x7d"]


@pytest.mark.parametrize("data", [b"\r\nno header\r\n", b"Subject: no empty line\r\n", b"\x00\xff\x00", b"a"])
async def test_odd_messages_are_stored(rig: Rig, data: bytes) -> None:
    state = await rig.append("inbox", data)
    assert not rig.message(state.ref).is_draft


async def test_broken_mail_is_stored(rig: Rig) -> None:
    paths = sorted(VECTORS.glob("*.eml"))
    for path in paths:
        state = await rig.append("inbox", path.read_bytes(), frozenset({SEEN}), date=DATE)
        message = rig.message(state.ref)
        assert (message.is_read, message.is_draft, message.received) == (True, False, DATE), path.stem
    assert len(rig.inside("inbox")) == len(paths) > 100


async def test_broken_mail_is_stored_as_a_draft(rig: Rig) -> None:
    for path in sorted(VECTORS.glob("*.eml")):
        state = await rig.append("drafts", path.read_bytes())
        assert rig.message(state.ref).is_draft, path.stem


async def test_the_same_message_twice_is_two_messages(rig: Rig) -> None:
    first = await rig.append("inbox", mail(1))
    second = await rig.append("inbox", mail(1))
    assert first.ref != second.ref
    assert len(rig.inside("inbox")) == 2


async def test_concurrent_appends_are_all_stored_four_at_a_time(rig: Rig) -> None:
    states = await asyncio.gather(*(rig.append("inbox", mail(number)) for number in range(20)))
    assert len({state.ref for state in states}) == len(rig.inside("inbox")) == 20
    assert rig.fake.stats.most_at_once <= 4
    assert dict(rig.fake.stats.requests) == {"folder-messages.create": 20, "folders.list": 1, "$batch": 1}


async def test_in_a_shared_mailbox_large_attachments_are_refused_and_nothing_is_left(make_rig: MakeRig) -> None:
    rig = make_rig(mailbox="team@example.com")
    rig = replace(rig, box=rig.fake.add_user("team@example.com"))
    rig.fake.share("team@example.com", rig.fake.options.address)
    await rig.append("inbox", mail(1))
    message = mail(2, b"Content-Type: application/pdf\r\n") + bytes(3_500_000)
    with pytest.raises(Denied):
        await rig.append("inbox", message)
    assert len(rig.box.messages) == len(rig.inside("inbox")) == 1


async def test_append_to_an_unknown_folder_is_not_found(rig: Rig) -> None:
    with pytest.raises(NotFound):
        await append(rig.mail, MailboxRef("no-such-folder"), BytesContent(mail(1)), NONE, None)


async def test_a_folder_that_was_just_deleted_is_not_found(rig: Rig) -> None:
    folder = rig.box.create_folder("Work")
    ref = rig.ref("Work")
    await rig.mail.require(ref)
    rig.box.delete_folder(folder, is_purge=True)
    with pytest.raises(NotFound):
        await append(rig.mail, ref, BytesContent(mail(1)), NONE, None)


async def test_nothing_is_stored_in_a_search_folder(rig: Rig) -> None:
    rig.box.create_folder("Unread", search_query="isRead eq false")
    with pytest.raises(Denied):
        await rig.append("Unread", mail(1))


async def test_what_is_too_large_is_not_read(rig: Rig) -> None:
    class Huge(BytesContent):
        @property
        def size(self) -> int:
            return MAX_OCTETS + 1

    with pytest.raises(TooLarge):
        await append(rig.mail, rig.ref("inbox"), Huge(b""), NONE, None)


@pytest.mark.parametrize("append_by", [AppendBy.REFUSE])
async def test_by_setting_only_drafts_are_stored(make_rig: MakeRig, append_by: AppendBy) -> None:
    rig = make_rig(append=append_by)
    with pytest.raises(Unsupported, match="refuse"):
        await rig.append("inbox", mail(1))
    assert rig.inside("inbox") == []
    await rig.append("drafts", mail(1))
    await rig.append("inbox", mail(2), frozenset({DRAFT}))
    assert len(rig.inside("drafts")) == len(rig.inside("inbox")) == 1


async def test_by_setting_everything_is_stored_as_a_draft(make_rig: MakeRig) -> None:
    rig = make_rig(append=AppendBy.DRAFT)
    state = await rig.append("inbox", mail(1), frozenset({SEEN}))
    (message,) = rig.inside("inbox")
    assert message.is_draft
    assert state.flags == frozenset({SEEN, DRAFT})
