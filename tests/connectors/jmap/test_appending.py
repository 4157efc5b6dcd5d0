"""APPEND by upload and import, where messages may be had twice and where not."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone

import pytest

from connectors.api.errors import ConnectorError, Denied, NotFound, OverQuota, Rejected, TooLarge, Unavailable
from connectors.api.types import FLAGGED, SEEN, BytesContent, MailboxRef, MessageState, Role
from connectors.jmap.appending import utc_date
from tests.conformance.rig import DATE, mail
from tests.connectors.jmap.rig import BEGIN, CyrusRig, Stage, staged
from tests.fakes.jmap.options import FakeOptions, Quirk
from tests.servers.cyrus import Cyrus

NONE: frozenset[str] = frozenset()
UNIQUE = FakeOptions(quirks=frozenset({Quirk.FORBID_DUPLICATES}))


async def append(stage: Stage, *path: str, flags: frozenset[str] = NONE, date: datetime | None = DATE) -> MessageState:
    return await stage.connector.append(stage.ref(*path), BytesContent(mail(1)), flags, date)


async def test_the_state_is_complete_and_true() -> None:
    async with staged() as stage:
        state = await append(stage, flags=frozenset({SEEN, "$Forwarded"}))
        (told,) = await stage.connector.states(stage.ref(), [state.ref])
        assert state == told
        assert stage.fake.email(state.ref).content.data == mail(1)
        assert state.internal_date == DATE


async def test_no_date_is_now_and_never_what_the_message_says() -> None:
    async with staged() as stage:
        state = await append(stage, date=None)
        assert state.internal_date is not None
        assert BEGIN < state.internal_date < BEGIN + timedelta(hours=1)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), "2024-02-29T23:59:59Z"),
        (datetime(2024, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=5, minutes=45))), "2023-12-31T18:45:00Z"),
        (datetime(987, 1, 1, tzinfo=UTC), "0987-01-01T00:00:00Z"),
    ],
)
def test_dates_are_in_utc_and_whole_seconds(moment: datetime, text: str) -> None:
    assert utc_date(moment) == text


@pytest.mark.parametrize(("year", "hours"), [(1, 14), (9999, -12)])
def test_a_date_that_utc_does_not_have_is_refused(year: int, hours: int) -> None:
    month, day = (1, 1) if year == 1 else (12, 31)
    with pytest.raises(Rejected, match="no date in UTC"):
        utc_date(datetime(year, month, day, 0 if year == 1 else 23, tzinfo=timezone(timedelta(hours=hours))))


@pytest.mark.parametrize(("year", "holds"), [(1969, 2105), (1970, 1970), (2037, 2037), (2107, 1970)])
async def test_a_date_that_the_server_cannot_hold_is_told_as_it_holds_it(year: int, holds: int) -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.DATES_WRAP}))) as stage:
        state = await append(stage, date=datetime(year, 1, 2, tzinfo=UTC))
        assert state.internal_date is not None
        assert state.internal_date == stage.fake.email(state.ref).received_at
        assert state.internal_date.year in (holds, holds + 1)


async def test_a_date_that_cannot_be_read_back_is_unknown() -> None:
    async with staged() as stage:
        stage.fake.fail_next("Email/get", "method-error", error="serverFail")
        state = await append(stage, date=datetime(1969, 1, 2, tzinfo=UTC))
        assert state.internal_date is None


@pytest.mark.parametrize("year", [1900, 1969, 1970, 2040, 2107])
async def test_cyrus_is_believed_about_dates(cyrus: Cyrus, year: int) -> None:
    connector = CyrusRig(cyrus).connector()
    await connector.open()
    inbox = next(info.ref for info in await connector.list_mailboxes() if info.role is Role.INBOX)
    state = await connector.append(inbox, BytesContent(mail(year)), NONE, datetime(year, 6, 1, tzinfo=UTC))
    assert await connector.states(inbox, [state.ref]) == [state]
    await connector.close()


async def test_a_repaired_message_has_the_size_it_was_given() -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.IMPORT_REPAIRS}))) as stage:
        data = mail(1).replace(b"\r\n", b"\n")
        state = await stage.connector.append(stage.ref(), BytesContent(data), NONE, None)
        assert state.size == len(mail(1))


# -- the same message again -------------------------------------------------------------------------------------------


async def test_a_message_that_is_elsewhere_is_put_here_too_with_the_flags() -> None:
    async with staged(UNIQUE) as stage:
        first = await append(stage, "Sent", flags=frozenset({SEEN}))
        second = await append(stage, flags=frozenset({FLAGGED, "work"}))
        assert second.ref == first.ref
        assert second.mailboxes == frozenset({stage.ref(), stage.ref("Sent")})
        assert second.flags == frozenset({SEEN, FLAGGED, "work"})
        assert (await stage.connector.states(stage.ref(), [second.ref])) == [second]


async def test_a_message_that_is_here_already_is_that_one() -> None:
    async with staged(UNIQUE) as stage:
        first = await append(stage, flags=frozenset({SEEN}))
        stage.fake.stats.reset()
        assert await append(stage, flags=frozenset({SEEN})) == first
        assert stage.fake.stats.methods["Email/set"] == 0


async def test_a_message_destroyed_in_between_is_stored_anew() -> None:
    async with staged(UNIQUE) as stage:
        first = await append(stage)
        gate = stage.fake.hold("Email/get")
        again = asyncio.ensure_future(append(stage, "Sent"))
        await gate.arrived()
        stage.fake.remove(first.ref)
        gate.release()
        state = await again
        assert stage.fake.email(state.ref).mailbox_ids == {stage.ref("Sent")}


async def test_where_a_message_is_in_one_mailbox_only_the_other_is_not_robbed() -> None:
    options = FakeOptions(max_mailboxes_per_email=1, quirks=frozenset({Quirk.FORBID_DUPLICATES}))
    async with staged(options) as stage:
        first = await append(stage, "Sent")
        with pytest.raises(Rejected):
            await append(stage)
        assert stage.fake.email(first.ref).mailbox_ids == {stage.ref("Sent")}


@pytest.mark.parametrize("old", [b"another body of some length", mail(1)[-9:][::-1]])
async def test_a_message_that_only_counts_as_the_same_is_not_taken_for_it(old: bytes) -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.FORBID_SAME_MESSAGE_ID}))) as stage:
        draft = mail(1)[: -len(old)] + old
        ref = stage.fake.deliver("Drafts", draft)
        with pytest.raises(Rejected, match="other octets"):
            await append(stage)
        assert stage.fake.email(ref).mailbox_ids == {stage.ref("Drafts")}


async def test_the_same_octets_are_found_out_under_another_blob_id() -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.FORBID_SAME_MESSAGE_ID}))) as stage:
        ref = stage.fake.deliver("Sent", mail(1))
        email = stage.fake.email(ref)
        email.blob_id, account = f"other-{email.blob_id}", stage.fake.account()
        account.blobs[email.blob_id] = email.content
        state = await append(stage)
        assert state.ref == ref
        assert state.mailboxes == frozenset({stage.ref(), stage.ref("Sent")})


async def test_a_message_that_was_not_stored_is_refused_and_nothing_of_it_stays() -> None:
    async with staged(FakeOptions(quirks=frozenset({Quirk.IMPORT_LOSES}))) as stage:
        with pytest.raises(Rejected, match="none was stored"):
            await append(stage)
        assert stage.fake.emails_in("INBOX") == []


# -- refusals ---------------------------------------------------------------------------------------------------------


async def test_an_unknown_mailbox_is_not_found_before_anything_is_sent() -> None:
    async with staged() as stage:
        with pytest.raises(NotFound):
            await stage.connector.append(MailboxRef("nowhere"), BytesContent(mail(1)), NONE, None)
        assert stage.fake.stats.requests["upload"] == 0


async def test_a_mailbox_that_has_just_gone_is_not_found() -> None:
    async with staged() as stage:
        archive = stage.ref("Archive")
        stage.fake.delete_mailbox("Archive")
        with pytest.raises(NotFound):
            await stage.connector.append(archive, BytesContent(mail(1)), NONE, None)


async def test_a_message_larger_than_the_server_takes_is_not_sent() -> None:
    async with staged(FakeOptions(max_size_upload=100)) as stage:
        with pytest.raises(TooLarge):
            await append(stage)
        assert stage.fake.stats.requests["upload"] == 0


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("overQuota", OverQuota),
        ("tooLarge", TooLarge),
        ("forbidden", Denied),
        ("invalidEmail", Rejected),
        ("tooManyKeywords", Rejected),
        ("blobNotFound", Unavailable),
    ],
)
async def test_refusals_have_their_kind(error: str, kind: type[ConnectorError]) -> None:
    async with staged() as stage:
        stage.fake.fail_next("Email/import", "set-error", times=None, error=error)
        with pytest.raises(kind):
            await append(stage)
        assert stage.fake.account().emails == {}


async def test_a_lost_upload_has_stored_nothing() -> None:
    async with staged(timeout_s=1.0) as stage:
        stage.fake.fail_next("upload", "status", times=None, status=503)
        with pytest.raises(ConnectorError) as caught:
            await append(stage)
        assert isinstance(caught.value, Unavailable)


# -- copies where a message is in one mailbox -------------------------------------------------------------------------


async def test_a_copy_is_a_message_of_its_own_and_nothing_is_downloaded() -> None:
    async with staged(FakeOptions(max_mailboxes_per_email=1)) as stage:
        ref = (await append(stage, flags=frozenset({SEEN, "work"}))).ref
        stage.fake.stats.reset()
        result = await stage.connector.copy(stage.ref(), [ref], stage.ref("Sent"))
        copy = result.done[ref]
        assert copy is not None
        assert copy.ref != ref
        assert (copy.flags, copy.internal_date, copy.size) == (frozenset({SEEN, "work"}), DATE, len(mail(1)))
        assert stage.fake.email(copy.ref).content.data == mail(1)
        assert dict(stage.fake.stats.requests) == {"api": 2}


async def test_a_copy_that_cannot_be_had_is_refused() -> None:
    options = FakeOptions(max_mailboxes_per_email=1, quirks=frozenset({Quirk.FORBID_DUPLICATES}))
    async with staged(options) as stage:
        ref = (await append(stage)).ref
        result = await stage.connector.copy(stage.ref(), [ref], stage.ref("Sent"))
        assert result.failed.keys() == {ref}
        assert not result.done
