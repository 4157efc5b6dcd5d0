"""One client of a soak: it logs in, does a while what mail clients do, logs out, and comes again.

Everything it changes it has stored itself, and everything it is told goes into the ledger of its account. When a
command is not answered, it leaves alone what that was about; it never repeats a command that changes something.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from bench.soak.figures import Figures
from bench.soak.ledger import DELETED, GONE, Copy, Flags, Ledger
from bench.soak.mail import message_id_of, new_message
from bench.soak.pace import Pace
from tests.e2e.async_client import AsyncClient
from tests.e2e.endpoint import Endpoint
from tests.e2e.raw_client import ConnectionEnded, flag_set
from tests.e2e.raw_values import Listed, Reply, Status, WireError
from tests.e2e.told import Lie, Told

MAILBOXES = ("INBOX", "Work", "Later", "Lists/Announce")

_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "\\Draft", "$Forwarded", "todo")
_KEPT = 12
"""Copies a client has before it rather removes than adds."""

_SESSION = 40
"""Commands after which a client logs out, on average."""

_TIMEOUT_S = 120.0
_COME_AGAIN_S = (0.3, 2.0)
_IDLE_S = (1.0, 15.0)


class _Refused(Exception):
    """A command was answered with NO; the session goes on."""


@dataclass(frozen=True, slots=True)
class Guest:
    """Who a client is: where it logs in, and whether as a client that knows CONDSTORE or QRESYNC."""

    name: str
    endpoint: Endpoint
    is_condstore: bool
    is_qresync: bool


class Visitor:
    """Call `run` once; it returns when `is_over` says so, and the command under way has been answered."""

    def __init__(
        self, guest: Guest, ledger: Ledger, figures: Figures, pace: Pace, is_over: Callable[[], bool], seed: int
    ) -> None:
        self._guest = guest
        self._ledger = ledger
        self._figures = figures
        self._pace = pace
        self._is_over = is_over
        self._random = random.Random(seed)
        self._own: list[Copy] = []
        self._count = 0
        self._mailbox = ""
        self._client: AsyncClient
        self._told = Told()

    async def run(self) -> None:
        """Come again and again."""
        while not self._is_over():
            try:
                await self._visit()
            except (ConnectionEnded, ConnectionError):
                self._figures.failed("connection ended")
            except TimeoutError:
                self._figures.failed(f"no answer within {_TIMEOUT_S:g} s")
            except (Lie, WireError, AssertionError) as error:
                self._figures.violated(f"{self._guest.name} {self._mailbox}: {error}")
            self._own = [copy for copy in self._own if copy.is_usable or copy.is_marked]
            await asyncio.sleep(self._random.uniform(*_COME_AGAIN_S))

    async def _visit(self) -> None:
        await self._pace.turn()
        began = time.perf_counter()
        async with await AsyncClient.connected(self._guest.endpoint, timeout_s=_TIMEOUT_S) as client:
            self._client = client
            self._mailbox = ""
            self._told = Told(is_condstore=self._guest.is_condstore, is_qresync=self._guest.is_qresync)
            client.observe, client.begin = self._told.feed, self._told.begin
            endpoint = self._guest.endpoint
            reply = await client.command(f'LOGIN "{endpoint.login}" "{endpoint.password}"')
            if not reply.is_ok:
                self._count_refusal("LOGIN", reply)
                return
            self._figures.took("LOGIN", time.perf_counter() - began)
            if self._guest.is_condstore:
                await self._ask("ENABLE", f"ENABLE {'QRESYNC' if self._guest.is_qresync else 'CONDSTORE'}")
            while not self._is_over() and self._random.random() > 1 / _SESSION:
                await self._pace.turn()
                try:
                    await self._work()
                except _Refused:
                    continue
            await self._ask("LOGOUT", "LOGOUT")

    async def _work(self) -> None:
        """Do one thing."""
        if not self._mailbox:
            await self._select(self._random.choice(MAILBOXES))
            return
        here = [copy for copy in self._own if self._mailbox in copy.places]
        doomed = [copy for copy in here if copy.is_marked]
        live = [copy for copy in here if copy.is_usable]
        deeds = [*_ALWAYS]
        has_room = len(self._own) < _KEPT
        if live:
            deeds += _WITH_OWN
            deeds += [(Visitor._copy, 4)] if has_room else [(Visitor._doom, 16)]
        if doomed:
            deeds += [(Visitor._expunge, 20)]
        if has_room:
            deeds += [(Visitor._append, 16)]
        (deed,) = self._random.choices([deed for deed, _ in deeds], [weight for _, weight in deeds])
        await deed(self, doomed if deed is Visitor._expunge else live)

    # -- reading ------------------------------------------------------------------------------------------------------

    async def _list(self, _: Sequence[Copy]) -> None:
        reply = await self._ask("LIST", 'LIST "" "*"')
        names = {item.name for item in reply.untagged if isinstance(item, Listed)}
        self._require(names >= set(MAILBOXES), f"LIST has only {sorted(names)}")

    async def _status(self, _: Sequence[Copy]) -> None:
        name = self._random.choice(MAILBOXES)
        await self._ask("STATUS", f'STATUS "{name}" (MESSAGES UNSEEN UIDNEXT UIDVALIDITY)')

    async def _reselect(self, _: Sequence[Copy]) -> None:
        # Rather where there is something of one's own.
        places = [place for copy in self._own for place in copy.places if place != GONE]
        await self._select(self._random.choice([*MAILBOXES, *places]))

    async def _select(self, name: str) -> None:
        self._mailbox = ""
        reply = await self._ask("SELECT", f'SELECT "{name}"')
        self._mailbox = name
        self._ledger.saw_mailbox(name, int(reply.codes()["UIDVALIDITY"]))

    async def _fetch(self, _: Sequence[Copy]) -> None:
        """List some messages, as for a screen."""
        if not len(self._told):
            await self._ask("NOOP", "NOOP")
            return
        first = self._random.randint(1, len(self._told))
        last = min(first + self._random.randint(0, 25), len(self._told))
        reply = await self._ask("FETCH", f"FETCH {first}:{last} (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE)")
        for row in reply.fetched():
            envelope, uid = row.items.get("ENVELOPE"), row.items.get("UID")
            if isinstance(envelope, tuple) and isinstance(uid, int) and isinstance(envelope[9], bytes):
                self._ledger.saw(self._mailbox, uid, envelope[9].decode())

    async def _fetch_body(self, _: Sequence[Copy]) -> None:
        uids = self._told.uids
        if not uids:
            await self._fetch(_)
            return
        reply = await self._ask("FETCH BODY[]", f"UID FETCH {self._random.choice(uids)} (UID BODY.PEEK[])")
        for row in reply.fetched():
            uid, content = row.items.get("UID"), row.items.get("BODY[]")
            if isinstance(content, bytes) and isinstance(uid, int):
                self._ledger.saw_content(self._mailbox, uid, message_id_of(content), content)

    async def _search(self, live: Sequence[Copy]) -> None:
        if live and self._random.random() < 0.4:
            copy = self._random.choice(live)
            found = await self._found(f"UID SEARCH HEADER Message-ID {copy.message_id}")
            self._require(copy.uids[self._mailbox] in found, f"SEARCH finds {found}, not {copy}")
            return
        keys = ("UNSEEN", "FLAGGED UNDELETED", "SUBJECT soak", "SINCE 1-Jan-2020 LARGER 4000", "KEYWORD todo", "1:*")
        await self._found(f"SEARCH {self._random.choice(keys)}")

    async def _found(self, command: str) -> list[int]:
        reply = await self._ask("SEARCH", command)
        return [number for values in reply.data("SEARCH") for number in values if isinstance(number, int)]

    async def _look_at_own(self, live: Sequence[Copy]) -> None:
        """See that what was acknowledged is there as it was told."""
        await self._ask("NOOP", "NOOP")
        uids = ",".join(str(copy.uids[self._mailbox]) for copy in live)
        reply = await self._ask("FETCH own", f"UID FETCH {uids} (UID FLAGS)")
        shown = _flags_by_uid(reply)
        for copy in live:
            flags = shown.get(copy.uids[self._mailbox])
            self._require(flags is not None, f"{copy} is not there any more")
            text = f"flags are {sorted(flags or ())}, told {[*map(sorted, copy.flags)]} of {copy}"
            self._require(flags in copy.flags, text)

    async def _idle(self, _: Sequence[Copy]) -> None:
        reply = await self._client.idle(self._random.uniform(*_IDLE_S))
        if not reply.is_ok:
            self._count_refusal("IDLE", reply)

    async def _noop(self, _: Sequence[Copy]) -> None:
        await self._ask("NOOP", "NOOP")

    # -- changing -----------------------------------------------------------------------------------------------------

    async def _append(self, _: Sequence[Copy]) -> None:
        self._count += 1
        name = self._random.choice(MAILBOXES)
        message_id, content = new_message(f"{self._guest.name}.{self._count}", self._random)
        flags = self._some_flags()
        copy = self._ledger.appending(message_id, content, name, flags)
        reply = await self._ask("APPEND", f'APPEND "{name}" ({" ".join(flags)}) {{}}', content)
        uidvalidity, uid = reply.codes()["APPENDUID"].split()
        self._ledger.arrived(copy, name, int(uidvalidity), int(uid))
        self._own.append(copy)

    async def _store(self, live: Sequence[Copy]) -> None:
        copies = self._some(live)
        sign, names = self._random.choice(("", "+", "-")), self._some_flags()
        after = {copy: _applied(sign, names, copy.flags) for copy in copies}
        silent = self._random.choice((".SILENT", ""))
        await self._store_flags(after, f"{sign}FLAGS{silent} ({' '.join(names)})")

    async def _doom(self, live: Sequence[Copy]) -> None:
        copies = self._some(live)
        after = {copy: _applied("+", frozenset({DELETED}), copy.flags) for copy in copies}
        await self._store_flags(after, f"+FLAGS ({DELETED})")

    async def _store_flags(self, after: dict[Copy, Flags], change: str) -> None:
        for copy, flags in after.items():
            self._ledger.storing(copy, flags)
        await self._ask("STORE", f"UID STORE {self._uids(after)} {change}")
        for copy, flags in after.items():
            self._ledger.stored(copy, flags)

    async def _expunge(self, doomed: Sequence[Copy]) -> None:
        commands = {
            "EXPUNGE": "EXPUNGE",
            "UID EXPUNGE": f"UID EXPUNGE {self._uids(doomed)}",
            "CLOSE": "CLOSE",
        }
        kind = self._random.choices([*commands], (2, 6, 1))[0]
        for copy in doomed:
            copy.is_certain = False
        if kind == "CLOSE":
            self._mailbox = ""
        reply = await self._ask(kind, commands[kind])
        warnings = [status for status in reply.untagged if isinstance(status, Status) and status.kind == "NO"]
        for warning in warnings:
            # CLOSE has no NO (RFC 9051 section 6.4.1).
            self._figures.failed(f"{kind}: OK, but NO [{warning.code}] {warning.text}")
        if warnings:
            raise _Refused
        for copy in doomed:
            self._ledger.expunged(copy)
        self._own = [copy for copy in self._own if copy not in doomed]

    async def _copy(self, live: Sequence[Copy]) -> None:
        copies, name = self._some(live), self._random.choice(MAILBOXES)
        new = [self._ledger.copying(copy, name) for copy in copies]
        reply = await self._ask("COPY", f'UID COPY {self._uids(copies)} "{name}"')
        uidvalidity, uids = self._copied("COPY", reply, copies)
        for copy, old in zip(new, copies, strict=True):
            self._ledger.arrived(copy, name, uidvalidity, uids.get(old.uids[self._mailbox]))
        self._own.extend(new)

    async def _move(self, live: Sequence[Copy]) -> None:
        copies = self._some(live)
        name = self._random.choice([name for name in MAILBOXES if name != self._mailbox])
        echoes = [self._ledger.moving(copy, name) for copy in copies]
        reply = await self._ask("MOVE", f'UID MOVE {self._uids(copies)} "{name}"')
        uidvalidity, uids = self._copied("MOVE", reply, copies)
        for copy, echo in zip(copies, echoes, strict=True):
            self._ledger.moved(copy, echo, name, uidvalidity, uids.get(copy.uids[self._mailbox]))

    def _copied(self, kind: str, reply: Reply, copies: Sequence[Copy]) -> tuple[int, dict[int, int]]:
        """Return UIDVALIDITY and the new UIDs by the old ones. Servers should tell of all, but need not (RFC 4315)."""
        uids: dict[int, int] = {}
        uidvalidity, old, new = reply.codes().get("COPYUID", "0  ").split(" ")
        if old:
            uids = dict(zip(_numbers(old), _numbers(new), strict=True))
        wanted = {copy.uids[self._mailbox] for copy in copies}
        self._require(uids.keys() <= wanted, f"COPYUID tells of {sorted(uids)}, asked for were {sorted(wanted)}")
        for _ in wanted - uids.keys():
            self._figures.failed(f"{kind}: OK, but not in COPYUID")
        return int(uidvalidity), uids

    def _some(self, copies: Sequence[Copy]) -> list[Copy]:
        return self._random.sample(copies, self._random.randint(1, min(len(copies), 4)))

    def _uids(self, copies: Sequence[Copy] | dict[Copy, Flags]) -> str:
        return ",".join(str(uid) for uid in sorted(copy.uids[self._mailbox] for copy in copies))

    def _some_flags(self) -> Flags:
        return frozenset(self._random.sample(_FLAGS, self._random.randint(0, 3)))

    # -- asking -------------------------------------------------------------------------------------------------------

    async def _ask(self, kind: str, line: str, *literals: bytes) -> Reply:
        """Send a command.

        Raises:
            _Refused: it was answered with NO.
        """
        began = time.perf_counter()
        reply = await self._client.command(line, *literals)
        if not reply.is_ok:
            self._count_refusal(kind, reply)
            raise _Refused
        self._figures.took(kind, time.perf_counter() - began)
        for status in reply.untagged:
            if isinstance(status, Status) and status.kind == "BYE" and kind != "LOGOUT":
                raise ConnectionEnded(status.text)
        return reply

    def _count_refusal(self, kind: str, reply: Reply) -> None:
        status = reply.status
        self._figures.failed(f"{kind}: {status.kind} [{status.code}] {status.text}")
        self._require(status.kind != "BAD", f"{kind} was answered {status}")

    def _require(self, is_so: bool, text: str) -> None:
        if not is_so:
            self._figures.violated(f"{self._guest.name} {self._mailbox}: {text}")


_ALWAYS: list[tuple[Callable[[Visitor, Sequence[Copy]], Awaitable[None]], int]] = [
    (Visitor._list, 2),
    (Visitor._status, 3),
    (Visitor._reselect, 8),
    (Visitor._fetch, 12),
    (Visitor._fetch_body, 8),
    (Visitor._search, 7),
    (Visitor._idle, 6),
    (Visitor._noop, 5),
]

_WITH_OWN: list[tuple[Callable[[Visitor, Sequence[Copy]], Awaitable[None]], int]] = [
    (Visitor._look_at_own, 8),
    (Visitor._store, 14),
    (Visitor._doom, 3),
    (Visitor._move, 7),
]


def _flags_by_uid(reply: Reply) -> dict[int, Flags]:
    """Return the last flags told of each message."""
    found: dict[int, Flags] = {}
    for row in reply.fetched():
        uid = row.items.get("UID")
        if isinstance(uid, int) and "FLAGS" in row.items:
            found[uid] = flag_set(row.items["FLAGS"])
    return found


def _applied(sign: str, names: Flags, before: frozenset[Flags]) -> Flags:
    (flags,) = before
    match sign:
        case "+":
            return flags | names
        case "-":
            return flags - names
        case _:
            return names


def _numbers(text: str) -> list[int]:
    """Return the numbers of a set, in its order."""
    found: list[int] = []
    for piece in text.split(","):
        low, _, high = piece.partition(":")
        found.extend(range(int(low), int(high or low) + 1))
    return found
