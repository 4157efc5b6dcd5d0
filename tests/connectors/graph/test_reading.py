"""Reading messages: states, headers and octets."""

from __future__ import annotations

import asyncio
import contextlib

import httpx
import pytest

from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.errors import NotFound, Rejected, Unavailable
from connectors.api.types import MailboxRef, MessageContent, MessageRef, Outline
from connectors.graph import reading
from connectors.graph.client import GraphClient
from connectors.graph.mail import Mail
from connectors.graph.reading import header_of
from connectors.graph.settings import GraphSettings
from connectors.graph.structs import ExtendedProperty, Message
from tests.connectors.graph.writing_rig import ROOT, InProcess, Rig, mail
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.fake import FakeGraph


async def octets(content: MessageContent) -> bytes:
    data = b"".join([chunk async for chunk in content.chunks()])
    assert len(data) == content.size
    return data


async def outlines(rig: Rig, refs: list[MessageRef], name: str = "inbox") -> dict[MessageRef, Outline]:
    return {outline.ref: outline async for outline in reading.outlines(rig.mail, rig.ref(name), refs)}


def with_header(text: str) -> Message:
    return Message("m", single_value_extended_properties=[ExtendedProperty("String 0x7d", text)])


async def test_states_are_those_of_messages_in_the_folder(fake: FakeGraph, rig: Rig) -> None:
    here, gone, moved = (MessageRef(fake.deliver(mail(number), is_read=True)) for number in range(3))
    fake.delete(gone)
    fake.move(moved, "archive")

    states = await reading.states(rig.mail, rig.ref("inbox"), [here, gone, moved, here])

    assert [state.ref for state in states] == [here]
    assert states[0].flags == frozenset({"\\Seen"})
    assert await reading.states(rig.mail, rig.ref("inbox"), []) == []


async def test_a_failure_is_no_message_that_is_gone(fake: FakeGraph, rig: Rig) -> None:
    ref = MessageRef(fake.deliver(mail(1)))
    fake.fail_next("messages.get", times=20, status=500)

    with pytest.raises(Unavailable):
        await reading.states(rig.mail, rig.ref("inbox"), [ref])
    fake.faults.clear()


async def test_a_search_folder_has_the_states_of_what_is_elsewhere(fake: FakeGraph, rig: Rig) -> None:
    ref, search = MessageRef(fake.deliver(mail(1))), MailboxRef(fake.create_search_folder("Unread"))

    assert [state.ref for state in await reading.states(rig.mail, search, [ref])] == [ref]


async def test_headers_are_those_that_came_over_the_internet(fake: FakeGraph, rig: Rig) -> None:
    refs = [MessageRef(fake.deliver(mail(number))) for number in range(45)]
    fake.stats.clear()
    await rig.mail.read_tree()
    fake.stats.clear()

    fake.purge(refs[44])

    found = await outlines(rig, refs)

    assert set(found) == set(refs[:44])
    assert fake.stats.total_requests == 3
    outline = found[refs[7]]
    assert not outline.header_is_exact
    assert b"\r\nSubject: Message 7\r\n" in outline.header
    assert outline.header.endswith(b"\r\n\r\n")
    assert outline.internal_date == fake.message(refs[7]).received


async def test_what_never_came_over_the_internet_is_left_out(fake: FakeGraph, rig: Rig) -> None:
    ref = MessageRef(fake.deliver(mail(1)))
    fake.message(ref).has_transport = False

    assert await outlines(rig, [ref]) == {}


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("A: 1\r\nB: 2\r\n\t3\r\n\r\n", b"A: 1\r\nB: 2\r\n\t3\r\n\r\n"),
        ("A: 1\nB: 2", b"A: 1\r\nB: 2\r\n\r\n"),
        ("Microsoft Mail Internet Headers Version 2.0\r\nA: 1\r\n\r\n", b"A: 1\r\n\r\n"),
        ("A: 1\r\n\r\nBody: no header\r\n", b"A: 1\r\n\r\n"),
        ("\r\n\r\nA: \u00e4\r\n", "A: \u00e4\r\n\r\n".encode()),
        ("A: 1\r\nno field\r\nB : 2\r\n", b"A: 1\r\nB : 2\r\n\r\n"),
        ("", None),
        ("nothing", None),
    ],
)
def test_a_header_is_a_block_of_fields(text: str, header: bytes | None) -> None:
    assert header_of(with_header(text)) == header


