"""Files attached to a message that is there."""

from __future__ import annotations

import pytest

from connectors.api.errors import NotFound, TooLarge
from connectors.api.types import MessageRef
from connectors.graph.attachments import MAX_OCTETS, SESSION_OCTETS, attach
from connectors.graph.parts import Octets, Part
from tests.connectors.graph.writing_rig import Rig
from tests.fakes.graph.faults import Fault


def part(octets: int) -> Part:
    return Part("Übersicht.pdf", "application/pdf", Octets(bytes(octets), 0, octets), "i@example.org", is_inline=True)


@pytest.fixture
async def ref(rig: Rig) -> MessageRef:
    return (await rig.fill("inbox", 1))[0]


@pytest.mark.parametrize(
    ("octets", "operation"),
    [
        (0, "attachments.create"),
        (1000, "attachments.create"),
        (SESSION_OCTETS - 2000, "attachments.create"),
        (SESSION_OCTETS, "attachments.createUploadSession"),
        (SESSION_OCTETS + 5_000_000, "attachments.createUploadSession"),
    ],
)
async def test_a_file_of_any_size_is_attached_with_all_about_it(
    rig: Rig, ref: MessageRef, octets: int, operation: str
) -> None:
    await attach(rig.client, ref, part(octets))
    (found,) = rig.files(rig.message(ref))
    assert (found.name, found.content_type, found.is_inline, found.content_id, len(found.data)) == (
        "Übersicht.pdf", "application/pdf", True, "i@example.org", octets,
    )  # fmt: skip
    assert rig.fake.stats.requests[operation] == 1


async def test_a_file_that_is_too_small_for_a_session_goes_out_at_once(
    rig: Rig, ref: MessageRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.graph.attachments.SESSION_OCTETS", 1000)
    code = "ErrorAttachmentSizeShouldNotBeLessThanMinimumSize"
    rig.fake.faults.order("attachments.createUploadSession", Fault(status=400, code=code))
    await attach(rig.client, ref, part(1000))
    assert len(rig.files(rig.message(ref))) == 1


async def test_a_file_that_is_too_large_either_way_is_told_to_be(rig: Rig, ref: MessageRef) -> None:
    rig.fake.faults.order("attachments.createUploadSession", Fault(status=413))
    rig.fake.faults.order("attachments.create", Fault(status=413))
    with pytest.raises(TooLarge):
        await attach(rig.client, ref, part(SESSION_OCTETS - 2000))
    assert rig.files(rig.message(ref)) == ()


async def test_what_exchange_never_takes_is_not_sent(rig: Rig, ref: MessageRef) -> None:
    class Vast(Octets):
        size = MAX_OCTETS + 1

    rig.fake.stats.clear()
    with pytest.raises(TooLarge):
        await attach(rig.client, ref, Part("vast", "application/pdf", Vast(b"", 0, 0)))
    assert rig.fake.stats.total_requests == 0


async def test_a_message_that_is_gone_is_not_found(rig: Rig, ref: MessageRef) -> None:
    rig.box.purge(rig.message(ref))
    with pytest.raises(NotFound):
        await attach(rig.client, ref, part(10))
