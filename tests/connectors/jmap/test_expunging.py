"""EXPUNGE never loses a message that is anywhere else, and destroys only where that is meant."""

from __future__ import annotations

import asyncio

import pytest

from connectors.api.errors import Denied, NotFound, Unavailable
from connectors.api.types import MailboxRef, MessageRef
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import Stage, staged
from tests.fakes.jmap.options import FakeOptions


async def expunge_one(stage: Stage, ref: MessageRef, *path: str) -> None:
    result = await stage.connector.expunge(stage.ref(*path), [ref])
    assert dict(result.done) == {ref: None}
    assert not result.missing
    assert not result.failed


@pytest.mark.parametrize("path", ["INBOX", "Trash", "Junk", "Archive"])
@pytest.mark.parametrize("expunge", ["trash", "archive", "destroy"])
async def test_a_message_that_is_elsewhere_too_just_leaves(path: str, expunge: str) -> None:
    async with staged(expunge=expunge) as stage:
        ref = MessageRef(stage.fake.deliver(path, mail(1), also_in=["Sent"]))
        await expunge_one(stage, ref, path)
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Sent")}


@pytest.mark.parametrize(
    ("expunge", "path", "ends_in"),
    [
        ("trash", "INBOX", "Trash"),
        ("trash", "Archive", "Trash"),
        ("trash", "Trash", None),
        ("trash", "Junk", None),
        ("archive", "INBOX", "Archive"),
        ("archive", "Archive", "Trash"),
        ("archive", "Trash", None),
        ("archive", "Junk", None),
        ("destroy", "INBOX", None),
        ("destroy", "Trash", None),
    ],
)
async def test_the_last_mailbox_and_the_setting_say_where_a_message_goes(
    expunge: str, path: str, ends_in: str | None
) -> None:
    async with staged(expunge=expunge) as stage:
        ref = MessageRef(stage.fake.deliver(path, mail(1)))
        await expunge_one(stage, ref, path)
        if ends_in is None:
            assert ref not in stage.fake.account().emails
        else:
            assert stage.fake.email(ref).mailbox_ids == {stage.ref(ends_in)}


async def test_without_a_trash_a_message_is_destroyed() -> None:
    async with staged() as stage:
        stage.fake.delete_mailbox("Trash")
        await stage.connector.list_mailboxes()
        (ref,) = stage.fill(1)
        await expunge_one(stage, ref)
        assert stage.fake.account().emails == {}


async def test_a_trash_that_has_just_gone_is_noticed() -> None:
    async with staged(expunge="archive") as stage:
        (ref,) = stage.fill(1)
        stage.fake.delete_mailbox("Archive")
        await expunge_one(stage, ref)
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Trash")}


async def test_a_trash_that_is_the_trash_no_longer_destroys_nothing() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1, "Trash")
        stage.fake.mailbox("Trash").role = None
        stage.fake.create_mailbox("Bin", role="trash")
        await expunge_one(stage, ref, "Trash")
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Bin")}


async def test_a_trash_that_is_new_is_used() -> None:
    async with staged() as stage:
        stage.fake.delete_mailbox("Trash")
        await stage.connector.list_mailboxes()
        (ref,) = stage.fill(1)
        stage.fake.create_mailbox("Bin", role="trash")
        await expunge_one(stage, ref)
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Bin")}


async def test_a_message_that_is_put_back_at_once_leaves_again() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        gate = stage.fake.hold("Email/get")
        expunging = asyncio.ensure_future(stage.connector.expunge(stage.ref(), [ref]))
        await gate.arrived()
        gate.release()
        gate = stage.fake.hold("Email/get")
        await gate.arrived()
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Trash")}
        stage.fake.move(ref, "INBOX", "Sent")
        gate.release()
        await expunging
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Sent")}


async def test_a_message_put_elsewhere_before_it_is_destroyed_is_not_lost() -> None:
    async with staged() as stage:
        kept, gone = stage.fill(2, "Trash")
        gate = stage.fake.hold("Email/set")
        expunging = asyncio.ensure_future(stage.connector.expunge(stage.ref("Trash"), [kept, gone]))
        await gate.arrived()
        stage.fake.move(kept, "Trash", "Archive")
        gate.release()
        result = await expunging
        assert result.done.keys() == {kept, gone}
        assert stage.fake.email(kept).mailbox_ids == {stage.ref("Archive")}
        assert gone not in stage.fake.account().emails


async def test_a_message_taken_out_before_it_is_destroyed_is_not_lost() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1, "Trash")
        gate = stage.fake.hold("Email/set")
        expunging = asyncio.ensure_future(stage.connector.expunge(stage.ref("Trash"), [ref]))
        await gate.arrived()
        stage.fake.move(ref, "Archive")
        gate.release()
        assert (await expunging).missing == {ref}
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Archive")}


async def test_a_message_that_lost_its_other_mailbox_meanwhile_goes_to_the_trash() -> None:
    async with staged() as stage:
        ref = MessageRef(stage.fake.deliver("INBOX", mail(1), also_in=["Sent"]))
        gate = stage.fake.hold("Email/set")
        expunging = asyncio.ensure_future(stage.connector.expunge(stage.ref(), [ref]))
        await gate.arrived()
        stage.fake.move(ref, "INBOX")
        gate.release()
        assert (await expunging).done.keys() == {ref}
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Trash")}


async def test_an_account_that_never_rests_destroys_nothing() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1, "Trash")
        stage.fake.fail_next("Email/set", "method-error", times=None, error="stateMismatch")
        result = await stage.connector.expunge(stage.ref("Trash"), [ref])
        assert isinstance(result.failed[ref], Unavailable)
        assert ref in stage.fake.account().emails
        assert stage.api_requests() <= 15


async def test_what_was_done_is_told_although_the_rest_failed() -> None:
    async with staged(FakeOptions(max_objects_in_set=2)) as stage:
        refs = stage.fill(4, "Trash")
        stage.fake.fail_next("Email/set", "cut", skip=1)
        result = await stage.connector.expunge(stage.ref("Trash"), refs)
        assert result.done.keys() == set(refs[:2])
        assert result.failed.keys() == set(refs[2:])


async def test_what_is_not_there_is_missing() -> None:
    async with staged() as stage:
        here, there = *stage.fill(1), *stage.fill(1, "Sent")
        result = await stage.connector.expunge(stage.ref(), [here, there, MessageRef("none")])
        assert result.done.keys() == {here}
        assert result.missing == {there, "none"}
        with pytest.raises(NotFound):
            await stage.connector.expunge(MailboxRef("nowhere"), [here])


async def test_a_refusal_of_one_message_leaves_the_others_done() -> None:
    async with staged() as stage:
        refs = stage.fill(3)
        stage.fake.fail_next("Email/set", "set-error", error="forbidden")
        result = await stage.connector.expunge(stage.ref(), refs)
        assert [type(error) for error in result.failed.values()] == [Denied]
        assert len(result.done) == 2
