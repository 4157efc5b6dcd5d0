"""Messages stored by IMAP, at a Dovecot in the place of Exchange's server, and found at the stand-in of Graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.api.errors import Denied, OutcomeUnknown, Rejected, Unavailable
from connectors.api.types import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, BytesContent, MailboxRef, MessageState, Role
from connectors.graph.appending import append
from connectors.graph.connector import GraphConnector
from connectors.graph.imap_append import Letterbox
from connectors.graph.imap_connection import Lost
from connectors.graph.imap_session import ImapSession
from connectors.graph.settings import AppendBy, GraphSettings
from tests.connectors.graph.imap_bridge import Bridge, Bridged, bridge_over
from tests.connectors.graph.imap_script import Tokens, token
from tests.connectors.graph.writing_rig import NONE, mail
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.corpus.generate import messages
from tests.fakes.graph.content import Content
from tests.fakes.graph.fake import FakeGraph
from tests.fakes.graph.faults import Fault
from tests.servers.dovecot import Dovecot, running_dovecot

MakeBridge = Callable[..., Bridge]

LIST = "folder-messages.list"
DATE = datetime(2021, 2, 3, 4, 5, 6, tzinfo=UTC)
WITHOUT_ID = b"Date: Mon, 06 May 2024 08:00:00 +0000\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nbody\r\n"


@pytest.fixture(scope="module")
def exchange() -> Iterator[Dovecot]:
    with running_dovecot(mechanisms="xoauth2 plain login") as server:
        yield server


@pytest.fixture
async def make_bridge(fake: FakeGraph, clock: JumpingClock, exchange: Dovecot) -> AsyncIterator[MakeBridge]:
    made: list[Bridge] = []

    def make(**settings: object) -> Bridge:
        made.append(bridge_over(fake, clock, exchange, **settings))
        return made[-1]

    yield make
    for bridge in made:
        await bridge.close()


@pytest.fixture
def bridge(make_bridge: MakeBridge) -> Bridge:
    return make_bridge()


async def store(
    bridge: Bridge, data: bytes, flags: frozenset[str] = NONE, name: str = "inbox", date: datetime | None = None
) -> MessageState:
    rig = bridge.rig
    return await append(rig.mail, rig.ref(name), BytesContent(data), flags, date, bridge.letterbox)


def octets_of(bridge: Bridge, state: MessageState) -> bytes:
    """Return what arrived under that id."""
    return bridge.delivery.octets[bridge.rig.message(state.ref).number]


async def test_the_corpus_arrives_octet_for_octet_and_is_known_by_its_id(bridge: Bridge) -> None:
    for given in messages(25, 7):
        flags = given.flags & {SEEN, FLAGGED}
        state = await store(bridge, given.data, flags, date=given.internal_date)
        assert octets_of(bridge, state) == given.data
        assert (state.flags, state.internal_date) == (flags, given.internal_date.replace(microsecond=0))
        assert not bridge.rig.message(state.ref).is_draft
    assert len(bridge.rig.inside("inbox")) == 25


async def test_a_message_costs_two_requests(bridge: Bridge) -> None:
    await bridge.rig.mail.tree()
    bridge.rig.fake.stats.clear()
    await store(bridge, mail(1), frozenset({SEEN}))
    assert dict(bridge.rig.fake.stats.requests) == {LIST: 2}


async def test_a_large_message_is_stored(bridge: Bridge) -> None:
    data = mail(1) + b"0123456789abcdef0123456789abcdef0123456789abcdef\r\n" * 100_000
    state = await store(bridge, data)
    assert octets_of(bridge, state) == data


async def test_flags_that_imap_does_not_hold_are_set_by_graph(bridge: Bridge) -> None:
    flags = frozenset({SEEN, FLAGGED, ANSWERED, "$Forwarded", "$label1", "Project"})
    state = await store(bridge, mail(1), flags | {DELETED})
    assert state.flags == flags
    [message] = bridge.rig.inside("inbox")
    assert sorted(message.categories) == ["Important", "Project"]


async def test_a_message_whose_flags_cannot_be_set_is_stored_nevertheless(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    bridge.rig.fake.faults.order("messages.patch", Fault(status=403), times=10)
    state = await store(bridge, mail(1), frozenset({SEEN, "Project"}))
    assert state.flags == frozenset({SEEN})
    assert "without its flags ['Project']" in caplog.text


async def test_a_message_without_a_message_id_is_found_by_date_and_subject(bridge: Bridge) -> None:
    others = [WITHOUT_ID.replace(b"=9F", b"=A4"), WITHOUT_ID]
    first, second = [await store(bridge, data, date=DATE) for data in others]
    third = await store(bridge, WITHOUT_ID, date=DATE + timedelta(days=1))
    assert [octets_of(bridge, state) for state in (first, second, third)] == [*others, WITHOUT_ID]
    assert len({first.ref, second.ref, third.ref}) == 3


async def test_the_same_octets_may_be_stored_again(bridge: Bridge) -> None:
    states = [await store(bridge, mail(1)) for _ in range(3)]
    assert len({state.ref for state in states}) == 3


async def test_the_same_octets_may_be_stored_side_by_side(bridge: Bridge) -> None:
    many = [mail(number % 3) for number in range(9)] + [WITHOUT_ID] * 3
    states = await asyncio.gather(*(store(bridge, data, date=DATE) for data in many))
    assert len({state.ref for state in states}) == 12
    assert [octets_of(bridge, state) for state in states] == many


async def test_a_message_goes_into_the_folder_of_that_name(bridge: Bridge) -> None:
    box = bridge.rig.box
    below = box.create_folder("Straße", box.create_folder("R&D"))
    client = bridge.at_dovecot
    name = b"R&-D/Stra&AN8-e"
    client.create(b'"' + name + b'"')  # type: ignore[arg-type]
    client.logout()
    bridge.delivery.folders[name] = below
    ref = MailboxRef(box.ids.folder(below.number))
    state = await append(bridge.rig.mail, ref, BytesContent(mail(1)), NONE, None, bridge.letterbox)
    assert bridge.rig.message(state.ref).folder is below


async def test_a_folder_that_imap_does_not_know_is_told(bridge: Bridge) -> None:
    bridge.rig.box.create_folder("Nowhere")
    with pytest.raises(Rejected, match="does not know the folder"):
        await store(bridge, mail(1), name="Nowhere")


async def test_a_folder_that_was_renamed_meanwhile_is_found(bridge: Bridge) -> None:
    rig = bridge.rig
    folder = rig.box.create_folder("Old")
    ref = rig.ref("Old")
    await rig.mail.tree()
    rig.box.rename_folder(folder, "New")
    client = bridge.at_dovecot
    client.create("New")
    client.logout()
    bridge.delivery.folders[b"New"] = folder
    state = await append(rig.mail, ref, BytesContent(mail(1)), NONE, None, bridge.letterbox)
    assert rig.message(state.ref).folder is folder


async def test_a_folder_whose_name_is_not_its_own_is_not_guessed(bridge: Bridge) -> None:
    rig = bridge.rig
    rig.box.create_folder("Work")
    tree = await rig.mail.tree()
    ref = rig.ref("Work")
    assert tree.folders[ref].is_as_shown
    tree.folders[ref] = replace(tree.folders[ref], is_as_shown=False)  # type: ignore[index]
    with pytest.raises(Rejected, match="another name at Exchange"):
        await store(bridge, mail(1), name="Work")


async def test_a_message_that_graph_shows_late_is_waited_for(bridge: Bridge, clock: JumpingClock) -> None:
    await bridge.rig.mail.tree()
    bridge.delivery.late = 4
    state = await store(bridge, mail(1))
    assert octets_of(bridge, state) == mail(1)
    assert clock.slept == [0.5, 1.0, 2.0]


async def test_a_message_that_graph_does_not_show_is_not_stored_again(bridge: Bridge) -> None:
    await bridge.rig.mail.tree()
    bridge.delivery.late = 1000
    with pytest.raises(OutcomeUnknown, match="does not show it"):
        await store(bridge, mail(1))
    bridge.delivery.late = 0
    state = await store(bridge, mail(1))
    assert octets_of(bridge, state) == mail(1)
    assert len(bridge.rig.inside("inbox")) == 1
    assert (await store(bridge, mail(1))).ref != state.ref


async def test_a_message_whose_message_id_exchange_has_changed_is_found_by_date(bridge: Bridge) -> None:
    bridge.delivery.alter = lambda raw: raw.replace(b"@example.org>", b"@exchange.example>", 1)
    data = mail(1).replace(b"From: Alex <alex@example.org>\r\n", b"")
    states = [await store(bridge, data, date=DATE) for _ in range(2)]
    assert [octets_of(bridge, state) for state in states] == [data, data]
    assert states[0].ref != states[1].ref
    [envelopes] = {message.content.envelope.message_id for message in bridge.rig.inside("inbox")}
    assert envelopes == "<1@exchange.example>"


class Losing(ImapSession):
    """Loses the answer: `is_stored` tells whether the message is stored by then."""

    is_stored = True

    async def append(self, *args: object) -> int | None:
        if self.is_stored:
            await super().append(*args)  # type: ignore[arg-type]
        raise Lost("the line went dead", is_sent=True)


def losing(bridge: Bridge, *, is_stored: bool) -> None:
    session = Losing(bridge.rig.mail.settings, bridge.tokens)
    session.is_stored = is_stored
    bridge.letterbox = Letterbox(session)


async def test_a_message_whose_answer_was_lost_is_found(bridge: Bridge) -> None:
    losing(bridge, is_stored=True)
    state = await store(bridge, mail(1), frozenset({SEEN}))
    assert octets_of(bridge, state) == mail(1)


async def test_a_message_that_may_be_stored_is_of_unknown_outcome(bridge: Bridge) -> None:
    losing(bridge, is_stored=False)
    with pytest.raises(OutcomeUnknown, match="the line went dead"):
        await store(bridge, mail(1))
    with pytest.raises(OutcomeUnknown, match="the line went dead"):
        await store(bridge, mail(1))


async def test_a_message_that_may_be_stored_is_not_taken_for_another_of_its_date(bridge: Bridge) -> None:
    other = mail(1).replace(b"<1@example.org>", b"<other@example.org>")

    class Overtaken(Losing):
        async def append(self, *args: object) -> int | None:
            bridge.rig.box.add(Content.of_mime(other), bridge.rig.folder("inbox"), received=DATE)
            return await super().append(*args)

    session = Overtaken(bridge.rig.mail.settings, bridge.tokens)
    session.is_stored = False
    bridge.letterbox = Letterbox(session)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="the line went dead"):
            await store(bridge, mail(1), date=DATE)


async def test_a_message_that_cannot_be_looked_for_is_of_unknown_outcome(bridge: Bridge) -> None:
    await bridge.rig.mail.tree()
    faults = bridge.rig.fake.faults

    class Failing(Losing):
        async def append(self, *args: object) -> int | None:
            faults.order(LIST, Fault(status=403), times=1)
            return await super().append(*args)

    bridge.letterbox = Letterbox(Failing(bridge.rig.mail.settings, bridge.tokens))
    with pytest.raises(OutcomeUnknown, match="not looked up"):
        await store(bridge, mail(1))
    # The same letterbox finds it when it is asked again.
    state = await store(bridge, mail(1))
    assert octets_of(bridge, state) == mail(1)
    assert len(bridge.rig.inside("inbox")) == 1


async def test_nothing_is_stored_that_could_not_be_found(bridge: Bridge) -> None:
    await bridge.rig.mail.tree()
    bridge.rig.fake.faults.order(LIST, Fault(status=403), times=1)
    with pytest.raises(Denied):
        await store(bridge, mail(1))
    assert (await store(bridge, mail(1))).ref
    assert len(bridge.rig.inside("inbox")) == 1


async def test_where_message_ids_cannot_be_searched_for_dates_are(bridge: Bridge) -> None:
    await bridge.rig.mail.tree()
    bridge.rig.fake.faults.order(LIST, Fault(status=400, code="ErrorRestrictionTooComplex"), times=1)
    state = await store(bridge, mail(1))
    assert octets_of(bridge, state) == mail(1)


async def test_drafts_go_to_graph(bridge: Bridge) -> None:
    await store(bridge, mail(1), name="drafts")
    await store(bridge, mail(2), frozenset({DRAFT}))
    assert bridge.delivery.octets == {}
    assert [message.is_draft for message in (*bridge.rig.inside("drafts"), *bridge.rig.inside("inbox"))] == [True, True]


async def test_a_server_that_is_not_there_stores_nothing(make_bridge: MakeBridge) -> None:
    bridge = make_bridge(imap_host="127.0.0.1", imap_port=1)
    with pytest.raises(Unavailable, match=r"127\.0\.0\.1:1"):
        await store(bridge, mail(1))


async def test_a_refused_token_is_not_a_login_that_has_ended(bridge: Bridge) -> None:
    wrong = Tokens(token("wrong", "alex@example.org"))
    bridge.letterbox = Letterbox(ImapSession(bridge.rig.mail.settings, wrong))
    with pytest.raises(Denied, match="ImapEnabled"):
        await store(bridge, mail(1))
    assert wrong.refusals == [token("wrong", "alex@example.org")]


def test_there_is_a_letterbox_only_where_the_setting_asks_for_one() -> None:
    assert Letterbox.of(GraphSettings(), Tokens()) is None
    assert Letterbox.of(GraphSettings(append=AppendBy.IMAP), Tokens()) is not None


async def test_the_connector_stores_by_imap_where_the_setting_says_so(clock: JumpingClock, bridge: Bridge) -> None:
    settings = bridge.rig.mail.settings
    transport = Bridged(bridge.delivery)
    connector = GraphConnector(settings, bridge.tokens, clock=clock, transport=transport)
    await connector.open()
    inbox = next(info.ref for info in await connector.list_mailboxes() if info.role is Role.INBOX)
    state = await connector.append(inbox, BytesContent(mail(1)), frozenset({SEEN}), DATE)
    assert octets_of(bridge, state) == mail(1)
    assert [each.ref for each in await connector.states(inbox, [state.ref])] == [state.ref]
    await connector.close()
    await connector.open()
    again = await connector.append(inbox, BytesContent(mail(2)), NONE, None)
    assert octets_of(bridge, again) == mail(2)
    await connector.close()
