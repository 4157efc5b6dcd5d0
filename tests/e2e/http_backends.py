"""Backends that the gateway reaches by HTTP, for tests that stand a fault proxy in between."""

from __future__ import annotations

import enum
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from tests.e2e.endpoint import Endpoint
from tests.e2e.gateway_process import DeclaredAccount
from tests.e2e.gist import gist_of
from tests.e2e.gmail_server import GmailBack, GmailServer
from tests.e2e.graph_server import GraphBack, GraphServer
from tests.e2e.loop_thread import LoopThread
from tests.e2e.raw_client import RawClient, flag_set
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.server import running_fake as running_gmail_fake
from tests.fakes.graph import FakeGraph, GraphOptions, running_graph
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, FakeUser, UrlStyle
from tests.fakes.jmap.server import running_fake
from tests.servers.cyrus import Cyrus
from tests.servers.faults import SeenRequest, When, all_of, body_has, method, path

Held = list[tuple[bytes, frozenset[str]]]
"""What a mailbox holds, octets and flags of each message, in the order of octets."""

TIMEOUT_S = 1.0
"""How long the gateway waits for these backends; on a busy machine they need a part of that."""

BEGIN = datetime(2024, 2, 1, tzinfo=UTC)


class Write(enum.Enum):
    """What a client changes, which is one request to the backend in the end."""

    STORE = "store"
    COPY = "copy"
    MOVE = "move"
    EXPUNGE = "expunge"
    APPEND = "append"


