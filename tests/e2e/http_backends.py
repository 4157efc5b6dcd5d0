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
from tests.e2e.loop_thread import LoopThread
from tests.e2e.raw_client import RawClient, flag_set
from tests.fakes.jmap.fake import FakeJmap
from tests.fakes.jmap.options import FakeOptions, FakeUser, UrlStyle
from tests.fakes.jmap.server import running_fake
from tests.servers.cyrus import Cyrus
from tests.servers.faults import When, all_of, body_has, method, path

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
    """An account at a backend, acted on and looked at past the gateway. It has INBOX, Archive and Trash."""

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

    `keeps_one` says whether the same octets are one message, however often they are appended.
    """

    def __init__(self, kinds: Kinds, *, keeps_one: bool) -> None:
        self.kinds = kinds
        self.keeps_one = keeps_one

    @property
    @abstractmethod
    def place(self) -> tuple[str, int]:
        """Host and port that a proxy is to stand before."""

    @abstractmethod
    def account(self) -> HttpAccount:
        """Return an empty account that nobody has used."""


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


class _CyrusAccount(HttpAccount):
    def __init__(self, server: Cyrus) -> None:
        super().__init__()
        self._path = urlsplit(server.jmap_url).path
        user = server.fresh_user(mailboxes=("Archive", "Trash"))
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
        return _FakeAccount(self._thread, self._fake, self._free.pop())


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
