"""A stand-in for Gmail with many users, in a thread beside the tests: what the gateway reaches by Gmail's API."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from typing import Self

from gateway.wire import mutf7
from tests.e2e.endpoint import GMAIL_MAILBOXES, NOWHERE
from tests.e2e.gateway_process import Account, DeclaredAccount
from tests.e2e.loop_thread import LoopThread
from tests.fakes.gmail.fake import FakeGmail
from tests.fakes.gmail.mailbox import Mailbox, Message
from tests.fakes.gmail.server import Endpoints, running_fake

SYSTEM = {
    "[Gmail]/Drafts": "DRAFT",
    "[Gmail]/Important": "IMPORTANT",
    "[Gmail]/Sent Mail": "SENT",
    "[Gmail]/Spam": "SPAM",
    "[Gmail]/Starred": "STARRED",
    "[Gmail]/Trash": "TRASH",
}
"""The mailboxes that Gmail has itself, and the labels they show; beside INBOX, and All Mail, which is no label."""
ALL_MAIL = "[Gmail]/All Mail"
_LABEL_OF = {"\\Flagged": "STARRED", "\\Draft": "DRAFT"}
_FLAG_OF = {label: flag for flag, label in _LABEL_OF.items()}


class GmailServer:
    """The stand-in, and where it answers. `settings` are what accounts at it are given beside its addresses."""

    def __init__(self, thread: LoopThread, fake: FakeGmail, endpoints: Endpoints) -> None:
        self.thread = thread
        self.fake = fake
        self.endpoints = endpoints
        self._numbers = itertools.count(1)

    def new_user(self) -> str:
        """Make a user without mail, and return the address."""
        address = f"user{next(self._numbers)}@example.com"
        self.thread.call(lambda: self.fake.add_user(address))
        return address

    def declared(self, login: str, password: str, address: str, **settings: str | float) -> DeclaredAccount:
        """Return a user's account as it stands in the configuration of a gateway."""
        token = self.thread.call(lambda: self.fake.refresh_token(user=address))
        options = self.fake.options
        chosen: dict[str, str | float] = {
            "api_root": self.endpoints.api_root,
            "token_uri": self.endpoints.token_uri,
            "poll_interval_s": 1,
            "units_per_minute": 1_000_000,
            **settings,
        }
        secrets = {"client_secret": options.client_secret, "refresh_token": token}
        return DeclaredAccount(login, password, "gmail", chosen, {"client_id": options.client_id}, secrets)

    def check(self) -> None:
        """See that nothing was sent that Gmail's published description does not allow."""
        assert self.thread.call(lambda: list(self.fake.violations)) == []


@contextmanager
def running_gmail(fake: FakeGmail | None = None) -> Iterator[GmailServer]:
    """Serve a stand-in while the block runs, one without a quota if none is given."""
    with LoopThread() as thread:
        served = fake if fake is not None else thread.call(FakeGmail)
        endpoints = thread.enter(running_fake(served))
        server = GmailServer(thread, served, endpoints)
        yield server
        server.check()


def new_gmail_account(server: GmailServer, login: str, password: str) -> Account:
    """Make an account without mail for a local login."""
    address = server.new_user()
    declared = server.declared(login, password, address)
    return Account(login, password, NOWHERE, declared=declared, connect_back=partial(GmailBack, server, address))


