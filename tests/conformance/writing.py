"""What every connector must do when it writes messages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future

import pytest

from connectors.api.abilities import NewMessage
from connectors.api.capabilities import Scope
from connectors.api.connector import Connector
from connectors.api.errors import ConnectorError, NotFound, Rejected, Unavailable
from connectors.api.types import (
    ANSWERED,
    DELETED,
    DRAFT,
    FLAGGED,
    SEEN,
    SYSTEM_FLAGS,
    BatchResult,
    BytesContent,
    MailboxRef,
    MessageContent,
    MessageRef,
)
from tests.conformance.base import Suite, require, require_stored_octets, stored_by_leave, stored_together
from tests.conformance.rig import DATE, INBOX, Ability, Probe, Rig, chosen, find_mailbox, mail, message_id

NONE: frozenset[str] = frozenset()
MANY = 60


class Torn:
    """A message that ends before it has all the octets it claims."""

    size = 500

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b"Subject: torn\r\n\r\n"


class WritingSuite(Suite):
    """Flags, APPEND, COPY, MOVE and EXPUNGE."""

    # -- flags --------------------------------------------------------------------------------------------------------

    async def test_flags_are_added_and_removed_exactly(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1), frozenset({SEEN}))
        result = await self._store(inbox, [state.ref], frozenset({FLAGGED}), frozenset({SEEN}))
        assert_done(result, [state.ref])
        assert flags_of(result, state.ref) == frozenset({FLAGGED})
        assert await inbox.flags(state.ref) == frozenset({FLAGGED})

    @pytest.mark.parametrize("flag", sorted(SYSTEM_FLAGS))
    async def test_each_system_flag_that_is_storable_is_stored(self, inbox: Probe, flag: str) -> None:
        info = await find_mailbox(inbox.connector, INBOX)
        if flag == DELETED:
            assert (DELETED in info.storable_flags) == inbox.connector.capabilities.has_deleted_flag
        if flag not in info.storable_flags:
            pytest.skip(f"lacks the flag {flag}")
        state = await inbox.append(mail(1))
        assert state.flags == NONE
        await self._store(inbox, [state.ref], frozenset({flag}), NONE)
        assert await inbox.flags(state.ref) == frozenset({flag})
        await self._store(inbox, [state.ref], NONE, frozenset({flag}))
        assert await inbox.flags(state.ref) == NONE

    async def test_flags_are_added_to_those_set_outside(self, rig: Rig, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        await rig.set_flags(INBOX, message_id(1), frozenset({SEEN}))
        result = await self._store(inbox, [state.ref], frozenset({FLAGGED}), NONE)
        assert flags_of(result, state.ref) == frozenset({SEEN, FLAGGED})
        assert await inbox.flags(state.ref) == frozenset({SEEN, FLAGGED})

    async def test_storing_what_is_stored_changes_nothing(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1), frozenset({SEEN}))
        result = await self._store(inbox, [state.ref], frozenset({SEEN}), frozenset({FLAGGED}))
        assert flags_of(result, state.ref) == frozenset({SEEN})

    async def test_keywords_are_kept_as_spelled(self, rig: Rig, inbox: Probe) -> None:
        require(rig, Ability.KEYWORDS)
        state = await inbox.append(mail(1), frozenset({"$Forwarded", SEEN}))
        assert state.flags == frozenset({"$Forwarded", SEEN})
        await self._store(inbox, [state.ref], frozenset({"Work", "NonJunk"}), frozenset({SEEN}))
        assert await inbox.flags(state.ref) == frozenset({"$Forwarded", "Work", "NonJunk"})
        await self._store(inbox, [state.ref], NONE, frozenset({"$Forwarded", "Work"}))
        assert await inbox.flags(state.ref) == frozenset({"NonJunk"})

    async def test_flags_of_many_messages_are_stored_in_one_call(self, inbox: Probe) -> None:
        count = min(MANY, inbox.connector.capabilities.batch_limit)
        refs = [(await inbox.append(mail(number))).ref for number in range(count + 1)]
        result = await self._store(inbox, refs[:-1], frozenset({SEEN}), NONE)
        assert_done(result, refs[:-1])
        assert all(flags_of(result, ref) == frozenset({SEEN}) for ref in refs[:-1])
        assert await inbox.flags(refs[-1]) == NONE

    async def test_missing_messages_are_named_and_the_others_done(self, rig: Rig, inbox: Probe) -> None:
        gone = await inbox.append(mail(1))
        kept = await inbox.append(mail(2))
        await rig.remove(INBOX, message_id(1))
        result = await self._store(inbox, [gone.ref, kept.ref], frozenset({SEEN}), NONE)
        assert result.missing == frozenset({gone.ref})
        assert result.done.keys() == {kept.ref}
        assert not result.failed
        assert await inbox.flags(kept.ref) == frozenset({SEEN})

    async def test_writes_on_no_message_do_nothing(self, inbox: Probe, other: Probe) -> None:
        connector = inbox.connector
        assert_done(await self._store(inbox, [], frozenset({SEEN}), NONE), [])
        assert_done(await connector.copy(inbox.ref, [], other.ref), [])
        assert_done(await connector.move(inbox.ref, [], other.ref), [])
        assert_done(await connector.expunge(inbox.ref, []), [])

    @staticmethod
    async def _store(probe: Probe, refs: list[MessageRef], add: frozenset[str], remove: frozenset[str]) -> BatchResult:
        return await probe.connector.store_flags(probe.ref, refs, add, remove)

    # -- append -------------------------------------------------------------------------------------------------------

    async def test_an_appended_message_is_listed_as_it_was_given(self, inbox: Probe) -> None:
        flags = frozenset({SEEN, FLAGGED})
        state = await inbox.append(mail(1), flags, DATE)
        assert state.flags == flags
        assert state.internal_date == DATE
        inbox.assert_size(state, mail(1))
        assert await inbox.refs() == [state.ref]
        await inbox.assert_is(state.ref, mail(1))

    async def test_appended_messages_come_in_the_order_of_their_arrival(self, inbox: Probe) -> None:
        refs = [(await inbox.append(mail(number))).ref for number in range(10)]
        assert await inbox.refs() == refs

    async def test_the_same_message_twice_is_two_messages(self, rig: Rig, inbox: Probe) -> None:
        require(rig, Ability.DUPLICATES)
        first = await inbox.append(mail(1))
        second = await inbox.append(mail(1))
        assert await inbox.refs() == [first.ref, second.ref]

    async def test_the_same_message_twice_is_there_once_where_it_cannot_be_twice(self, rig: Rig, inbox: Probe) -> None:
        if Ability.DUPLICATES in rig.abilities:
            pytest.skip("has the ability: " + Ability.DUPLICATES.value)
        first = await inbox.append(mail(1), frozenset({SEEN}))
        second = await inbox.append(mail(1), frozenset({FLAGGED}))
        assert second.ref == first.ref
        assert second.flags == frozenset({SEEN, FLAGGED})
        assert await inbox.refs() == [first.ref]

    async def test_no_date_means_now(self, inbox: Probe) -> None:
        before = await inbox.append(mail(1))
        after = await inbox.append(mail(2))
        assert before.internal_date is not None
        assert after.internal_date is not None
        assert before.internal_date.tzinfo is not None
        assert DATE < before.internal_date <= after.internal_date

    @pytest.mark.parametrize(
        "data",
        [b"Subject: no body\r\n\r\n", b"Subject: no empty line\r\n", b"\r\nno header\r\n", b"X: y\r\n\r\nno line end"],
    )
    async def test_odd_messages_are_kept_as_they_are_or_refused(self, inbox: Probe, data: bytes) -> None:
        require_stored_octets(inbox.connector)
        try:
            state = await inbox.append(data)
        except Rejected:
            assert await inbox.refs() == []
            return
        assert state.size == len(data)
        await inbox.assert_is(state.ref, data)

    async def test_append_to_an_unknown_mailbox_is_not_found(self, connector: Connector) -> None:
        with pytest.raises(NotFound):
            await connector.append(MailboxRef("no-such-mailbox"), BytesContent(mail(1)), NONE, None)

    async def test_concurrent_appends_are_all_stored(self, inbox: Probe) -> None:
        states = await asyncio.gather(*(inbox.append(mail(number)) for number in range(10)))
        assert sorted(await inbox.refs()) == sorted(state.ref for state in states)
        for number, state in enumerate(states):
            await inbox.assert_is(state.ref, mail(number))

    # -- several at once ----------------------------------------------------------------------------------------------

    async def test_messages_stored_together_are_what_they_would_be_one_by_one(self, inbox: Probe) -> None:
        before = await inbox.append(mail(0))
        flags = [frozenset({SEEN}), NONE, frozenset({SEEN, FLAGGED})]
        messages = [NewMessage(BytesContent(mail(number + 1)), flags[number], DATE) for number in range(3)]
        states = await stored_together(inbox.connector, inbox.ref, messages)
        assert await inbox.refs() == [before.ref, *(state.ref for state in states)]
        for number, state in enumerate(states):
            assert (state.flags, state.internal_date) == (flags[number], DATE)
            inbox.assert_size(state, mail(number + 1))
            assert await inbox.flags(state.ref) == flags[number]
        await inbox.assert_are([state.ref for state in states], [mail(number + 1) for number in range(3)])

    async def test_of_messages_to_be_stored_together_none_is_if_one_is_refused(self, inbox: Probe) -> None:
        contents: list[MessageContent] = [BytesContent(mail(1)), Torn(), BytesContent(mail(2))]
        with pytest.raises(Rejected):
            await stored_together(inbox.connector, inbox.ref, [NewMessage(each, NONE, None) for each in contents])
        assert await inbox.refs() == []

    @pytest.mark.parametrize("count", [1, 3])
    async def test_messages_exist_only_once_there_is_leave(self, inbox: Probe, count: int) -> None:
        messages = [NewMessage(BytesContent(mail(number)), frozenset({SEEN}), DATE) for number in range(count)]
        leave: Future[None] = Future()
        appending = asyncio.create_task(stored_by_leave(inbox.connector, inbox.ref, messages, leave))
        try:
            assert await inbox.refs() == []
        finally:
            leave.set_result(None)
            states = await appending
        assert await inbox.refs() == [state.ref for state in states]
        await inbox.assert_are([state.ref for state in states], [mail(number) for number in range(count)])

    @pytest.mark.parametrize("is_late", [False, True])
    async def test_a_message_for_which_leave_is_refused_is_not_stored(self, inbox: Probe, is_late: bool) -> None:
        leave: Future[None] = Future()
        if not is_late:
            leave.set_exception(Unavailable("refused"))
        message = NewMessage(BytesContent(mail(1)), NONE, None)
        appending = asyncio.create_task(stored_by_leave(inbox.connector, inbox.ref, [message], leave))
        assert await inbox.refs() == []
        if is_late:
            leave.set_exception(Unavailable("refused"))
        with pytest.raises(Unavailable, match="refused"):
            await appending
        # Whatever was prepared is out of the way.
        state = await inbox.append(mail(2))
        assert await inbox.refs() == [state.ref]

    async def test_messages_cannot_be_stored_together_in_an_unknown_mailbox(self, connector: Connector) -> None:
        messages = [NewMessage(BytesContent(mail(number)), NONE, None) for number in range(2)]
        with pytest.raises(NotFound):
            await stored_together(connector, MailboxRef("no-such-mailbox"), messages)

    # -- copy and move ------------------------------------------------------------------------------------------------

    async def test_a_copy_keeps_flags_date_and_octets(self, inbox: Probe, other: Probe) -> None:
        flags = frozenset({ANSWERED, SEEN}) & (await find_mailbox(inbox.connector, INBOX)).storable_flags
        state = await inbox.append(mail(1), flags, DATE)
        result = await inbox.connector.copy(inbox.ref, [state.ref], other.ref)
        copy = only_state(result, state.ref)
        assert await inbox.refs() == [state.ref]
        assert await other.refs() == [copy]
        found = await other.state(copy)
        assert (found.flags, found.internal_date) == (flags, DATE)
        other.assert_size(found, mail(1))
        await other.assert_is(copy, mail(1))

    async def test_a_copy_shares_its_ref_only_where_messages_are_in_many_mailboxes(
        self, inbox: Probe, other: Probe
    ) -> None:
        state = await inbox.append(mail(1))
        copy = only_state(await inbox.connector.copy(inbox.ref, [state.ref], other.ref), state.ref)
        capabilities = inbox.connector.capabilities
        if capabilities.many_mailboxes:
            assert copy == state.ref
            told = (await inbox.state(copy)).mailboxes
            assert await chosen(inbox.connector, told) == frozenset({inbox.ref, other.ref})
        elif capabilities.ref_scope is Scope.ACCOUNT:
            assert copy != state.ref

    async def test_flags_of_a_copy_are_its_own_unless_it_is_the_same_message(self, inbox: Probe, other: Probe) -> None:
        state = await inbox.append(mail(1))
        copy = only_state(await inbox.connector.copy(inbox.ref, [state.ref], other.ref), state.ref)
        await self._store(other, [copy], frozenset({FLAGGED}), NONE)
        is_shared = inbox.connector.capabilities.many_mailboxes
        assert await inbox.flags(state.ref) == (frozenset({FLAGGED}) if is_shared else NONE)

    async def test_keywords_go_along_with_a_copy(self, rig: Rig, inbox: Probe, other: Probe) -> None:
        require(rig, Ability.KEYWORDS)
        await other.append(mail(1), frozenset({"Unlike"}))
        state = await inbox.append(mail(2), frozenset({"Work", "$Label1"}))
        copy = only_state(await inbox.connector.copy(inbox.ref, [state.ref], other.ref), state.ref)
        assert await other.flags(copy) == frozenset({"Work", "$Label1"})

    async def test_a_move_leaves_nothing_behind(self, inbox: Probe, other: Probe) -> None:
        kept = await inbox.append(mail(1))
        state = await inbox.append(mail(2), frozenset({SEEN}), DATE)
        moved = only_state(await inbox.connector.move(inbox.ref, [state.ref], other.ref), state.ref)
        assert await inbox.refs() == [kept.ref]
        assert await other.refs() == [moved]
        found = await other.state(moved)
        assert (found.flags, found.internal_date) == (frozenset({SEEN}), DATE)
        await other.assert_is(moved, mail(2))

    async def test_many_messages_move_in_their_order(self, inbox: Probe, other: Probe) -> None:
        count = min(MANY, inbox.connector.capabilities.batch_limit)
        refs = [(await inbox.append(mail(number))).ref for number in range(count)]
        result = await inbox.connector.move(inbox.ref, refs, other.ref)
        assert_done(result, refs)
        assert await inbox.refs() == []
        await other.assert_are(await other.refs(), [mail(number) for number in range(count)])

    async def test_copy_and_move_name_missing_messages(self, rig: Rig, inbox: Probe, other: Probe) -> None:
        gone = await inbox.append(mail(1))
        kept = await inbox.append(mail(2))
        await rig.remove(INBOX, message_id(1))
        copied = await inbox.connector.copy(inbox.ref, [gone.ref, kept.ref], other.ref)
        assert (copied.missing, set(copied.done)) == (frozenset({gone.ref}), {kept.ref})
        moved = await inbox.connector.move(inbox.ref, [kept.ref, gone.ref], other.ref)
        assert (moved.missing, set(moved.done)) == (frozenset({gone.ref}), {kept.ref})
        assert await inbox.refs() == []

    async def test_copy_and_move_to_an_unknown_mailbox_do_nothing(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        nowhere = MailboxRef("no-such-mailbox")
        with pytest.raises(NotFound):
            await inbox.connector.copy(inbox.ref, [state.ref], nowhere)
        with pytest.raises(NotFound):
            await inbox.connector.move(inbox.ref, [state.ref], nowhere)
        assert await inbox.refs() == [state.ref]

    # -- expunge ------------------------------------------------------------------------------------------------------

    async def test_exactly_the_named_messages_are_expunged(self, inbox: Probe) -> None:
        deleted = frozenset({DELETED}) & (await find_mailbox(inbox.connector, INBOX)).storable_flags
        first = await inbox.append(mail(1))
        second = await inbox.append(mail(2), deleted)
        third = await inbox.append(mail(3), frozenset({DRAFT}))
        result = await inbox.connector.expunge(inbox.ref, [first.ref, third.ref])
        assert_done(result, [first.ref, third.ref])
        assert await inbox.refs() == [second.ref]
        assert await inbox.flags(second.ref) == deleted

    async def test_expunged_twice_is_missing(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        await inbox.connector.expunge(inbox.ref, [state.ref])
        result = await inbox.connector.expunge(inbox.ref, [state.ref])
        assert result.missing == frozenset({state.ref})
        assert not result.done

    async def test_expunging_a_copy_leaves_the_other(self, inbox: Probe, other: Probe) -> None:
        state = await inbox.append(mail(1))
        copy = only_state(await inbox.connector.copy(inbox.ref, [state.ref], other.ref), state.ref)
        await inbox.connector.expunge(inbox.ref, [state.ref])
        assert await inbox.refs() == []
        await other.assert_is(copy, mail(1))

    async def test_writes_to_an_unknown_mailbox_fail_whole(self, inbox: Probe) -> None:
        state = await inbox.append(mail(1))
        nowhere = Probe(inbox.connector, MailboxRef("no-such-mailbox"))
        with pytest.raises(ConnectorError):
            await self._store(nowhere, [state.ref], frozenset({SEEN}), NONE)
        with pytest.raises(ConnectorError):
            await nowhere.connector.expunge(nowhere.ref, [state.ref])


def assert_done(result: BatchResult, refs: list[MessageRef]) -> None:
    """Assert that all was done and nothing else was said."""
    assert result.done.keys() == set(refs)
    assert not result.missing
    assert not result.failed


def flags_of(result: BatchResult, ref: MessageRef) -> frozenset[str] | None:
    state = result.done[ref]
    assert state is not None
    return state.flags


def only_state(result: BatchResult, ref: MessageRef) -> MessageRef:
    """Return the ref that the one message has now."""
    assert_done(result, [ref])
    state = result.done[ref]
    assert state is not None
    return state.ref
