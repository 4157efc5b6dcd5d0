"""One soak, from the start of the servers to the verdict."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from bench.soak import inspection
from bench.soak.figures import Figures, Minute
from bench.soak.ledger import Ledger
from bench.soak.pace import Pace
from bench.soak.report import Outcome
from bench.soak.servers import Servers, direct, running_servers
from bench.soak.settings import Settings
from bench.soak.visitor import MAILBOXES, Guest, Visitor
from tests.e2e.async_client import AsyncClient
from tests.e2e.gateway_process import AnyAccount, GatewayFailed, MaildirAccount
from tests.e2e.raw_client import ConnectionEnded

_LOOK_EVERY_S = 10.0
_SETTLE_S = 120.0
_TRACEBACK = "Traceback (most recent call last)"


def soak(settings: Settings, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Start the servers, with their files in `folder`, let the clients work, and see what is left.

    `say` takes lines of progress.

    Raises:
        GatewayFailed: the gateway did not start.
    """
    began = time.monotonic()

    def say_when(text: str) -> None:
        seconds = int(time.monotonic() - began)
        say(f"[{seconds // 60:3}:{seconds % 60:02}] {text}")

    run: _Run | None = None
    try:
        with running_servers(folder, settings.accounts, has_maildir=settings.has_maildir, say=say_when) as servers:
            run = _Run(settings, servers, say_when)
            asyncio.run(run.whole())
    except GatewayFailed as error:
        if run is None:
            raise
        run.figures.violated(f"the gateway did not end well: {str(error)[:200]}")
    outcome = run.outcome()
    if outcome.has_failed:
        kept = Path(tempfile.mkdtemp(prefix="soak-failed-")) / "gateway.log"
        shutil.copy(folder / "gateway" / "gateway.log", kept)
        say_when(f"the gateway's log is kept as {kept}")
    return outcome


class _Run:
    """What goes on while the servers run."""

    def __init__(self, settings: Settings, servers: Servers, say: Callable[[str], None]) -> None:
        self.figures = Figures(lambda: servers.is_calm, say)
        self._settings = settings
        self._servers = servers
        self._say = say
        self._ledgers = {account.login: Ledger(account.login, self.figures.violated) for account in servers.accounts}
        self._is_over = False
        self._minutes: list[Minute] = []
        self._half_moved: list[str] = []
        self._held = 0

    async def whole(self) -> None:
        """Prepare, let the clients work, and compare."""
        for account in self._servers.accounts:
            await self._make_mailboxes(account)
        self._say(f"{self._settings.clients} clients begin")
        await self._work()
        self._say("the clients have gone; comparing")
        try:
            await self._compare()
        except (AssertionError, ConnectionEnded, OSError) as error:
            self.figures.violated(f"mailboxes could not be compared: {error}")

    async def _compare(self) -> None:
        """Compare all accounts, kill the gateway once more, and see that it shows the same."""
        before = {account.login: await self._inspect(account) for account in self._servers.accounts}
        await self._servers.kill_gateway()
        for account in self._servers.accounts:
            after = await inspection.contents(self._servers.front(account.login))
            for line in inspection.differences(account.login, after, before[account.login], "before the last kill"):
                self.figures.violated(line)

    def outcome(self) -> Outcome:
        """Return what there is to report."""
        ledgers = self._ledgers.values()
        return Outcome(
            asdict(self._settings),
            self._minutes,
            self._servers.lives,
            self.figures,
            self._servers.restarts,
            self._servers.kills,
            sum(len(ledger.copies) for ledger in ledgers),
            sum(1 for ledger in ledgers for copy in ledger if not copy.is_echo),
            self._held,
            self._half_moved,
            self._servers.gateway.log.count(_TRACEBACK),
        )

    # -- the clients --------------------------------------------------------------------------------------------------

    async def _make_mailboxes(self, account: AnyAccount) -> None:
        endpoint = self._servers.front(account.login)
        async with await AsyncClient.connected(endpoint) as client:
            await client.ok(f'LOGIN "{endpoint.login}" "{endpoint.password}"')
            for name in MAILBOXES[1:]:
                await client.ok(f'CREATE "{name}"')

    async def _work(self) -> None:
        settings = self._settings
        pace = Pace(settings.rate)
        async with asyncio.TaskGroup() as group:
            for number in range(settings.clients):
                group.create_task(self._visitor(number, pace).run())
            helpers = [
                group.create_task(self._every(settings.restart_every_minutes, self._restart)),
                group.create_task(self._every(settings.kill_every_minutes, self._servers.kill_gateway)),
                group.create_task(self._watch()),
                group.create_task(self._tell()),
            ]
            await asyncio.sleep(settings.minutes * 60)
            self._is_over = True
            for helper in helpers[2:]:
                helper.cancel()
            # What is down comes back up first: clients still end what they have begun.
            await asyncio.gather(*helpers, return_exceptions=True)

    def _visitor(self, number: int, pace: Pace) -> Visitor:
        accounts = self._servers.accounts
        login = accounts[number % len(accounts)].login
        guest = Guest(f"c{number}", self._servers.front(login), is_condstore=number % 3 > 0, is_qresync=number % 3 == 2)
        seed = self._settings.seed * 1000 + number
        return Visitor(guest, self._ledgers[login], self.figures, pace, lambda: self._is_over, seed)

    # -- beside them --------------------------------------------------------------------------------------------------

    async def _every(self, minutes: float, act: Callable[[], Awaitable[None]]) -> None:
        """Do something in the middle of every so many minutes."""
        start = time.monotonic()
        count = 0
        while True:
            due = start + (count + 0.5) * minutes * 60
            if due >= start + self._settings.minutes * 60:
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            await act()
            count += 1

    async def _restart(self) -> None:
        await self._servers.restart_backend(self._settings.down_s)

    async def _watch(self) -> None:
        """Look at the gateway's memory and files every few seconds."""
        start = time.monotonic()
        while True:
            self._servers.lives[-1].look(time.monotonic() - start)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _tell(self) -> None:
        """Say every minute how it goes."""
        number = 0
        while True:
            await asyncio.sleep(60)
            number += 1
            samples = self._servers.lives[-1].samples
            minute = self.figures.minute(
                number,
                copies=sum(copy.is_somewhere for ledger in self._ledgers.values() for copy in ledger),
                rss_mb=samples[-1].rss_mb if samples else 0.0,
                open_files=samples[-1].open_files if samples else 0,
            )
            self._minutes.append(minute)
            self._say(str(minute))

    # -- in the end ---------------------------------------------------------------------------------------------------

    async def _inspect(self, account: AnyAccount) -> inspection.Contained:
        """Compare what clients were told with what the server has, and that with what the gateway shows; return it."""
        login, front, back = account.login, self._servers.front(account.login), direct(account)
        if back is not None:
            ours, theirs = await inspection.settled(front, back, _SETTLE_S)
            for line in inspection.differences(login, ours, theirs, "at Dovecot"):
                self.figures.violated(line)
        else:
            assert isinstance(account, MaildirAccount)
            ours = theirs = await inspection.contents(front)
            for line in inspection.differences_from_files(login, ours, account.path):
                self.figures.violated(line)
        verdict = inspection.compared(self._ledgers[login], theirs)
        for line in verdict.violations():
            self.figures.violated(line)
        self._half_moved += verdict.half_moved
        self._held += sum(len(mailbox.messages) for mailbox in theirs.values())
        return ours
