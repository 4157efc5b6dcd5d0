"""A stand-in for Microsoft Graph with many users, in a thread beside the tests."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Self

from gateway.wire import mutf7
from tests.e2e.endpoint import NOWHERE, OUTLOOK_MAILBOXES
from tests.e2e.gateway_process import Account, DeclaredAccount
from tests.e2e.loop_thread import LoopThread
from tests.fakes.graph import FakeGraph, GraphOptions, running_graph
from tests.fakes.graph.mailbox import Mailbox
from tests.fakes.graph.mapi import LAST_VERB
from tests.fakes.graph.rebuild import rebuilt
from tests.fakes.graph.records import Folder, Message

BEGIN = datetime(2024, 2, 1, tzinfo=UTC)
"""When mail begins to arrive, one message a minute: Graph tells times in seconds, and UIDs are given by them."""
_VERBS = {"102": "\\Answered", "103": "\\Answered", "104": "$Forwarded"}
_VERB_OF = {"\\Answered": 102, "$Forwarded": 104}


class GraphServer:
    """The stand-in, served while the thread runs."""

    def __init__(self, thread: LoopThread, fake: FakeGraph) -> None:
        self.thread = thread
        self.fake = fake
        self._numbers = itertools.count(1)

    def new_user(self) -> str:
        """Make a user without mail, and return the address."""
        address = f"user{next(self._numbers)}@example.com"
        self.thread.call(lambda: self.fake.add_user(address))
        return address

    def declared(self, login: str, password: str, address: str, **settings: str | float) -> DeclaredAccount:
        """Return a user's account as it stands in the configuration of a gateway."""
        token = self.thread.call(lambda: self.fake.access_token(user=address))
        chosen: dict[str, str | float] = {
            "api_root": self.fake.api_root,
            "poll_interval_s": 5,
            "requests_per_10_minutes": 1_000_000,
            # As with the others: what is deleted is gone.
            "expunge": "permanent",
            **settings,
        }
        return DeclaredAccount(login, password, "graph", chosen, {}, {"access_token": token})

    def check(self) -> None:
        """See that nothing was sent, or answered, that Graph's published types do not allow."""
        self.thread.call(self.fake.assert_no_violations)


@contextmanager
def running_graph_server(options: GraphOptions | None = None) -> Iterator[GraphServer]:
    """Serve a stand-in while the block runs, one without limits if no options are given."""
    with LoopThread() as thread:
        fake = thread.call(lambda: FakeGraph(options or GraphOptions(requests_per_10_min=None)))
        server = GraphServer(thread, thread.enter(running_graph(fake=fake)))
        yield server
        server.check()


def new_graph_account(server: GraphServer, login: str, password: str) -> Account:
    """Make an account without mail for a local login."""
    address = server.new_user()
    declared = server.declared(login, password, address)
    return Account(login, password, NOWHERE, declared=declared, connect_back=partial(GraphBack, server, address))


