from __future__ import annotations

import pytest

from connectors.api.errors import (
    AlreadyExists,
    AuthExpired,
    Denied,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    Rejected,
    Unavailable,
)
from connectors.gmail.client import GmailClient
from connectors.gmail.errors import Refused
from connectors.gmail.methods import (
    GET_PROFILE,
    LABELS_CREATE,
    MESSAGES_BATCH_MODIFY,
    MESSAGES_GET,
    MESSAGES_LIST,
)
from connectors.gmail.structs import Label, Message, MessageList, NoReply, Profile
from tests.connectors.gmail.rig import FakeTokens, client_of
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.client import mail
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.options import METADATA_SCOPE


async def test_a_call_returns_its_reply(client: GmailClient, fake: FakeGmail) -> None:
    profile = await client.call(GET_PROFILE, reply=Profile)
    assert profile.email_address == "user@example.com"
    assert int(profile.history_id) == fake.mailbox.history.current


async def test_path_query_and_body_reach_the_method(client: GmailClient, fake: FakeGmail) -> None:
    ref = fake.deliver(mail("hello"), {"INBOX", "UNREAD"})
    fake.deliver(mail("elsewhere"), {"SENT"})
    listed = await client.call(MESSAGES_LIST, query=[("labelIds", "INBOX"), ("labelIds", "UNREAD")], reply=MessageList)
    assert [message.id for message in listed.messages] == [ref]
    body = {"ids": [ref], "removeLabelIds": ["UNREAD"]}
    assert await client.call(MESSAGES_BATCH_MODIFY, body=body, reply=NoReply) == NoReply()
    assert "UNREAD" not in fake.message(ref).labels


async def test_a_message_comes_octet_for_octet(client: GmailClient, fake: FakeGmail) -> None:
    ref = fake.deliver(mail("hello"))
    message = await client.call(MESSAGES_GET, path={"id": ref}, query=[("format", "raw")], reply=Message)
    assert message.octets() == mail("hello")
    assert message.labels == {"INBOX", "UNREAD"}


@pytest.mark.parametrize(
    ("status", "reason", "kind"),
    [
        (400, "invalidArgument", Rejected),
        (403, "insufficientPermissions", Denied),
        (403, "domainPolicy", Denied),
        (403, "dailyLimitExceeded", RateLimited),
        (404, "notFound", NotFound),
        (409, "aborted", AlreadyExists),
    ],
)
async def test_a_refusal_is_told_by_its_reason_and_not_repeated(
    client: GmailClient, fake: FakeGmail, clock: JumpingClock, status: int, reason: str, kind: type[Exception]
) -> None:
    fake.fail_next("gmail.users.getProfile", status=status, reason=reason)
    with pytest.raises(kind) as caught:
        await client.call(GET_PROFILE, reply=Profile)
    assert isinstance(caught.value, Refused)
    assert reason in caught.value.refusal.reasons
    assert clock.slept == []


@pytest.mark.parametrize("code", [403, 429])
@pytest.mark.parametrize("reason", ["rateLimitExceeded", "userRateLimitExceeded"])
async def test_a_call_waits_while_there_are_too_many(
    client: GmailClient, fake: FakeGmail, clock: JumpingClock, code: int, reason: str
) -> None:
    fake.throttle(10, reason, code)
    await client.call(GET_PROFILE, reply=Profile)
    assert 10 <= clock.monotonic() <= 16


async def test_a_write_waits_too_since_nothing_was_done(client: GmailClient, fake: FakeGmail) -> None:
    fake.throttle(5)
    label = await client.call(LABELS_CREATE, body={"name": "Work"}, reply=Label)
    assert label.name == "Work"


async def test_a_minute_of_refusals_is_borne(client: GmailClient, fake: FakeGmail) -> None:
    fake.throttle(60)
    await client.call(GET_PROFILE, reply=Profile)
    assert fake.stats.requests < 10


async def test_the_time_that_a_refusal_names_is_waited_for(
    client: GmailClient, fake: FakeGmail, clock: JumpingClock
) -> None:
    fake.throttle(25, tells_end=True)
    await client.call(GET_PROFILE, reply=Profile)
    assert clock.monotonic() == pytest.approx(25, abs=0.1)


async def test_retry_after_is_waited_for(client: GmailClient, fake: FakeGmail, clock: JumpingClock) -> None:
    fake.throttle(20, retry_after_s=20)
    await client.call(GET_PROFILE, reply=Profile)
    assert clock.monotonic() == pytest.approx(20, abs=0.1)


