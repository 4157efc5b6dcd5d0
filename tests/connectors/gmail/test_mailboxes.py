"""Making, renaming and deleting labels."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from connectors.api.errors import AlreadyExists, ConnectorError, NotFound, Unavailable, Unsupported
from connectors.api.types import MailboxRef, Role
from tests.connectors.gmail.stage import Stage, staged
from tests.fakes.gmail.options import FakeOptions, Quirks


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as made:
        yield made


def names(stage: Stage) -> list[str]:
    return sorted(label.name for label in stage.fake.mailbox.labels if not label.is_system)


async def create(stage: Stage, path: str) -> MailboxRef:
    return (await stage.connector.create_mailbox(tuple(path.split("/")), None)).ref


async def rename(stage: Stage, ref: str, path: str) -> tuple[str, ...]:
    return (await stage.connector.rename_mailbox(MailboxRef(ref), tuple(path.split("/")))).path


async def test_a_label_is_made_without_its_parents(stage: Stage) -> None:
    ref = await create(stage, "Work/2024/May")
    assert names(stage) == ["Work/2024/May"]
    found = {info.path: info.is_selectable for info in await stage.connector.list_mailboxes()}
    assert found["Work",] is False
    assert found["Work", "2024"] is False
    assert found["Work", "2024", "May"] is True
    parent = await create(stage, "Work")
    assert parent != ref
    assert names(stage) == ["Work", "Work/2024/May"]


@pytest.mark.parametrize("name", ["Trash", "drafts", "Muted", "todo", "Voicemail", "archive", "Enviado"])
async def test_a_reserved_name_cannot_be_had(stage: Stage, name: str) -> None:
    with pytest.raises(Unsupported) as caught:
        await create(stage, name)
    assert "reserved" in caught.value.client_text


@pytest.mark.parametrize("name", ["WORK", "work", "Work", "To-Do", "to do", "INBOX"])
async def test_a_name_that_collides_is_told_to_exist(stage: Stage, name: str) -> None:
    await create(stage, "Work")
    await create(stage, "To Do")
    with pytest.raises(AlreadyExists):
        await create(stage, name)


@pytest.mark.parametrize(
    "path",
    [
        ("[Gmail]", "x"),
        ("[Gmail]",),
        (" a",),
        ("a ",),
        ("a/b",),
        ("",),
        (),
        ("a\n",),
        ("a\x85",),
        ("a\u2028",),
        ("x" * 226,),
        ("a", ""),
    ],
)
async def test_a_name_that_cannot_be_is_not_sent(stage: Stage, path: tuple[str, ...]) -> None:
    with pytest.raises(Unsupported):
        await stage.connector.create_mailbox(path, None)
    assert not stage.calls("labels.create")


@pytest.mark.parametrize("name", ["\u4f1a\u8b70\u3000\u8cc7\u6599", "\U0001f468\u200d\U0001f469 home", "a\u00a0b"])
async def test_wide_spaces_and_joined_signs_may_be_in_a_name(stage: Stage, name: str) -> None:
    await create(stage, name)
    assert names(stage) == [name]


async def test_a_role_cannot_be_had(stage: Stage) -> None:
    with pytest.raises(Unsupported):
        await stage.connector.create_mailbox(("Archive",), Role.ARCHIVE)


# -- renaming ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moves_children", [False, True])
async def test_renaming_a_label_renames_every_one_below_it(moves_children: bool) -> None:
    async with staged(FakeOptions(quirks=Quirks(rename_moves_children=moves_children))) as stage:
        ref = await create(stage, "Work")
        child = await create(stage, "Work/2024/May")
        await create(stage, "Workshop")
        message = stage.deliver(1, child)
        assert await rename(stage, ref, "Home/Office") == ("Home", "Office")
        assert names(stage) == ["Home/Office", "Home/Office/2024/May", "Workshop"]
        assert await stage.probe(child).refs() == [message]


async def test_a_parent_that_is_only_implied_is_renamed_by_its_children(stage: Stage) -> None:
    await create(stage, "Work/A")
    await create(stage, "Work/B/C")
    assert await rename(stage, "/Work", "Play") == ("Play",)
    assert names(stage) == ["Play/A", "Play/B/C"]


async def test_a_rename_that_fails_half_way_is_undone(stage: Stage) -> None:
    ref = await create(stage, "Work")
    await create(stage, "Work/A")
    stage.fake.fail_next("gmail.users.labels.patch", status=200, delay_s=0.0)
    stage.fake.fail_next("gmail.users.labels.patch", status=409, reason="aborted")
    with pytest.raises(AlreadyExists):
        await rename(stage, ref, "Play")
    assert names(stage) == ["Work", "Work/A"]


@pytest.mark.parametrize("new", ["Work/Below", "[Gmail]/x", "Trash"])
async def test_a_label_is_not_renamed_to_what_cannot_be(stage: Stage, new: str) -> None:
    ref = await create(stage, "Work")
    with pytest.raises(Unsupported):
        await rename(stage, ref, new)
    assert names(stage) == ["Work"]


async def test_only_the_case_of_a_name_can_be_changed(stage: Stage) -> None:
    ref = await create(stage, "work")
    assert await rename(stage, ref, "Work") == ("Work",)
    assert await rename(stage, ref, "Work") == ("Work",)


@pytest.mark.parametrize("ref", ["INBOX", "ALL", "SENT", "STARRED", "/[Gmail]"])
async def test_what_is_gmail_s_stays(stage: Stage, ref: str) -> None:
    with pytest.raises(Unsupported):
        await rename(stage, ref, "Mine")
    with pytest.raises(Unsupported):
        await stage.connector.delete_mailbox(MailboxRef(ref))


# -- deleting ---------------------------------------------------------------------------------------------------------


async def test_messages_of_a_deleted_label_stay_in_all_mail(stage: Stage) -> None:
    ref = await create(stage, "Work")
    message = stage.deliver(1, ref)
    await stage.connector.delete_mailbox(ref)
    assert names(stage) == []
    assert await stage.probe("ALL").refs() == [message]


async def test_an_implied_parent_cannot_be_deleted(stage: Stage) -> None:
    await create(stage, "Work/A")
    with pytest.raises(Unsupported):
        await stage.connector.delete_mailbox(MailboxRef("/Work"))


async def test_what_is_gone_already_is_not_found(stage: Stage) -> None:
    ref = await create(stage, "Work")
    stage.fake.delete_label(ref)
    with pytest.raises(NotFound):
        await stage.connector.delete_mailbox(ref)
    with pytest.raises(NotFound):
        await rename(stage, ref, "Play")


@pytest.mark.parametrize("is_after_work", [True, False])
@pytest.mark.parametrize("fault", [{"is_cut": True}, {"status": 503}])
async def test_a_label_whose_deletion_is_answered_by_nothing_is_deleted(
    stage: Stage, fault: dict[str, Any], is_after_work: bool
) -> None:
    ref = await create(stage, "Work")
    stage.fake.fail_next("gmail.users.labels.delete", is_after_work=is_after_work, **fault)
    await stage.connector.delete_mailbox(ref)
    assert names(stage) == []


async def test_a_failure_of_gmail_s_is_not_one_of_the_name(stage: Stage) -> None:
    ref = await create(stage, "Work")
    stage.fake.fail_next("gmail.users.labels.patch", times=20, status=503)
    with pytest.raises(Unavailable):
        await rename(stage, ref, "Play")
    stage.fake.faults.clear()
    stage.fake.fail_next("gmail.users.labels.create", status=403, reason="insufficientPermissions")
    with pytest.raises(ConnectorError):
        await create(stage, "Home")
    assert names(stage) == ["Work"]