class GraphBack:
    """A user's mail at the stand-in. UIDs are numbers of our own: each message of a folder in the order of arrival."""

    def __init__(self, server: GraphServer, address: str) -> None:
        self._server = server
        self._address = address
        self._uids: defaultdict[int, dict[int, int]] = defaultdict(dict)
        self._minutes = itertools.count()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def create(self, mailbox: str) -> None:
        self._server.thread.call(lambda: self._server.fake.create_folder(_decoded(mailbox), user=self._address))

    def mailboxes(self) -> Mapping[str, object]:
        names = self._server.thread.call(lambda: list(_names(self._mailbox.root)))
        return dict.fromkeys(OUTLOOK_MAILBOXES | {mutf7.encode(name).decode() for name in names})

    def status(self, mailbox: str, *items: str) -> dict[str, int]:
        held = self._held(mailbox).values()
        found = {"MESSAGES": len(held), "UNSEEN": sum(not each.is_read for each in held)}
        return {item: found[item] for item in items}

    def append(self, mailbox: str, content: bytes, flags: str = "()", *, moment: datetime | None = None) -> int:
        given = frozenset(flags.strip("()").split())
        received = moment or BEGIN + timedelta(minutes=next(self._minutes))

        def deliver() -> str:
            fake, user = self._server.fake, self._address
            ref = fake.deliver(content, _place(mailbox), received=received, user=user)
            if given:
                fake.mark(ref, user=user, **_marks(given))
            return ref

        ref = self._server.thread.call(deliver)
        number = self._server.thread.call(lambda: self._mailbox.message(ref).number)
        return next(uid for uid, message in self._held(mailbox).items() if message.number == number)

    def append_many(self, mailbox: str, messages: Iterable[bytes]) -> None:
        for content in messages:
            self.append(mailbox, content)

    def contents(self, mailbox: str) -> dict[int, bytes]:
        return {
            uid: rebuilt(message.content, message.received, f"{message.number}")
            for uid, message in self._held(mailbox).items()
        }

    def flags_in(self, mailbox: str) -> dict[int, frozenset[str]]:
        return {uid: flags_of(message) for uid, message in self._held(mailbox).items()}

    def store(self, mailbox: str, uid: int, *, add: str = "", remove: str = "") -> None:
        message = self._held(mailbox)[uid]
        flags = (flags_of(message) | set(add.split())) - set(remove.split())
        ref = self._ref(message)
        self._server.thread.call(lambda: self._server.fake.mark(ref, user=self._address, **_marks(flags)))

    def expunge(self, mailbox: str, uid: int) -> None:
        ref = self._ref(self._held(mailbox)[uid])
        self._server.thread.call(lambda: self._server.fake.delete(ref, self._address))

    def refs(self, mailbox: str) -> dict[int, str]:
        """Return the immutable ids by UID."""
        return {uid: self._ref(message) for uid, message in self._held(mailbox).items()}

    def messages(self, mailbox: str) -> list[Message]:
        """Return the stand-in's own messages, in the order of their arrival."""
        return list(self._held(mailbox).values())

    @property
    def _mailbox(self) -> Mailbox:
        return self._server.fake.mailboxes[self._address]

    def _ref(self, message: Message) -> str:
        return self._mailbox.ids.message(message.number)

    def _held(self, mailbox: str) -> dict[int, Message]:
        """Return the messages of a mailbox by UID, those that are new to us numbered on."""

        def read() -> tuple[int, list[Message]]:
            folder = self._server.fake.folder(_place(mailbox), self._address)
            return folder.number, list(reversed(self._mailbox.in_folder(folder)))

        number, there = self._server.thread.call(read)
        uids = self._uids[number]
        for message in there:
            uids.setdefault(message.number, len(uids) + 1)
        return {uids[message.number]: message for message in sorted(there, key=lambda each: uids[each.number])}


def flags_of(message: Message) -> frozenset[str]:
    """Return what a message of the stand-in is marked with, as IMAP has it."""
    flags = set(message.categories)
    if message.is_read:
        flags.add("\\Seen")
    if message.flag.get("flagStatus") == "flagged":
        flags.add("\\Flagged")
    if message.is_draft:
        flags.add("\\Draft")
    verb = _VERBS.get((message.extended or {}).get(LAST_VERB, ""))
    return frozenset(flags | {verb} if verb else flags)


def _marks(flags: frozenset[str]) -> dict[str, Any]:
    verbs = [verb for flag, verb in _VERB_OF.items() if flag in flags]
    assert len(verbs) <= 1, "Outlook knows only what was done last"
    system = {"\\Seen", "\\Flagged", "\\Draft", *_VERB_OF}
    return {
        "is_read": "\\Seen" in flags,
        "flag": "flagged" if "\\Flagged" in flags else "notFlagged",
        "categories": sorted(flags - system),
        "verb": verbs[0] if verbs else 0,
    }


def _names(folder: Folder, above: str = "") -> Iterator[str]:
    """Yield the folders below one by path, but Outlook's own at the top and those that are hidden."""
    for child in folder.children.values():
        if child.is_hidden:
            continue
        if child.well_known is None:
            yield f"{above}{child.name}"
        yield from _names(child, f"{above}{child.name}/")


def _place(mailbox: str) -> str:
    return "inbox" if mailbox == "INBOX" else _decoded(mailbox)


def _decoded(mailbox: str) -> str:
    return mutf7.decode(mailbox.encode())
