"""STORE, COPY and MOVE as patches."""

from __future__ import annotations

import pytest

from connectors.api.errors import ConnectorError, Denied, NotFound, Rejected, Unavailable
from connectors.api.types import FLAGGED, SEEN, BatchResult, MailboxRef, MessageRef
from tests.conformance.rig import mail
from tests.connectors.jmap.rig import BEGIN, staged
from tests.fakes.jmap.options import FakeOptions, Quirk

NONE: frozenset[str] = frozenset()


def flags(result: BatchResult, ref: MessageRef) -> frozenset[str] | None:
    state = result.done[ref]
    assert state is not None
    return state.flags


async def test_keywords_are_patched_and_no_other_is_touched() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        stage.fake.set_keywords(ref, ["work", "$flagged"])
        result = await stage.connector.store_flags(
            stage.ref(), [ref], frozenset({SEEN, "$Forwarded"}), frozenset({FLAGGED, "Never"})
        )
        assert flags(result, ref) == frozenset({SEEN, "$Forwarded", "work"})
        assert stage.fake.email(ref).keywords == {"$seen", "$forwarded", "work"}


async def test_keywords_that_look_like_paths_are_escaped() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        odd = frozenset({"a/b", "c~d", "~0/~1"})
        result = await stage.connector.store_flags(stage.ref(), [ref], odd, NONE)
        assert flags(result, ref) == odd
        result = await stage.connector.store_flags(stage.ref(), [ref], NONE, odd)
        assert flags(result, ref) == NONE


async def test_a_flag_that_jmap_cannot_hold_is_refused_before_anything_is_done() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        with pytest.raises(Rejected):
            await stage.connector.store_flags(stage.ref(), [ref], frozenset({"\\Deleted", SEEN}), NONE)
        assert sum(stage.fake.stats.requests.values()) == 0


async def test_no_flags_at_all_is_a_look() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        assert flags(await stage.connector.store_flags(stage.ref(), [ref], NONE, NONE), ref) == NONE
        assert stage.fake.stats.methods["Email/set"] == 0


async def test_states_after_a_write_hold_all_mailboxes() -> None:
    async with staged() as stage:
        ref = MessageRef(stage.fake.deliver("INBOX", mail(1), also_in=["Sent"], received_at=BEGIN))
        result = await stage.connector.store_flags(stage.ref(), [ref], frozenset({SEEN}), NONE)
        state = result.done[ref]
        assert state is not None
        assert state.mailboxes == frozenset({stage.ref(), stage.ref("Sent")})
        assert (state.internal_date, state.size) == (BEGIN, len(mail(1)))


async def test_a_message_that_has_left_the_mailbox_is_missing() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1, "Sent")
        result = await stage.connector.store_flags(stage.ref(), [ref], frozenset({SEEN}), NONE)
        assert result.missing == {ref}
        assert not result.done


async def test_a_copy_adds_and_a_move_exchanges() -> None:
    async with staged() as stage:
        ref = MessageRef(stage.fake.deliver("INBOX", mail(1), also_in=["Drafts"]))
        inbox, sent, archive = stage.ref(), stage.ref("Sent"), stage.ref("Archive")
        await stage.connector.copy(inbox, [ref], sent)
        assert stage.fake.email(ref).mailbox_ids == {inbox, stage.ref("Drafts"), sent}
        await stage.connector.move(inbox, [ref], archive)
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Drafts"), sent, archive}


async def test_to_where_it_is_nothing_is_done() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        for verb in (stage.connector.copy, stage.connector.move):
            result = await verb(stage.ref(), [ref, MessageRef("none")], stage.ref())
            assert result.done.keys() == {ref}
            assert result.missing == {"none"}
        assert stage.fake.stats.methods["Email/set"] == 0


async def test_a_destination_that_has_just_gone_is_not_found() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        archive = stage.ref("Archive")
        stage.fake.delete_mailbox("Archive")
        for verb in (stage.connector.copy, stage.connector.move):
            with pytest.raises(NotFound):
                await verb(stage.ref(), [ref], archive)
        assert stage.fake.email(ref).mailbox_ids == {stage.ref()}


