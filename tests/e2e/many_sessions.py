"""Sessions that work on one mailbox at the same time, each of which checks whatever it is told."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from tests.e2e.async_client import AsyncClient
from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import flag_set
from tests.e2e.raw_values import Reply
from tests.e2e.seeds import message
from tests.e2e.told import Flags, Place, Told

MAILBOX = "INBOX"
OTHER = "Other"

_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "todo", "$Forwarded")
_ID = "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]"
_ID_ITEM = "BODY[HEADER.FIELDS (MESSAGE-ID)]"
_FULL = 150
"""Messages in the mailbox from which on more go than come."""


@dataclass(slots=True)
class World:
    """What all sessions share: which message a UID stands for, and a count for new ones."""

    number: int = 1000
    bound: dict[int, bytes] = field(default_factory=dict)

    def next_message(self) -> bytes:
        """Return a message that was never there."""
        self.number += 1
        return message(self.number)

    def bind(self, uid: int, message_id: bytes) -> None:
        """Note what a UID stands for; it is the same for ever."""
        assert self.bound.setdefault(uid, message_id) == message_id, f"UID {uid}"


class Session:
    """One client with the mailbox selected. It may know CONDSTORE, and QRESYNC."""

    def __init__(self, name: str, endpoint: Endpoint, world: World, *, is_condstore: bool, is_qresync: bool) -> None:
        self.name = name
        self.told = Told(is_condstore=is_condstore, is_qresync=is_qresync)
        self.counts: dict[str, int] = {}
        self._endpoint = endpoint
        self._world = world
        self._random = random.Random(name)
        self._client: AsyncClient

    async def start(self) -> None:
        """Log in and select the mailbox."""
        self._client = await AsyncClient.connected(self._endpoint)
        self._client.observe, self._client.begin = self.told.feed, self.told.begin
        await self._client.ok(f'LOGIN "{self._endpoint.login}" "{self._endpoint.password}"')
        if self.told.is_condstore:
            await self._client.ok(f"ENABLE {'QRESYNC' if self.told.is_qresync else 'CONDSTORE'}")
        await self._client.ok(f"SELECT {MAILBOX}")

    def close(self) -> None:
        self._client.close()

    async def work(self, until: float) -> None:
        """Send commands until then, by the clock of the loop."""
        while asyncio.get_running_loop().time() < until:
            deeds: Sequence[tuple[Callable[[Session], Awaitable[None]], int]] = _DEEDS
            if len(self.told) > _FULL:
                deeds = [(deed, weight) for deed, weight in _DEEDS if deed not in _ADDING]
            (deed,) = self._random.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])
            name = deed.__name__
            self.counts[name] = self.counts.get(name, 0) + 1
            await deed(self)

    # -- looking ------------------------------------------------------------------------------------------------------

    async def noop(self) -> None:
        await self._client.ok("NOOP")

    async def idle(self) -> None:
        assert (await self._client.idle(self._random.uniform(0.05, 0.8))).is_ok

    async def fetch(self) -> None:
        if not len(self.told):
            await self.noop()
            return
        first = self._random.randint(1, len(self.told))
        last = self._random.randint(first, min(first + 20, len(self.told)))
        items = self._random.choice(("(UID FLAGS)", "(FLAGS)", f"(UID {_ID})", "(UID ENVELOPE RFC822.SIZE)", "(UID)"))
        self._bind(await self._client.command(f"FETCH {first}:{last} {items}"))

    async def uid_fetch(self) -> None:
        uids = self._some()
        modseq = " MODSEQ" if self.told.is_condstore else ""
        self._bind(await self._client.ok(f"UID FETCH {uids or '1:*'} (FLAGS{modseq} {_ID})"))

    def _bind(self, reply: Reply) -> None:
        for row in reply.fetched():
            uid, found = row.items.get("UID"), row.items.get(_ID_ITEM)
            if isinstance(uid, int) and isinstance(found, bytes):
                self._world.bind(uid, found)

    async def search(self) -> None:
        key = self._random.choice(("UNSEEN", "DELETED", "FLAGGED UNANSWERED", "SUBJECT number", "KEYWORD todo", "ALL"))
        verb = self._random.choice(("SEARCH", "UID SEARCH"))
        assert (await self._client.command(f"{verb} {key}")).is_ok

    async def search_number(self) -> None:
        """Ask for the UID of a message by its number."""
        if not len(self.told):
            await self.noop()
            return
        number = self._random.randint(1, len(self.told))
        place = self.told.places[number - 1]
        reply = await self._client.ok(f"UID SEARCH {number}")
        found = [value for values in reply.data("SEARCH") for value in values]
        assert len(found) <= 1
        if found and place.uid is not None:
            assert found == [place.uid]

    # -- changing -----------------------------------------------------------------------------------------------------

    async def append(self) -> None:
        flags = " ".join(self._some_flags())
        reply = await self._client.ok(f"APPEND {MAILBOX} ({flags}) {{}}", self._world.next_message())
        assert "APPENDUID" in reply.codes()

    async def store(self) -> None:
        names = self._some_flags()
        if self._random.random() < 0.25:
            names |= {"\\Deleted"}
        await self._store(self._random.choice(("", "+", "-")), names)

    async def _store(self, sign: str, names: Flags) -> None:
        chosen = self._known()
        if not chosen:
            await self.uid_fetch()
            return
        is_silent = self._random.random() < 0.4
        since = max(place.modseq for place in chosen.values())
        modifier = ""
        if self.told.is_condstore and since and self._random.random() < 0.3:
            modifier = f" (UNCHANGEDSINCE {max(1, since - self._random.randint(0, 3))})"
        before = {uid: place.flags for uid, place in chosen.items()}
        uids = ",".join(map(str, chosen))
        change = f"{sign}FLAGS{'.SILENT' if is_silent else ''} ({' '.join(sorted(names))})"
        reply = await self._client.command(f"UID STORE {uids}{modifier} {change}")
        if is_silent:
            self._assume(reply, before, sign, names)

    def _assume(self, reply: Reply, before: dict[int, frozenset[Flags] | None], sign: str, names: Flags) -> None:
        """Take for granted what a silent STORE has done; whatever was told meanwhile may be from before or after it."""
        modified = set(_numbers(reply.codes().get("MODIFIED", "")))
        for uid, flags in before.items():
            now = dict(self.told.known()).get(uid)
            if now is None or uid in modified:
                continue
            if not reply.is_ok:
                self.told.assume(uid, None)
                continue
            if flags is None or now.flags is None:
                self.told.assume(uid, None if sign else frozenset({names}) | (now.flags or frozenset()))
                continue
            applied = frozenset(_applied(sign, names, one) for one in now.flags)
            self.told.assume(uid, applied | now.flags if self.told.has_heard_of(uid) else applied)

    async def expunge(self) -> None:
        assert (await self._client.command("EXPUNGE")).is_ok

    async def uid_expunge(self) -> None:
        """Mark some and remove them."""
        chosen = self._known()
        if not chosen:
            await self.uid_fetch()
            return
        uids = ",".join(map(str, chosen))
        await self._client.command(f"UID STORE {uids} +FLAGS (\\Deleted)")
        await self._client.ok(f"UID EXPUNGE {uids}")

    async def copy(self) -> None:
        """Copy some here or to the other mailbox."""
        await self._client.command(f"UID COPY {self._some() or '1'} {self._random.choice((MAILBOX, OTHER))}")

    async def move(self) -> None:
        await self._client.command(f"UID MOVE {self._some() or '1'} {OTHER}")

    async def copy_back(self) -> None:
        """Leave for the other mailbox, move something from there, and come back as a client does that was away."""
        before = dict(self.told.known())
        uidvalidity, modseq = self.told.uidvalidity, self.told.highestmodseq
        knows_all = len(before) == len(self.told) and all(place.flags for place in before.values())
        quiet = Told(is_condstore=self.told.is_condstore, is_qresync=self.told.is_qresync)
        self._client.observe, self._client.begin = quiet.feed, quiet.begin
        await self._client.ok(f"SELECT {OTHER}")
        if len(quiet):
            await self._client.command(f"UID MOVE {self._random.randint(1, 1 + len(quiet))}:* {MAILBOX}")
        self._client.observe, self._client.begin = self.told.feed, self.told.begin
        if self.told.is_qresync and knows_all and modseq:
            await self._client.ok(f"SELECT {MAILBOX} (QRESYNC ({uidvalidity} {modseq}))")
            self.told.resume(uidvalidity)
        else:
            await self._client.ok(f"SELECT {MAILBOX}")

    def _known(self) -> dict[int, Place]:
        """Return one to five messages whose UIDs were told."""
        known = list(self.told.known())
        return dict(sorted(self._random.sample(known, min(len(known), self._random.randint(1, 5)))))

    def _some(self) -> str:
        return ",".join(map(str, self._known()))

    def _some_flags(self) -> Flags:
        return frozenset(self._random.sample(_FLAGS, self._random.randint(0, 2)))

    # -- in the end ---------------------------------------------------------------------------------------------------

    def differences(self, actual: dict[int, Flags]) -> list[str]:
        """Return how what was told is not what is there, UID to flags."""
        found: list[str] = []
        if len(self.told) != len(actual):
            found.append(f"{self.name}: {len(self.told)} EXIST, there are {len(actual)}")
        for number, (place, (uid, flags)) in enumerate(zip(self.told.places, sorted(actual.items()), strict=False), 1):
            if place.uid is not None and place.uid != uid:
                found.append(f"{self.name}: message {number} is UID {uid}, told {place.uid}")
            if place.flags is not None and flags not in place.flags:
                found.append(f"{self.name}: UID {uid} has {sorted(flags)}, told {[*map(sorted, place.flags)]}")
        return found


async def held(endpoint: Endpoint) -> dict[int, Flags]:
    """Return the flags of all messages of the mailbox, by UID."""
    async with await AsyncClient.connected(endpoint) as client:
        await client.ok(f'LOGIN "{endpoint.login}" "{endpoint.password}"')
        selected = await client.ok(f"EXAMINE {MAILBOX}")
        rows = (await client.ok("UID FETCH 1:* (UID FLAGS)")).fetched() if selected.numbered("EXISTS")[-1] else []
        found: dict[int, Flags] = {}
        for row in rows:
            uid = row.items["UID"]
            assert isinstance(uid, int)
            found[uid] = flag_set(row.items["FLAGS"])
        return found


_DEEDS: Sequence[tuple[Callable[[Session], Awaitable[None]], int]] = (
    (Session.noop, 4),
    (Session.idle, 3),
    (Session.fetch, 8),
    (Session.uid_fetch, 5),
    (Session.search, 4),
    (Session.search_number, 4),
    (Session.append, 6),
    (Session.store, 10),
    (Session.expunge, 2),
    (Session.uid_expunge, 3),
    (Session.copy, 4),
    (Session.move, 4),
    (Session.copy_back, 2),
)
_ADDING = (Session.append, Session.copy, Session.copy_back)


def _applied(sign: str, names: Flags, before: Flags) -> Flags:
    match sign:
        case "+":
            return before | names
        case "-":
            return before - names
        case _:
            return names


def _numbers(text: str) -> list[int]:
    found: list[int] = []
    for piece in filter(None, text.split(",")):
        low, _, high = piece.partition(":")
        found.extend(range(int(low), int(high or low) + 1))
    return found