async def test_the_whole_message_is_read_with_its_exact_size(fake: FakeGraph, rig: Rig) -> None:
    small = MessageRef(fake.deliver(mail(1)))
    large = MessageRef(fake.deliver(mail(2) + b"0123456789abcdef" * 200_000))

    assert b"Body 1." in await octets(await reading.fetch(rig.mail, rig.ref("inbox"), small))
    content = await reading.fetch(rig.mail, rig.ref("inbox"), large)
    assert content.size > 3_200_000
    assert b"0123456789abcdef" in await octets(content)


async def test_what_is_gone_is_not_found(fake: FakeGraph, rig: Rig) -> None:
    ref = MessageRef(fake.deliver(mail(1)))
    fake.purge(ref)

    with pytest.raises(NotFound):
        await reading.fetch(rig.mail, rig.ref("inbox"), ref)
    with pytest.raises(NotFound):
        await reading.fetch(rig.mail, MailboxRef("nonsense"), ref)


async def test_an_id_that_cannot_be_one_is_of_no_message(fake: FakeGraph, rig: Rig) -> None:
    ref = MessageRef("nonsense")

    assert await reading.states(rig.mail, rig.ref("inbox"), [ref]) == []
    assert await outlines(rig, [ref]) == {}
    with pytest.raises(NotFound):
        await reading.fetch(rig.mail, rig.ref("inbox"), ref)
    assert all("ErrorInvalidIdMalformed" in violation for violation in fake.violations)
    fake.violations.clear()


async def test_a_message_that_breaks_off_is_no_shorter_message(fake: FakeGraph, rig: Rig) -> None:
    ref = MessageRef(fake.deliver(mail(1)))
    fake.fail_next("messages.value", times=9, status=200, cut_at=40)

    with pytest.raises(Unavailable):
        await reading.fetch(rig.mail, rig.ref("inbox"), ref)
    fake.faults.clear()


async def test_many_are_read_side_by_side_but_not_all_at_once(fake: FakeGraph, rig: Rig) -> None:
    refs = [MessageRef(fake.deliver(mail(number))) for number in range(12)]
    fake.purge(refs[3])
    await rig.mail.read_tree()
    fake.stats.clear()

    found = {ref: await octets(content) async for ref, content in reading.fetch_many(rig.mail, rig.ref("inbox"), refs)}

    assert set(found) == {*refs} - {refs[3]}
    assert all(b"Body %d." % number in found[ref] for number, ref in enumerate(refs) if ref in found)
    assert 1 < fake.stats.most_at_once <= 3


async def test_one_that_fails_does_not_keep_the_others(fake: FakeGraph, rig: Rig) -> None:
    refs = [MessageRef(fake.deliver(mail(number))) for number in range(6)]
    fake.fail_next("messages.value", times=1, status=400)
    found = []

    async def read() -> None:
        async for ref, _ in reading.fetch_many(rig.mail, rig.ref("inbox"), refs):
            found.append(ref)

    with pytest.raises(Rejected):
        await read()
    assert len(found) == 5


async def test_a_message_that_exchange_cannot_convert_is_asked_for_once(fake: FakeGraph, rig: Rig) -> None:
    ref = MessageRef(fake.deliver(mail(1)))
    fake.fail_next("messages.value", times=9, status=500, code="ErrorMimeContentConversionFailed")
    fake.stats.clear()

    with pytest.raises(Rejected):
        await reading.fetch(rig.mail, rig.ref("inbox"), ref)
    assert fake.stats.requests["messages.value"] == 1
    fake.faults.clear()


async def test_leaving_early_and_cancelling_leave_it_usable(fake: FakeGraph, rig: Rig) -> None:
    refs = [MessageRef(fake.deliver(mail(number))) for number in range(12)]
    async with contextlib.aclosing(reading.fetch_many(rig.mail, rig.ref("inbox"), refs)) as contents:
        await anext(contents)
    async with fake.held():
        task = asyncio.create_task(reading.fetch(rig.mail, rig.ref("inbox"), refs[0]))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert b"Body 5." in await octets(await reading.fetch(rig.mail, rig.ref("inbox"), refs[5]))


async def test_the_page_of_a_portal_is_no_message(fake: FakeGraph) -> None:
    ref, inbox = MessageRef(fake.deliver(mail(1))), MailboxRef(fake.folder_id("inbox"))

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/$value"):
            return httpx.Response(200, headers={"Content-Type": "text/html"}, content=b"<p>Please sign in.")
        return await InProcess(fake).handle_async_request(request)

    source = FixedCredential(BearerCredential("", Secret(fake.access_token())))
    settings = GraphSettings(api_root=ROOT)
    client = GraphClient(settings, source, clock=JumpingClock(), transport=httpx.MockTransport(answer))

    with pytest.raises(Unavailable):
        await reading.fetch(Mail(client, settings), inbox, ref)
    await client.close()