async def test_as_many_mailboxes_as_there_may_be() -> None:
    async with staged(FakeOptions(max_mailboxes_per_email=2)) as stage:
        full = MessageRef(stage.fake.deliver("INBOX", mail(1), also_in=["Sent"]))
        (free,) = stage.fill(1)
        result = await stage.connector.copy(stage.ref(), [full, free], stage.ref("Archive"))
        assert result.done.keys() == {free}
        assert isinstance(result.failed[full], Rejected)
        # The connector does not know how many mailboxes a message is in: that is for the server to say.
        stage.fake.stats.violations.clear()


@pytest.mark.parametrize(("error", "kind"), [("forbidden", Denied), ("invalidProperties", Rejected)])
async def test_one_refusal_is_named_and_the_others_are_done(error: str, kind: type[ConnectorError]) -> None:
    async with staged() as stage:
        refs = stage.fill(5)
        stage.fake.fail_next("Email/set", "set-error", error=error)
        result = await stage.connector.store_flags(stage.ref(), refs, frozenset({SEEN}), NONE)
        assert len(result.done) == 4
        assert [type(refusal) for refusal in result.failed.values()] == [kind]


async def test_a_read_only_account_refuses_whole() -> None:
    async with staged(FakeOptions(read_only_accounts=frozenset({"alice"}))) as stage:
        (ref,) = stage.fill(1)
        with pytest.raises(Denied):
            await stage.connector.store_flags(stage.ref(), [ref], frozenset({SEEN}), NONE)


async def test_a_call_that_failed_leaves_those_of_the_other_done() -> None:
    async with staged(FakeOptions(max_objects_in_set=2)) as stage:
        refs = stage.fill(4)
        stage.fake.fail_next("Email/set", "method-error", skip=1, error="serverFail")
        result = await stage.connector.store_flags(stage.ref(), refs, frozenset({SEEN}), NONE)
        assert result.done.keys() == set(refs[:2])
        assert all(isinstance(result.failed[ref], Unavailable) for ref in refs[2:])


@pytest.mark.parametrize("quirk", [Quirk.GET_STOPS_SHORT, Quirk.LIMITS_COUNT_TOGETHER])
async def test_all_are_done_where_a_server_takes_and_gives_fewer_than_it_says(quirk: Quirk) -> None:
    async with staged(FakeOptions(max_objects_in_get=20, max_objects_in_set=20, quirks=frozenset({quirk}))) as stage:
        refs = stage.fill(50)
        result = await stage.connector.store_flags(stage.ref(), refs, frozenset({SEEN}), NONE)
        assert result.done.keys() == set(refs)
        assert all(stage.fake.email(ref).keywords == {"$seen"} for ref in refs)


async def test_large_patches_go_out_in_several_requests() -> None:
    async with staged(FakeOptions(max_size_request=20_000)) as stage:
        refs = stage.fill(stage.connector.capabilities.batch_limit)
        many = frozenset(f"{number}-{'x' * 200}" for number in range(20))
        result = await stage.connector.store_flags(stage.ref(), refs, many, NONE)
        assert result.done.keys() == set(refs)
        assert stage.api_requests() > 1


async def test_what_an_earlier_request_did_is_told_although_a_later_one_failed() -> None:
    async with staged(FakeOptions(max_size_request=20_000)) as stage:
        refs = stage.fill(stage.connector.capabilities.batch_limit)
        many = frozenset(f"{number}-{'x' * 200}" for number in range(20))
        stage.fake.fail_next("Email/set", "cut", skip=1)
        result = await stage.connector.store_flags(stage.ref(), refs, many, NONE)
        assert result.done
        assert result.failed
        assert result.done.keys() | result.failed.keys() == set(refs)


async def test_what_was_done_but_cannot_be_read_is_done() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        stage.fake.fail_next("Email/get", "method-error", error="serverFail")
        result = await stage.connector.store_flags(stage.ref(), [ref], frozenset({SEEN}), NONE)
        assert dict(result.done) == {ref: None}
        assert stage.fake.email(ref).keywords == {"$seen"}


async def test_an_unknown_mailbox_is_asked_for_once_and_not_found() -> None:
    async with staged() as stage:
        (ref,) = stage.fill(1)
        with pytest.raises(NotFound):
            await stage.connector.store_flags(MailboxRef("nowhere"), [ref], frozenset({SEEN}), NONE)
        assert stage.fake.stats.methods["Email/set"] == 0
        stage.fake.create_mailbox("New")
        stage.fake.move(ref, "New")
        result = await stage.connector.store_flags(stage.ref("New"), [ref], frozenset({SEEN}), NONE)
        assert result.done.keys() == {ref}
