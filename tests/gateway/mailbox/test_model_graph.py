"""Random histories over the Graph connector and a Graph with quirks and other users: see `history`.

`GRAPH_HISTORIES=1000` runs so many, `GRAPH_FIRST_HISTORY=5000` from that seed on. All of it is in one process and on
simulated time, so that a seed that fails does so again; should it not, `PYTHONHASHSEED=0` leaves nothing to chance.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.api.connector import Connector
from connectors.api.credentials import BearerCredential, FixedCredential, Secret
from connectors.api.settings import SettingValue
from connectors.graph import SPEC
from connectors.graph.connector import GraphConnector
from connectors.graph.settings import parse_settings
from gateway.store.accounts import AccountRow
from gateway.sync.engine import SyncSettings
from gateway.sync.hydrate import Prefetch
from tests.connectors.graph.writing_rig import ROOT
from tests.gateway.mailbox.history import History
from tests.gateway.mailbox.restless_graph import OutsideGraph
from tests.simulated_loop import SimulatedClock, run_simulated
from tests.stack import running_stack

FIRST = int(os.environ.get("GRAPH_FIRST_HISTORY", "0"))
SEEDS = range(FIRST, FIRST + int(os.environ.get("GRAPH_HISTORIES", "2")))
LIVES = 2
STEPS = 30
LOOKS = 3
"""A folder that lost a message to another one is known to have, and the other is looked at, in this many at most."""


class GraphHistory(History):
    outside: OutsideGraph

    def __init__(self, seed: int) -> None:
        self.clock = SimulatedClock()
        super().__init__(seed, OutsideGraph(seed, self.clock))
        self.settings: dict[str, SettingValue] = {
            "api_root": ROOT,
            "requests_per_10_minutes": 1_000_000,
            "expunge": "permanent",
            "labels": "",
            "max_concurrent": self.random.choice((1, 4)),
        }
        self.sync = SyncSettings(
            prefetch=self.random.choice((Prefetch.NONE, Prefetch.HEADERS, Prefetch.BODIES)),
            poll_interval_s=self.random.choice((60.0, 3600.0)),
            parallel_mailboxes=self.random.choice((1, 2)),
        )

    def connect(self, _: AccountRow) -> Connector:
        login = FixedCredential(BearerCredential("", Secret(self.outside.fake.access_token())))
        settings = parse_settings(SPEC.check(self.settings))
        return GraphConnector(settings, login, clock=self.clock, transport=self.outside.transport)

    async def until_read(self) -> None:
        for _ in range(LOOKS):
            await super().until_read()


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_agrees_after_any_history_with_graph(tmp_path: Path, seed: int) -> None:
    run_simulated(seed, _live(tmp_path, seed))


async def _live(directory: Path, seed: int) -> None:
    history = GraphHistory(seed)
    for life in range(LIVES):
        async with running_stack(
            directory, sync=history.sync, make_connector=history.connect, clock=history.clock
        ) as stack:
            if not life:
                await stack.start_account("work", "alex", "graph", {})
            await history.live(stack, STEPS)
        for _ in range(history.random.randint(0, 10)):
            history.outside.act()
    history.outside.fake.assert_no_violations()
