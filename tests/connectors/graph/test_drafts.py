"""Drafts: MIME as it is, moved to where they belong."""

from __future__ import annotations

import base64

import pytest

from connectors.api.errors import Denied, OutcomeUnknown
from connectors.api.types import DRAFT, FLAGGED, SEEN
from tests.connectors.graph.test_making import everything, large
from tests.connectors.graph.writing_rig import LOST, LOST_AFTER_WORK, NONE, Rig, mail
from tests.fakes.graph.faults import Fault

CREATE = "messages.create"
PATCH = "messages.patch"
MOVE = "messages.move"


async def test_a_draft_goes_out_as_mime(rig: Rig) -> None:
    state = await rig.append("drafts", mail(1), frozenset({SEEN, "Work"}))
    (message,) = rig.inside("drafts")
    assert rig.message(state.ref) is message
    assert message.is_draft
    assert message.content.mime is not None
    assert message.content.mime() == mail(1)
    assert state.flags == frozenset({SEEN, DRAFT, "Work"})


async def test_a_draft_is_unread_where_that_is_asked_for(rig: Rig) -> None:
    state = await rig.append("drafts", mail(1))
    assert not rig.message(state.ref).is_read
    assert state.flags == frozenset({DRAFT})


async def test_a_draft_elsewhere_is_moved_there(rig: Rig) -> None:
    rig.box.create_folder("Work")
    state = await rig.append("Work", mail(1), frozenset({DRAFT, FLAGGED}))
    (message,) = rig.inside("Work")
    assert message.is_draft
    assert rig.inside("drafts") == []
    assert state.flags == frozenset({DRAFT, FLAGGED})


@pytest.mark.parametrize("name", ["drafts", "inbox"])
async def test_a_large_draft_stays_a_draft(rig: Rig, name: str) -> None:
    data = large(3_500_000, 100)
    state = await rig.append(name, data, frozenset({DRAFT}))
    (message,) = rig.inside(name)
    assert message.is_draft
    assert sorted(len(each.data) for each in rig.files(message)) == [100, 3_500_000]
    assert state.flags == frozenset({DRAFT})
    assert everything(rig) == 1


async def test_the_largest_mime_fits_into_a_request(rig: Rig) -> None:
    octets = 2_900_000 - 600
    data = mail(1, b"Content-Transfer-Encoding: base64\r\n") + base64.b64encode(bytes(octets * 3 // 4))
    await rig.append("drafts", data)
    assert rig.fake.stats.requests[CREATE] == 1
    assert rig.fake.stats.requests["folder-messages.create"] == 0


@pytest.mark.parametrize("fault", [(400, "ErrorMimeContentInvalid"), (500, "ErrorMimeContentConversionFailed")])
async def test_what_is_no_mime_for_exchange_is_made_of_json(rig: Rig, fault: tuple[int, str]) -> None:
    rig.fake.faults.order(CREATE, Fault(status=fault[0], code=fault[1]))
    state = await rig.append("drafts", mail(1))
    message = rig.message(state.ref)
    assert message.is_draft
    assert message.content.body.text == "Body 1.\r\n"


@pytest.mark.parametrize("fault", [LOST, LOST_AFTER_WORK], ids=["undone", "done"])
async def test_a_lost_answer_is_left_to_the_gateway_to_settle(rig: Rig, fault: Fault) -> None:
    rig.fake.faults.order(CREATE, fault)
    with pytest.raises(OutcomeUnknown):
        await rig.append("drafts", mail(1))


@pytest.mark.parametrize("operation", [PATCH, MOVE])
async def test_of_a_draft_that_fails_midway_nothing_is_left(rig: Rig, operation: str) -> None:
    rig.fake.faults.order(operation, Fault(status=403))
    with pytest.raises(Denied):
        await rig.append("inbox", mail(1), frozenset({DRAFT}))
    assert everything(rig) == 0


async def test_a_conflict_over_the_flags_is_overcome(rig: Rig) -> None:
    rig.fake.faults.order(PATCH, Fault(status=412), times=2)
    state = await rig.append("drafts", mail(1), frozenset({FLAGGED}))
    assert rig.message(state.ref).flag["flagStatus"] == "flagged"


async def test_an_empty_draft_is_stored(rig: Rig) -> None:
    state = await rig.append("drafts", b"", NONE)
    assert rig.message(state.ref).is_draft
