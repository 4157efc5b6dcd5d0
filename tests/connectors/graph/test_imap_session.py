"""The login at Exchange's IMAP server: when it is kept, and what its refusals are in the words of the contract."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from connectors.api.credentials import BearerCredential, Secret
from connectors.api.errors import (
    AuthExpired,
    ConnectorError,
    Denied,
    OverQuota,
    RateLimited,
    Rejected,
    TooLarge,
    Unavailable,
)
from connectors.graph import imap_session
from connectors.graph.imap_connection import Lost
from connectors.graph.imap_session import ImapSession, UnknownMailbox, login_refusal, refusal
from connectors.graph.imap_wire import Status
from connectors.graph.settings import OWN_MAILBOX, AppendBy, GraphSettings
from connectors.graph.tokens import FixedTokens
from tests.connectors.graph.imap_script import (
    ASKED,
    GREETING,
    LISTED,
    LOGIN,
    LOGOUT,
    NO_TOKENS,
    READY,
    STORED,
    ScriptedImap,
    Tokens,
    scripted_imap,
    token,
)

DATE = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
NOOP = ("C: TAG NOOP", "S: TAG OK NOOP completed.")
REFUSED = (*GREETING, *ASKED, "C: TAG AUTHENTICATE XOAUTH2 .+", "S: TAG NO AUTHENTICATE failed.")


def session_at(server: ScriptedImap, tokens: object = None, **settings: object) -> ImapSession:
    return ImapSession(server.settings(**settings), tokens or Tokens())  # type: ignore[arg-type]


async def store(session: ImapSession, *path: str) -> int | None:
    return await session.append(path or ("INBOX",), frozenset({"\\Seen"}), DATE, b"Hello")


async def test_a_login_serves_many_messages() -> None:
    async with scripted_imap((*READY, *STORED, *NOOP, *STORED, *LOGOUT)) as server:
        session = session_at(server)
        assert [await store(session), await store(session)] == [42, 42]
        await session.close()
    assert (server.connections, server.literals) == (1, [b"Hello", b"Hello"])


async def test_messages_are_stored_one_after_another() -> None:
    async with scripted_imap((*READY, *STORED, *NOOP, *STORED, *LOGOUT)) as server:
        session = session_at(server)
        assert list(await asyncio.gather(store(session), store(session))) == [42, 42]
        await session.close()


async def test_a_connection_that_the_server_has_ended_is_replaced() -> None:
    bye = ("C: TAG NOOP", "S: * BYE Connection closed. 14", "END")
    async with scripted_imap((*READY, *STORED, *bye), (*READY, *STORED, *LOGOUT)) as server:
        session = session_at(server)
        assert [await store(session), await store(session)] == [42, 42]
        await session.close()


async def test_a_connection_nobody_uses_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(imap_session, "IDLE_S", 0.0)
    async with scripted_imap((*READY, *STORED), (*READY, *STORED, *LOGOUT)) as server:
        session = session_at(server)
        await store(session)
        await asyncio.wait_for(server.is_played.wait(), 5)
        await store(session)
        monkeypatch.setattr(imap_session, "IDLE_S", 60.0)
        await session.close()
    assert server.connections == 2


async def test_what_is_refused_leaves_the_login_in_use() -> None:
    too_large = (*STORED[:-1], "S: TAG NO The message exceeds the maximum supported size.")
    async with scripted_imap((*READY, *too_large, *NOOP, *STORED, *LOGOUT)) as server:
        session = session_at(server)
        with pytest.raises(TooLarge):
            await store(session)
        assert await store(session) == 42
        await session.close()


async def test_closing_cuts_off_what_is_under_way() -> None:
    async with scripted_imap((*READY, STORED[0])) as server:
        session = session_at(server)
        storing = asyncio.create_task(store(session))
        await asyncio.wait_for(server.is_played.wait(), 5)
        await session.close()
        with pytest.raises(Lost) as caught:
            await storing
        assert caught.value.is_sent


async def test_a_refused_token_is_replaced_once() -> None:
    tokens = Tokens(token("old"), token("new"))
    async with scripted_imap(REFUSED, (*READY, *STORED, *LOGOUT)) as server:
        session = session_at(server, tokens)
        assert await store(session) == 42
        await session.close()
    assert tokens.refusals == [token("old")]


async def test_a_refused_login_says_what_an_administrator_can_do() -> None:
    async with scripted_imap(REFUSED, REFUSED) as server:
        with pytest.raises(Denied, match=r"alex@example.org .*ImapEnabled.*IMAP.AccessAsUser.All") as caught:
            await store(session_at(server, Tokens(token("a"), token("b"), token("c"))))
    assert "IMAP" in caught.value.client_text
    assert "AccessAsUser" not in caught.value.client_text


async def test_a_login_without_a_mailbox_says_what_an_administrator_can_do() -> None:
    bad = ('C: TAG LIST "" ""', "S: TAG BAD User is authenticated but not connected.")
    async with scripted_imap((*LOGIN, *bad)) as server:
        with pytest.raises(Denied, match="ImapEnabled"):
            await store(session_at(server))


async def test_a_server_that_takes_no_tokens_is_told() -> None:
    asked = tuple(step.replace(" AUTH=XOAUTH2", "") for step in ASKED)
    async with scripted_imap((*GREETING, *asked)) as server:
        with pytest.raises(Denied, match="takes no tokens"):
            await store(session_at(server))


async def test_an_account_without_a_token_for_imap_goes_on_by_graph() -> None:
    settings = GraphSettings(append=AppendBy.IMAP)
    for tokens in (
        NO_TOKENS,
        FixedTokens(settings, token("graph"), None),
        FixedTokens(settings, token("graph"), SECRET),
    ):
        with pytest.raises(Denied, match="imap_access_token"):
            await store(ImapSession(settings, tokens))

    class Ended(Tokens):
        def imap(self) -> Ended:  # type: ignore[override]
            return self

        async def get(self) -> BearerCredential:
            raise AuthExpired("nobody has consented")

    with pytest.raises(Denied, match="append = imap: nobody has consented"):
        await store(ImapSession(settings, Ended()))


SECRET = Secret("imap-1")


async def test_a_token_from_elsewhere_is_for_the_mailbox_that_is_set() -> None:
    tokens = FixedTokens(GraphSettings(mailbox="info@example.org"), token("graph"), SECRET)
    assert await tokens.imap().get() == token(username="info@example.org")
    assert await tokens.get() == token("graph")
    own = FixedTokens(GraphSettings(mailbox=OWN_MAILBOX), token("graph"), SECRET)
    assert await own.imap().get() is None


async def test_names_have_the_delimiter_of_the_server() -> None:
    listed = tuple(step.replace('"/"', '"."') for step in LISTED)
    stored = tuple(step.replace('"INBOX"', '"INBOX.Work"') for step in STORED)
    async with scripted_imap((*LOGIN, *listed, *stored, *NOOP, *LOGOUT)) as server:
        session = session_at(server)
        assert await store(session, "INBOX", "Work") == 42
        with pytest.raises(Rejected, match=r"holds \."):
            await store(session, "a.b")
        await session.close()


@pytest.mark.parametrize("listed", [LISTED[::2], (LISTED[0], "S: * LIST () nonsense", LISTED[2])])
async def test_a_server_that_does_not_tell_its_delimiter_is_not_used(listed: tuple[str, ...]) -> None:
    async with scripted_imap((*LOGIN, *listed)) as server:
        with pytest.raises(Lost) as caught:
            await store(session_at(server))
    assert not caught.value.is_sent


async def test_what_is_larger_than_the_server_takes_is_not_sent() -> None:
    login = tuple(step.replace(" LITERAL+", " LITERAL+ APPENDLIMIT=4") for step in LOGIN)
    async with scripted_imap((*login, *LISTED, *LOGOUT)) as server:
        session = session_at(server)
        with pytest.raises(TooLarge, match="takes 4"):
            await store(session)
        await session.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status("NO", "OVERQUOTA", "", "full"), OverQuota),
        (Status("NO", "TOOBIG"), TooLarge),
        (Status("BAD", "", "", "Command Argument Error. 12: size limit exceeded"), TooLarge),
        (Status("NO", "TRYCREATE", "", "no such folder"), UnknownMailbox),
        (Status("NO", "NOPERM"), Denied),
        (Status("NO", "UNAVAILABLE"), Unavailable),
        (Status("NO", "", "", "Request is throttled. Suggested Backoff Time: 1000 milliseconds"), RateLimited),
        (Status("NO", "LIMIT"), RateLimited),
        (Status("NO", "", "", "APPEND failed."), Rejected),
        (Status("BAD", "", "", "Command Argument Error. 11"), Rejected),
        (Status("BAD", "", "", "User is authenticated but not connected."), Denied),
    ],
)
def test_refusals_are_in_the_words_of_the_contract(status: Status, kind: type[ConnectorError]) -> None:
    error = refusal("APPEND at x", status)
    assert type(error) is kind
    assert error.operator_text.startswith(f"APPEND at x: {status.shown}")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status("NO", "UNAVAILABLE"), Unavailable),
        (Status("NO", "", "", "Too many connections"), RateLimited),
        (Status("NO", "AUTHENTICATIONFAILED"), Denied),
        (Status("BAD", "", "", "what"), Denied),
    ],
)
def test_a_refused_login_may_pass(status: Status, kind: type[ConnectorError]) -> None:
    assert type(login_refusal("login", status)) is kind


@pytest.mark.parametrize("word", ["NO", "BAD"])
def test_exchange_says_how_long_it_throttles(word: str) -> None:
    status = Status(word, text="Request is throttled. Suggested Backoff Time: 299961 milliseconds")
    for error in (refusal("APPEND at h:1", status), login_refusal("login at h:1", status)):
        assert type(error) is RateLimited
        assert error.retry_after_s == 299.961


def test_a_backoff_of_days_is_not_believed() -> None:
    error = refusal("x", Status("BAD", text="Request is throttled. Suggested Backoff Time: 999999999 milliseconds"))
    assert isinstance(error, RateLimited)
    assert error.retry_after_s == 3600.0


def test_a_server_that_is_not_able_now_is_no_refusal() -> None:
    for word in ("NO", "BAD"):
        assert type(refusal("x", Status(word, text="Server Unavailable. 15"))) is Unavailable
        assert type(login_refusal("x", Status(word, text="Server Unavailable. 15"))) is Unavailable
