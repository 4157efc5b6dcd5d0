"""Messages made out of JSON: whole, once, or not at all."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from email.message import EmailMessage

import pytest

from connectors.api.errors import Denied, OutcomeUnknown, RateLimited, TooLarge, Unavailable
from connectors.api.types import SEEN
from connectors.graph.finding import REPEATED_WITHIN_S
from tests.connectors.graph.writing_rig import LOST, LOST_AFTER_WORK, Rig, mail
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.graph.faults import Fault
from tests.fakes.graph.records import Kind, Message

CREATE = "folder-messages.create"
ATTACH = "attachments.create"
SESSION = "attachments.createUploadSession"
MOVE = "messages.move"


def large(*sizes: int) -> bytes:
    """Return a message with attachments of those sizes."""
    message = EmailMessage()
    message["From"] = "alex@example.org"
    message["Message-ID"] = "<large@example.org>"
    message.set_content("text")
    for number, size in enumerate(sizes):
        data = random.Random(number).randbytes(size)
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=f"{number}.bin")
    return message.as_bytes(policy=message.policy.clone(linesep="\r\n"))


TWO_PIECES = large(2_000_000, 1_500_000)


def everything(rig: Rig) -> int:
    """Return how many messages there are anywhere, those that may be recovered too."""
    return len(rig.box.messages)


async def test_attachments_of_any_size_arrive(rig: Rig) -> None:
    data = large(1000, 2_900_000, 3 * 1024 * 1024, 5_000_000)
    state = await rig.append("inbox", data, frozenset({SEEN}))
    (message,) = rig.inside("inbox")
    assert rig.message(state.ref) is message
    assert message.is_read
    assert not message.is_draft
    files = {each.name: each.data for each in rig.files(message)}
    assert files == {
        f"{number}.bin": random.Random(number).randbytes(size)
        for number, size in enumerate((1000, 2_900_000, 3 * 1024 * 1024, 5_000_000))
    }
    assert everything(rig) == 1


async def test_a_large_signed_message_is_uploaded_with_every_octet_that_was_signed(rig: Rig) -> None:
    kind = b"Content-Type: multipart/signed; protocol=x; boundary=s\r\n\r\n"
    signed = (
        b"--s\r\n" + large(4_000_000) + b"\r\n--s\r\nContent-Type: application/pkcs7-signature\r\n\r\nx\r\n--s--\r\n"
    )
    state = await rig.append("inbox", b"Subject: signed\r\n" + kind + signed)
    message = rig.message(state.ref)
    (file,) = rig.files(message)
    assert (file.name, file.content_type) == ("smime.p7m", "multipart/signed")
    assert file.data == kind + signed
    assert message.extended is not None
    assert message.extended["String 0x1a"] == "IPM.Note.SMIME.MultipartSigned"


async def test_a_large_message_for_deleted_items_is_put_together_elsewhere(rig: Rig) -> None:
    await rig.append("deleteditems", TWO_PIECES)
    assert len(rig.inside("deleteditems")) == everything(rig) == 1


async def test_a_lost_answer_is_found_out(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, LOST_AFTER_WORK)
    state = await rig.append("inbox", mail(1), frozenset({SEEN}))
    (message,) = rig.inside("inbox")
    assert rig.message(state.ref) is message
    assert state.flags == frozenset({SEEN})


async def test_a_lost_answer_of_a_message_without_an_id_is_found_out(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, LOST_AFTER_WORK)
    state = await rig.append("inbox", b"Subject: without an id\r\n\r\ntext\r\n")
    assert [rig.message(state.ref)] == rig.inside("inbox")


async def test_another_copy_is_not_taken_for_a_lost_one(rig: Rig) -> None:
    await rig.append("inbox", mail(1))
    rig.fake.faults.order(CREATE, LOST)
    with pytest.raises(OutcomeUnknown):
        await rig.append("inbox", mail(1))
    assert len(rig.inside("inbox")) == 1
    await rig.append("inbox", mail(1))
    assert len(rig.inside("inbox")) == 2


async def test_a_repetition_finds_what_was_stored(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, LOST_AFTER_WORK)
    rig.fake.faults.order("folder-messages.list", Fault(status=403), times=1)
    with pytest.raises(OutcomeUnknown):
        await rig.append("inbox", mail(1), frozenset({SEEN}))
    state = await rig.append("inbox", mail(1), frozenset({SEEN}))
    assert [rig.message(state.ref)] == rig.inside("inbox")
    assert state.flags == frozenset({SEEN})
    await rig.append("inbox", mail(1))
    assert len(rig.inside("inbox")) == 2


async def test_long_after_it_is_no_repetition(rig: Rig, clock: JumpingClock) -> None:
    rig.fake.faults.order(CREATE, LOST_AFTER_WORK)
    rig.fake.faults.order("folder-messages.list", Fault(status=403), times=1)
    with pytest.raises(OutcomeUnknown):
        await rig.append("inbox", mail(1))
    await clock.sleep(REPEATED_WITHIN_S + 1)
    await rig.append("inbox", mail(1))
    assert len(rig.inside("inbox")) == 2


async def test_a_repetition_is_refused_while_nobody_can_tell(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, LOST_AFTER_WORK)
    rig.fake.faults.order("folder-messages.list", Fault(status=403), times=2)
    with pytest.raises(OutcomeUnknown):
        await rig.append("inbox", mail(1))
    with pytest.raises(Denied):
        await rig.append("inbox", mail(1))
    assert len(rig.inside("inbox")) == 1


async def test_a_success_that_was_none_is_not_believed(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, Fault(is_lie=True))
    with pytest.raises(TooLarge):
        await rig.append("inbox", mail(1, b"X-Long: %b\r\n" % (b"x" * 70 + b"\r\n " + b"y" * 70) * 8000))
    assert everything(rig) == 0


async def test_a_small_message_is_not_called_too_large(rig: Rig) -> None:
    """Whatever has answered with a success that was none, as a portal on the way does: the client is to try again."""
    rig.fake.faults.order(CREATE, Fault(is_lie=True))
    with pytest.raises(OutcomeUnknown):
        await rig.append("inbox", mail(1))
    await rig.append("inbox", mail(1))
    assert everything(rig) == 1


async def test_what_exchange_refuses_is_stored_with_itself_attached(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, Fault(status=400, code="ErrorInvalidRecipients"))
    state = await rig.append("inbox", mail(1), frozenset({SEEN}))
    message = rig.message(state.ref)
    (whole,) = rig.files(message)
    assert (whole.name, whole.data) == ("message.eml", mail(1))
    assert message.content.body.text == "Body 1.\r\n"
    assert message.is_read
    assert state.flags == frozenset({SEEN})


async def test_a_message_that_came_out_read_is_made_unread(rig: Rig) -> None:
    await rig.mail.tree()

    def read(_: object, message: Message, kind: Kind) -> None:
        if kind is Kind.ADDED:
            message.is_read = True

    rig.box.listeners.append(read)
    state = await rig.append("inbox", mail(1))
    assert not rig.message(state.ref).is_read
    assert state.flags == frozenset()


async def test_a_lost_message_is_found_under_another_id(rig: Rig) -> None:
    def rename(_: object, message: Message, kind: Kind) -> None:
        message.content.envelope = replace(message.content.envelope, message_id="<another@example.org>")

    rig.box.listeners.append(rename)
    rig.fake.faults.order(CREATE, LOST_AFTER_WORK)
    state = await rig.append("inbox", mail(1))
    assert [rig.message(state.ref)] == rig.inside("inbox")


async def test_refused_twice_it_is_not_stored(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, Fault(status=403), times=1)
    with pytest.raises(Denied):
        await rig.append("inbox", mail(1))
    assert everything(rig) == 0


@pytest.mark.parametrize(
    ("operation", "fault", "kind"),
    [
        (ATTACH, Fault(status=403), Denied),
        (ATTACH, LOST, Unavailable),
        (ATTACH, LOST_AFTER_WORK, Unavailable),
        (MOVE, Fault(status=403), Denied),
        (MOVE, LOST, Unavailable),
    ],
    ids=["refused", "lost", "done and lost", "move refused", "move lost"],
)
async def test_of_a_message_that_fails_midway_nothing_is_left(
    rig: Rig, operation: str, fault: Fault, kind: type[Exception]
) -> None:
    rig.fake.faults.order(operation, fault)
    with pytest.raises(kind):
        await rig.append("inbox", TWO_PIECES)
    assert everything(rig) == 0
    await rig.append("inbox", TWO_PIECES)
    assert everything(rig) == 1


async def test_an_attachment_that_is_too_large_either_way_is_told_to_be(rig: Rig) -> None:
    rig.fake.faults.order(ATTACH, Fault(status=413))
    with pytest.raises(TooLarge):
        await rig.append("inbox", TWO_PIECES)
    assert everything(rig) == 0
    # The stand-in finds fault with a session for so little.
    rig.fake.stats.violations.clear()


async def test_a_lost_answer_to_the_last_step_is_found_out(rig: Rig) -> None:
    rig.fake.faults.order(MOVE, LOST_AFTER_WORK)
    await rig.append("inbox", TWO_PIECES)
    (message,) = rig.inside("inbox")
    assert len(rig.files(message)) == 2
    assert everything(rig) == 1


async def test_what_could_not_be_deleted_is_deleted_by_the_next_append(rig: Rig) -> None:
    rig.fake.faults.order(ATTACH, Fault(status=403))
    rig.fake.faults.order("messages.permanentDelete", Fault(status=403))
    rig.fake.faults.order("messages.delete", Fault(status=403))
    with pytest.raises(Denied):
        await rig.append("inbox", TWO_PIECES)
    assert rig.inside("inbox") == []
    assert len(rig.inside("deleteditems")) == 1
    await rig.append("inbox", mail(1))
    assert everything(rig) == 1


async def test_where_nothing_is_deleted_for_good_it_is_deleted(rig: Rig) -> None:
    rig.fake.faults.order(ATTACH, Fault(status=403))
    rig.fake.faults.order("messages.permanentDelete", Fault(status=403))
    with pytest.raises(Denied):
        await rig.append("inbox", TWO_PIECES)
    assert rig.inside("inbox") == rig.inside("deleteditems") == []


async def test_a_cancelled_append_is_cleared_away_by_the_next(rig: Rig) -> None:
    await rig.mail.tree()
    started = asyncio.Event()
    rig.box.listeners.append(lambda *_: started.set())
    task = asyncio.create_task(rig.append("inbox", TWO_PIECES))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rig.inside("inbox") == []
    await rig.append("inbox", TWO_PIECES)
    assert len(rig.inside("inbox")) == everything(rig) == 1


async def test_throttling_is_passed_on_with_nothing_stored(rig: Rig) -> None:
    rig.fake.faults.order(CREATE, Fault(status=429, retry_after_s=200), times=20)
    with pytest.raises(RateLimited):
        await rig.append("inbox", mail(1))
    assert everything(rig) == 0