class GmailBack:
    """A user's mail at the stand-in. UIDs are numbers of our own: each message of a mailbox in the order of arrival."""

    def __init__(self, server: GmailServer, address: str) -> None:
        self._server = server
        self._address = address
        self._uids: defaultdict[str, dict[int, int]] = defaultdict(dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def create(self, mailbox: str) -> None:
        self._server.thread.call(lambda: self._mailbox.labels.create(_decoded(mailbox)))

    def mailboxes(self) -> Mapping[str, object]:
        names = self._server.thread.call(lambda: [label.name for label in self._mailbox.labels if not label.is_system])
        parents = {"/".join(name.split("/")[:depth]) for name in names for depth in range(1, name.count("/") + 1)}
        return dict.fromkeys(GMAIL_MAILBOXES | {mutf7.encode(name).decode() for name in {*names, *parents}})

    def status(self, mailbox: str, *items: str) -> dict[str, int]:
        labels = [message.labels for message in self._held(mailbox).values()]
        found = {"MESSAGES": len(labels), "UNSEEN": sum("UNREAD" in each for each in labels)}
        return {item: found[item] for item in items}

    def append(self, mailbox: str, content: bytes, flags: str = "()", *, moment: datetime | None = None) -> int:
        given = set(flags.strip("()").split())
        labels = {self._label(mailbox)} | {_LABEL_OF[flag] for flag in given & _LABEL_OF.keys()}
        labels |= set() if "\\Seen" in given else {"UNREAD"}
        made = self._server.thread.call(lambda: self._mailbox.add(content, frozenset(labels), date=moment))
        return next(uid for uid, message in self._held(mailbox).items() if message.number == made.number)

    def append_many(self, mailbox: str, messages: Iterable[bytes]) -> None:
        for content in messages:
            self.append(mailbox, content)

    def contents(self, mailbox: str) -> dict[int, bytes]:
        return {uid: message.content().raw for uid, message in self._held(mailbox).items()}

    def flags_in(self, mailbox: str) -> dict[int, frozenset[str]]:
        return {uid: _flags_of(message.labels) for uid, message in self._held(mailbox).items()}

    def store(self, mailbox: str, uid: int, *, add: str = "", remove: str = "") -> None:
        message = self._held(mailbox)[uid]
        added, removed = _labels_for(add.split()), _labels_for(remove.split())
        seen = frozenset({"UNREAD"})
        added |= seen if "\\Seen" in remove.split() else frozenset()
        removed |= seen if "\\Seen" in add.split() else frozenset()
        self._server.thread.call(lambda: self._mailbox.relabel(message, added, removed))

    def expunge(self, mailbox: str, uid: int) -> None:
        message, label = self._held(mailbox)[uid], frozenset({self._label(mailbox)})
        self._server.thread.call(lambda: self._mailbox.relabel(message, frozenset(), label))

    @property
    def _mailbox(self) -> Mailbox:
        return self._server.fake.mailboxes[self._address]

    def _held(self, mailbox: str) -> dict[int, Message]:
        """Return the messages of a mailbox by UID, those that are new to us numbered on."""
        label = self._label(mailbox)
        there = self._server.thread.call(
            lambda: [message for message in self._mailbox.messages.values() if _is_in(label, message)]
        )
        uids = self._uids[label]
        for message in there:
            uids.setdefault(message.number, len(uids) + 1)
        return {uids[message.number]: message for message in sorted(there, key=lambda each: uids[each.number])}

    def _label(self, mailbox: str) -> str:
        if mailbox == "INBOX" or mailbox in SYSTEM:
            return SYSTEM.get(mailbox, "INBOX")
        if mailbox == ALL_MAIL:
            return ALL_MAIL
        found = self._server.thread.call(lambda: self._mailbox.labels.named(_decoded(mailbox)))
        assert found is not None, f"no label for {mailbox}"
        return found.id


def _is_in(label: str, message: Message) -> bool:
    return label in message.labels or (label == ALL_MAIL and not message.labels & {"SPAM", "TRASH"})


def _decoded(mailbox: str) -> str:
    return mutf7.decode(mailbox.encode())


def _flags_of(labels: Iterable[str]) -> frozenset[str]:
    held = frozenset(labels)
    flags = {_FLAG_OF[label] for label in held & _FLAG_OF.keys()}
    return frozenset(flags if "UNREAD" in held else flags | {"\\Seen"})


def _labels_for(flags: Iterable[str]) -> frozenset[str]:
    return frozenset(_LABEL_OF[flag] for flag in flags if flag in _LABEL_OF)