async def test_who_is_throttled_for_long_is_told_when_to_come_again(client: GmailClient, fake: FakeGmail) -> None:
    fake.throttle(900, retry_after_s=900)
    with pytest.raises(RateLimited) as caught:
        await client.call(GET_PROFILE, reply=Profile)
    assert caught.value.retry_after_s == 900
    assert fake.stats.requests == 1


async def test_after_a_throttling_nothing_is_sent_before_its_end(client: GmailClient, fake: FakeGmail) -> None:
    fake.throttle(900, retry_after_s=900)
    for _ in range(3):
        with pytest.raises(RateLimited):
            await client.call(GET_PROFILE, reply=Profile)
    assert fake.stats.requests == 1


async def test_calls_are_paced_so_that_the_quota_is_never_exceeded(fake: FakeGmail, clock: JumpingClock) -> None:
    fake.quota.units_per_minute = 60
    client = client_of(fake, clock, units_per_minute=60.0)
    for _ in range(60):
        await client.call(MESSAGES_LIST, reply=MessageList)
    assert not fake.stats.refusals
    assert fake.stats.total_units == 300
    assert 240 <= clock.monotonic() <= 320
    await client.close()


async def test_a_read_is_repeated_when_the_server_fails(client: GmailClient, fake: FakeGmail) -> None:
    fake.fail_next("gmail.users.getProfile", times=2)
    await client.call(GET_PROFILE, reply=Profile)
    fake.fail_next("gmail.users.getProfile", is_cut=True)
    await client.call(GET_PROFILE, reply=Profile)


@pytest.mark.parametrize(
    "fault", [{"status": 500}, {"status": 503}, {"status": 503, "retry_after_s": 1}, {"is_cut": True}]
)
async def test_a_write_is_not_repeated_when_it_may_have_been_done(
    client: GmailClient, fake: FakeGmail, fault: dict[str, int]
) -> None:
    fake.fail_next("gmail.users.labels.create", is_after_work=True, **fault)
    with pytest.raises(OutcomeUnknown):
        await client.call(LABELS_CREATE, body={"name": "Work"}, reply=Label)
    assert fake.stats.calls["gmail.users.labels.create"] == 1


async def test_a_failure_that_lasts_is_unavailable(client: GmailClient, fake: FakeGmail) -> None:
    fake.fail_next("gmail.users.getProfile", times=20)
    with pytest.raises(Unavailable):
        await client.call(GET_PROFILE, reply=Profile)


async def test_an_expired_token_is_replaced(fake: FakeGmail, clock: JumpingClock) -> None:
    tokens = FakeTokens(fake)
    client = client_of(fake, clock, tokens=tokens)
    fake.expire_access_tokens()
    await client.call(GET_PROFILE, reply=Profile)
    assert tokens.refusals == 1
    await client.close()


async def test_a_login_that_is_no_longer_good_is_told(fake: FakeGmail, clock: JumpingClock) -> None:
    tokens = FakeTokens(fake)
    tokens.is_exhausted = True
    client = client_of(fake, clock, tokens=tokens)
    fake.expire_access_tokens()
    with pytest.raises(AuthExpired):
        await client.call(GET_PROFILE, reply=Profile)
    await client.close()


async def test_a_scope_that_is_missing_is_explained(fake: FakeGmail, clock: JumpingClock) -> None:
    class MetadataOnly(FakeTokens):
        def __init__(self, fake: FakeGmail) -> None:
            super().__init__(fake)
            self._token = fake.access_token([METADATA_SCOPE])

    client = client_of(fake, clock, tokens=MetadataOnly(fake))
    with pytest.raises(Denied, match="log in again and agree"):
        await client.call(LABELS_CREATE, body={"name": "Work"}, reply=Label)
    await client.close()


async def test_a_server_that_is_not_gmail_does_not_pass_for_deleted_mail(fake: FakeGmail, clock: JumpingClock) -> None:
    client = client_of(fake, clock, api_root="http://gmail.test/somewhere/_fake")
    with pytest.raises((Unavailable, NotFound)) as caught:
        await client.call(GET_PROFILE, reply=Profile)
    assert isinstance(caught.value, Refused)
    fake.violations.clear()
    await client.close()


async def test_a_client_is_usable_again_after_close(client: GmailClient) -> None:
    await client.close()
    await client.close()
    with pytest.raises(Unavailable):
        await client.call(GET_PROFILE, reply=Profile)
    await client.open()
    await client.call(GET_PROFILE, reply=Profile)