class HttpAccount(ABC):
    """An account at a backend, acted on and looked at past the gateway. It has INBOX, Filed and Trash."""

    def __init__(self) -> None:
        self._minutes = itertools.count()

    @abstractmethod
    def declared(self, login: str, password: str, origin: str) -> DeclaredAccount:
        """Return it as it is declared to a gateway that is to reach the backend at `origin`, scheme, host and port."""

    def deliver(self, mailbox: str, content: bytes) -> None:
        """Let a message arrive, a minute after the one before it: that is the order in which UIDs are given."""
        self._deliver(mailbox, content, BEGIN + timedelta(minutes=next(self._minutes)))

    @abstractmethod
    def _deliver(self, mailbox: str, content: bytes, moment: datetime) -> None: ...

    @abstractmethod
    def held(self, mailbox: str) -> Held:
        """Return what the mailbox holds."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """Which requests do what a client asks for, go before an append, and fetch the octets of a message."""

    writes: Mapping[Write, When]
    uploads: When
    downloads: When


class HttpBackend(ABC):
    """A backend with any number of accounts.

    `keeps_one` says whether the same octets are one message, however often they are appended; `trash` is what Trash is
    called; `doubts_503`: an append that is answered 503 may have been done; `tells_sizes`: what is downloaded can be
    compared with something; `bound_s`: how long a client waits for an answer, whatever happens;
    `at_once`: how many requests may be under way when the first of them is refused, such as a poll and what a session
    asks for.
    """

    def __init__(
        self,
        kinds: Kinds,
        *,
        keeps_one: bool,
        trash: str = "Trash",
        doubts_503: bool = False,
        tells_sizes: bool = True,
        bound_s: float = 10.0,
        at_once: int = 1,
    ) -> None:
        self.kinds = kinds
        self.tells_sizes = tells_sizes
        self.bound_s = bound_s
        self.at_once = at_once
        self.keeps_one = keeps_one
        self.trash = trash
        self.doubts_503 = doubts_503

    @property
    @abstractmethod
    def place(self) -> tuple[str, int]:
        """Host and port that a proxy is to stand before."""

    @abstractmethod
    def account(self) -> HttpAccount:
        """Return an empty account that nobody has used."""

    @abstractmethod
    def check(self) -> None:
        """See that all that was asked of it was in order, as far as it can tell."""

    def gist(self, octets: bytes) -> bytes:
        """Return what it keeps of a message: the octets, or what they say."""
        return octets

    def kept(self, messages: Held) -> Held:
        """Return what it keeps of messages."""
        return _in_order((self.gist(octets), flags) for octets, flags in messages)


def held(client: RawClient, mailbox: str) -> Held:
    """Return what a client sees of a mailbox."""
    client.select(mailbox)
    rows = client.fetch("1:*", "(FLAGS BODY.PEEK[])").values()
    return _in_order((body, flag_set(row["FLAGS"])) for row in rows if isinstance(body := row["BODY[]"], bytes))


def _in_order(messages: Iterable[tuple[bytes, frozenset[str]]]) -> Held:
    return sorted(messages, key=lambda message: (message[0], sorted(message[1])))


# -- JMAP --------------------------------------------------------------------------------------------------------------


_JMAP = Kinds(
    writes={
        Write.STORE: body_has("Email/set"),
        Write.COPY: body_has("Email/set"),
        Write.MOVE: body_has("Email/set"),
        Write.EXPUNGE: body_has("Email/set"),
        Write.APPEND: body_has("Email/import"),
    },
    uploads=path("/jmap/upload/"),
    downloads=all_of(method("GET"), path("/jmap/download/")),
)


def _declared(login: str, password: str, url: str, user: str, secret: str) -> DeclaredAccount:
    settings: dict[str, str | float] = {"url": url, "timeout_s": TIMEOUT_S, "poll_interval_s": 1}
    return DeclaredAccount(login, password, "jmap", settings, {"username": user}, {"password": secret})


class CyrusOverJmap(HttpBackend):
    """A real Cyrus, looked at by its IMAP."""

    def __init__(self, server: Cyrus) -> None:
        super().__init__(_JMAP, keeps_one=True)
        self._server = server

    @property
    def place(self) -> tuple[str, int]:
        return self._server.host, self._server.http_port

    def account(self) -> HttpAccount:
        return _CyrusAccount(self._server)

    def check(self) -> None:
        """Cyrus does not tell."""


class _CyrusAccount(HttpAccount):
    def __init__(self, server: Cyrus) -> None:
        super().__init__()
        self._path = urlsplit(server.jmap_url).path
        user = server.fresh_user(mailboxes=("Filed", "Trash"))
        self._back = Endpoint(server.host, server.imap_port, user, server.password)

    def declared(self, login: str, password: str, origin: str) -> DeclaredAccount:
        return _declared(login, password, origin + self._path, self._back.login, self._back.password)

    def _deliver(self, mailbox: str, content: bytes, moment: datetime) -> None:
        with RawClient.logged_in(self._back) as back:
            back.append(mailbox, content, date=moment.strftime("%d-%b-%Y %H:%M:%S %z"))

    def held(self, mailbox: str) -> Held:
        with RawClient.logged_in(self._back) as back:
            return held(back, mailbox)


class FakeOverJmap(HttpBackend):
    """The stand-in: it pushes, and lets the same octets be many messages."""

    def __init__(self, thread: LoopThread, accounts: int = 64) -> None:
        super().__init__(_JMAP, keeps_one=False)
        names = [f"user{number}" for number in range(accounts)]
        users = tuple(FakeUser(name, "password", f"token of {name}", (name,)) for name in names)
        self._thread = thread
        self._fake = thread.enter(running_fake(FakeOptions(users=users, urls=UrlStyle.RELATIVE)))
        self._free = names

    @property
    def place(self) -> tuple[str, int]:
        place = urlsplit(self._fake.url)
        assert place.hostname is not None
        assert place.port is not None
        return place.hostname, place.port

    def account(self) -> HttpAccount:
        user = self._free.pop()
        self._thread.call(lambda: self._fake.create_mailbox(("Filed",), user=user))
        return _FakeAccount(self._thread, self._fake, user)

    def check(self) -> None:
        self._thread.call(self._fake.assert_no_violations)


class _FakeAccount(HttpAccount):
    def __init__(self, thread: LoopThread, fake: FakeJmap, user: str) -> None:
        super().__init__()
        self._thread = thread
        self._fake = fake
        self._user = user

    def declared(self, login: str, password: str, origin: str) -> DeclaredAccount:
        return _declared(login, password, origin + urlsplit(self._fake.url).path, self._user, "password")

    def _deliver(self, mailbox: str, content: bytes, moment: datetime) -> None:
        self._thread.call(lambda: self._fake.deliver(mailbox, content, received_at=moment, user=self._user))

    def held(self, mailbox: str) -> Held:
        emails = self._thread.call(lambda: self._fake.emails_in(mailbox, user=self._user))
        return _in_order((email.content.data, frozenset(map(_flag, email.keywords))) for email in emails)


def _flag(keyword: str) -> str:
    """Return a keyword of JMAP as IMAP has it (RFC 8621 section 4.1.1)."""
    system = {"$seen": "\\Seen", "$flagged": "\\Flagged", "$answered": "\\Answered", "$draft": "\\Draft"}
    return system.get(keyword, keyword)


# -- Gmail -------------------------------------------------------------------------------------------------------------


def _is_raw_get(request: SeenRequest) -> bool:
    return b"format=raw" in request.body or "format=raw" in request.target


def _is_modify(request: SeenRequest) -> bool:
    """Match messages.modify and batchModify, alone and in a batch."""
    return b"/modify" in request.body or request.path.endswith(("/modify", "/batchModify"))


_GMAIL = Kinds(
    writes={
        Write.STORE: _is_modify,
        Write.COPY: _is_modify,
        Write.MOVE: _is_modify,
        Write.EXPUNGE: _is_modify,
        Write.APPEND: path("/upload/gmail/v1/"),
    },
    # What is uploaded is stored at once.
    uploads=path("/upload/gmail/v1/"),
    downloads=_is_raw_get,
)


class FakeOverGmail(HttpBackend):
    """The stand-in for Gmail, where what is expunged goes to Trash, as with the others."""

    def __init__(self, thread: LoopThread) -> None:
        super().__init__(_GMAIL, keeps_one=True, trash="[Gmail]/Trash", doubts_503=True, at_once=2)
        fake = thread.call(FakeGmail)
        self._server = GmailServer(thread, fake, thread.enter(running_gmail_fake(fake)))

    @property
    def place(self) -> tuple[str, int]:
        place = urlsplit(self._server.endpoints.api_root)
        assert place.hostname is not None
        assert place.port is not None
        return place.hostname, place.port

    def account(self) -> HttpAccount:
        return _GmailAccount(self._server)

    def check(self) -> None:
        self._server.check()


class _GmailAccount(HttpAccount):
    def __init__(self, server: GmailServer) -> None:
        super().__init__()
        self._server = server
        self._address = server.new_user()
        self._back = GmailBack(server, self._address)
        self._back.create("Filed")

    def declared(self, login: str, password: str, origin: str) -> DeclaredAccount:
        settings: dict[str, str | float] = {
            "api_root": origin,
            "token_uri": f"{origin}/token",
            "timeout_s": TIMEOUT_S,
            "expunge": "trash",
        }
        return self._server.declared(login, password, self._address, **settings)

    def _deliver(self, mailbox: str, content: bytes, moment: datetime) -> None:
        self._back.append(mailbox, content, moment=moment)

    def held(self, mailbox: str) -> Held:
        name = "[Gmail]/Trash" if mailbox == "Trash" else mailbox
        contents, flags = self._back.contents(name), self._back.flags_in(name)
        return _in_order((content, flags[uid]) for uid, content in contents.items())


# -- Microsoft Graph ---------------------------------------------------------------------------------------------------


def _either(alone: When, batched: bytes) -> When:
    """Match a kind of request, alone and in a batch."""
    return lambda request: alone(request) or (request.path.endswith("/$batch") and batched in request.body)


def _ends(name: str) -> When:
    return lambda request: request.path.endswith(name)


_GRAPH = Kinds(
    writes={
        Write.STORE: _either(method("PATCH"), b'"PATCH"'),
        Write.COPY: _either(_ends("/copy"), b"/copy"),
        Write.MOVE: _either(_ends("/move"), b"/move"),
        Write.EXPUNGE: _either(_ends("/move"), b"/move"),
        Write.APPEND: all_of(method("POST"), _ends("/messages")),
    },
    # What is created is stored at once.
    uploads=all_of(method("POST"), _ends("/messages")),
    downloads=all_of(method("GET"), _ends("/$value")),
)


class FakeOverGraph(HttpBackend):
    """The stand-in for Graph, where what is expunged goes to Deleted Items."""

    def __init__(self, thread: LoopThread) -> None:
        # It is looked for three times what became of an append, and each look is repeated.
        super().__init__(_GRAPH, keeps_one=False, trash="Deleted Items", tells_sizes=False, bound_s=30.0, at_once=4)
        fake = thread.call(lambda: FakeGraph(GraphOptions(requests_per_10_min=None)))
        self._server = GraphServer(thread, thread.enter(running_graph(fake=fake)))

    @property
    def place(self) -> tuple[str, int]:
        place = urlsplit(self._server.fake.api_root)
        assert place.hostname is not None
        assert place.port is not None
        return place.hostname, place.port

    def account(self) -> HttpAccount:
        return _GraphAccount(self._server)

    def check(self) -> None:
        self._server.check()

    def gist(self, octets: bytes) -> bytes:
        return gist_of(octets)


class _GraphAccount(HttpAccount):
    def __init__(self, server: GraphServer) -> None:
        super().__init__()
        self._server = server
        self._address = server.new_user()
        self._back = GraphBack(server, self._address)
        self._back.create("Filed")

    def declared(self, login: str, password: str, origin: str) -> DeclaredAccount:
        settings: dict[str, str | float] = {
            "api_root": f"{origin}/v1.0",
            "timeout_s": TIMEOUT_S,
            "poll_interval_s": 2,
            "expunge": "trash",
        }
        return self._server.declared(login, password, self._address, **settings)

    def _deliver(self, mailbox: str, content: bytes, moment: datetime) -> None:
        self._back.append(mailbox, content, moment=moment)

    def held(self, mailbox: str) -> Held:
        name = "Deleted Items" if mailbox == "Trash" else mailbox
        contents, flags = self._back.contents(name), self._back.flags_in(name)
        return _in_order((gist_of(content), flags[uid]) for uid, content in contents.items())
