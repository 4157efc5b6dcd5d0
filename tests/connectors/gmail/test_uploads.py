from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from connectors.api.errors import OutcomeUnknown, Rejected, TooLarge, Unavailable
from connectors.api.types import BytesContent
from connectors.gmail import uploads
from connectors.gmail.client import GmailClient
from connectors.gmail.methods import DRAFTS_CREATE, MESSAGES_GET, MESSAGES_IMPORT, MESSAGES_INSERT
from connectors.gmail.structs import Draft, Message
from tests.connectors.gmail.rig import FakeTokens, InProcess, client_of
from tests.connectors.transport.jumping_clock import JumpingClock
from tests.fakes.gmail.client import mail
from tests.fakes.gmail.fake import FakeGmail

INSERT = "gmail.users.messages.insert"
DATE = "Date: Fri, 02 Jan 2026 03:04:05 +0000\r\nMIME-Version: 1.0\r\n"


def letter(octets: int = 0) -> bytes:
    lines = "\r\n".join(f"{number:08d}" for number in range(octets // 10))
    return mail("upload", message_id="one@example.org", extra=DATE, body=lines)


async def stored(client: GmailClient, ref: str) -> bytes:
    message = await client.call(MESSAGES_GET, path={"id": ref}, query=[("format", "raw")], reply=Message)
    return message.octets()


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "SIMPLE_OCTETS", 1000)
    monkeypatch.setattr(uploads, "PIECE_OCTETS", 256 * 1024)


async def insert(client: GmailClient, content: bytes) -> Message:
    metadata = {"labelIds": ["INBOX", "STARRED"]}
    query = [("internalDateSource", "dateHeader")]
    return await client.upload(MESSAGES_INSERT, metadata, BytesContent(content), reply=Message, query=query)


async def test_a_small_message_goes_in_one_request(client: GmailClient, fake: FakeGmail) -> None:
    message = await insert(client, letter())
    assert fake.message(message.id).labels == {"INBOX", "STARRED"}
    assert fake.stats.requests == 1
    assert await stored(client, message.id) == letter()


async def test_a_large_message_goes_in_pieces(client: GmailClient, fake: FakeGmail, small_pieces: None) -> None:
    content = letter(700_000)
    message = await insert(client, content)
    assert fake.stats.requests == 1 + len(content) // (256 * 1024) + 1
    assert fake.message(message.id).labels == {"INBOX", "STARRED"}
    assert await stored(client, message.id) == content


async def test_a_draft_is_uploaded_within_its_metadata(client: GmailClient, fake: FakeGmail) -> None:
    draft = await client.upload(DRAFTS_CREATE, {"message": {}}, BytesContent(letter()), reply=Draft)
    assert draft.message is not None
    assert fake.message(draft.message.id).labels == {"DRAFT"}


async def test_import_is_another_method(client: GmailClient, fake: FakeGmail) -> None:
    content = BytesContent(letter())
    message = await client.upload(MESSAGES_IMPORT, {"labelIds": ["INBOX"]}, content, reply=Message)
    assert fake.stats.calls["gmail.users.messages.import"] == 1
    assert fake.message(message.id).labels == {"INBOX"}


async def test_a_message_that_is_too_large_is_not_sent(client: GmailClient, fake: FakeGmail) -> None:
    class Huge(BytesContent):
        @property
        def size(self) -> int:
            return 157_286_401

    with pytest.raises(TooLarge):
        await client.upload(MESSAGES_INSERT, {}, Huge(b""), reply=Message)
    assert fake.stats.requests == 0


async def test_a_refused_upload_stores_nothing(client: GmailClient, fake: FakeGmail) -> None:
    with pytest.raises(Rejected):
        await client.upload(MESSAGES_INSERT, {"labelIds": ["Label_404"]}, BytesContent(letter()), reply=Message)
    assert list(fake.mailbox.messages) == []


@pytest.mark.parametrize("is_cut", [False, True])
async def test_a_small_upload_that_may_be_done_is_not_repeated(
    client: GmailClient, fake: FakeGmail, is_cut: bool
) -> None:
    fake.fail_next(INSERT, status=500, is_after_work=True, is_cut=is_cut)
    with pytest.raises(OutcomeUnknown):
        await insert(client, letter())
    assert fake.stats.calls[INSERT] == 1


async def test_an_upload_that_is_put_off_is_sent_anew(client: GmailClient, fake: FakeGmail) -> None:
    fake.throttle(5)
    message = await insert(client, letter())
    assert await stored(client, message.id) == letter()


async def test_a_piece_that_arrives_in_part_is_gone_on_with(
    client: GmailClient, fake: FakeGmail, small_pieces: None
) -> None:
    content = letter(700_000)
    fake.uploads.lose_half_of_next = True
    message = await insert(client, content)
    assert await stored(client, message.id) == content


class Cutting(InProcess):
    """Cuts the connection before or after the PUTs of these numbers are handled."""

    def __init__(self, fake: FakeGmail, *, before: frozenset[int] = frozenset(), after: frozenset[int] = frozenset()):
        super().__init__(fake)
        self._before, self._after = before, after
        self._puts = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        is_piece = request.method == "PUT" and "*" not in request.headers["Content-Range"]
        self._puts += is_piece
        if is_piece and self._puts in self._before:
            raise httpx.WriteError("cut")
        response = await super().handle_async_request(request)
        if is_piece and self._puts in self._after:
            raise httpx.ReadError("cut")
        return response


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("is_before", [False, True])
async def test_an_upload_goes_on_where_the_connection_was_cut(
    fake: FakeGmail, clock: JumpingClock, small_pieces: None, number: int, is_before: bool
) -> None:
    numbers = frozenset({number})
    transport = Cutting(fake, before=numbers) if is_before else Cutting(fake, after=numbers)
    client = client_of(fake, clock, transport=transport)
    content = letter(700_000)
    assert len(content) > 2 * 256 * 1024
    if number == 3 and not is_before:
        with pytest.raises(OutcomeUnknown):
            await insert(client, content)
    else:
        message = await insert(client, content)
        assert await stored(client, message.id) == content
    assert fake.stats.calls[INSERT] == 1
    await client.close()


async def test_an_upload_that_does_not_get_on_is_given_up(
    fake: FakeGmail, clock: JumpingClock, small_pieces: None
) -> None:
    client = client_of(fake, clock, transport=Cutting(fake, before=frozenset(range(1, 100))))
    with pytest.raises(Unavailable):
        await insert(client, letter(700_000))
    assert list(fake.mailbox.messages) == []
    await client.close()


async def test_an_upload_that_gmail_has_forgotten_is_unavailable(
    fake: FakeGmail, clock: JumpingClock, small_pieces: None
) -> None:
    class Forgetting(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            fake.uploads.abandon()
            return response

    client = client_of(fake, clock, transport=Forgetting(fake))
    with pytest.raises(Unavailable):
        await insert(client, letter(700_000))
    await client.close()


@pytest.mark.parametrize("location", ["", "http://evil.example/upload", "nonsense"])
async def test_the_mail_goes_only_where_nobody_can_read_along(
    fake: FakeGmail, clock: JumpingClock, small_pieces: None, location: str
) -> None:
    class Misleading(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            assert request.method == "POST"
            return httpx.Response(200, headers={"Location": location}, content=b"")

    client = client_of(fake, clock, transport=Misleading(fake))
    with pytest.raises(Unavailable):
        await insert(client, letter(700_000))
    await client.close()


async def test_an_access_token_may_expire_between_two_pieces(
    fake: FakeGmail, clock: JumpingClock, small_pieces: None
) -> None:
    class Slow(InProcess):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            response = await super().handle_async_request(request)
            if response.headers.get("Range", "").endswith("262143"):
                fake.expire_access_tokens()
            return response

    tokens = FakeTokens(fake)
    client = client_of(fake, clock, tokens=tokens, transport=Slow(fake))
    content = letter(300_000)
    message = await insert(client, content)
    assert await stored(client, message.id) == content
    await client.close()


async def test_a_message_whose_length_is_not_as_it_says_is_not_stored(
    client: GmailClient, fake: FakeGmail, small_pieces: None
) -> None:
    class Short(BytesContent):
        @property
        def size(self) -> int:
            return len(self.data) + 1

    for octets in (0, 700_000):
        with pytest.raises((Unavailable, OutcomeUnknown)):
            await client.upload(MESSAGES_INSERT, {}, Short(letter(octets)), reply=Message)
    assert list(fake.mailbox.messages) == []


async def test_what_reading_the_content_raises_is_passed_on(client: GmailClient, small_pieces: None) -> None:
    class Broken(BytesContent):
        async def chunks(self) -> AsyncIterator[bytes]:
            yield self.data[:100]
            raise RuntimeError("the source")

    for octets in (0, 700_000):
        with pytest.raises(RuntimeError, match="the source"):
            await client.upload(MESSAGES_INSERT, {}, Broken(letter(octets)), reply=Message)
