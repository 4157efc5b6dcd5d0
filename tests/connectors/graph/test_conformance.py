"""The Graph connector does what every connector must do, at stand-ins of several shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from connectors.api.settings import SettingValue
from tests.conformance.suite import ConnectorSuite
from tests.conformance.syncing import SyncingSuite
from tests.connectors.graph.ports import free_address
from tests.connectors.graph.stage import NO_SETTINGS, GraphRig, in_process, over_sockets
from tests.fakes.graph.faults import Fault, Faults
from tests.fakes.graph.options import Clock, GraphOptions, Quirks


class TestGraph(ConnectorSuite):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[GraphRig]:
        async with over_sockets(GraphOptions(), NO_SETTINGS) as rig:
            yield rig


class TestGraphThatTellsOfChanges(SyncingSuite):
    """Somebody can be reached, and what is subscribed to is ended when the connector is closed."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[GraphRig]:
        listen = free_address()
        settings = {"notification_url": f"http://{listen}/graph", "notification_listen": str(listen)}
        async with over_sockets(GraphOptions(), settings) as rig:
            yield rig
            assert rig.fake.subscriptions.active() == []


class InProcessSuite(ConnectorSuite):
    settings: Mapping[str, SettingValue] = NO_SETTINGS

    @staticmethod
    def quirks() -> Quirks:
        return Quirks()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[GraphRig]:
        options = GraphOptions(requests_per_10_min=None, quirks=self.quirks())
        async with in_process(options, self.settings) as rig:
            yield rig


@pytest.mark.long
class TestGraphWithOddRounds(InProcessSuite):
    """Changes come twice, again, in part, and in pages with nothing in them; moves are told at one end only."""

    @staticmethod
    def quirks() -> Quirks:
        return Quirks(
            delta_repeats=True,
            delta_replays=True,
            delta_partial=True,
            delta_empty_pages=True,
            delta_expand_fails=True,
            batch_keeps_order=True,
            mime_varies=True,
        )


@pytest.mark.long
class TestGraphInConflict(InProcessSuite):
    """Every fifth change of a message is refused, and must be asked for again."""

    settings: Mapping[str, SettingValue] = {"expunge": "delete", "max_concurrent": 2}

    @staticmethod
    def quirks() -> Quirks:
        return Quirks(conflict_every=5, throttles_without_retry_after=True, mime_into_folders=True)


@pytest.mark.long
class TestGraphThatThrottles(InProcessSuite):
    """Every few calls are refused for their number, those of batches one by one, or fail where that does no harm."""

    settings: Mapping[str, SettingValue] = {"expunge": "permanent"}

    @pytest.fixture
    async def rig(self) -> AsyncIterator[GraphRig]:
        async with in_process(GraphOptions(requests_per_10_min=None), self.settings) as rig:
            rig.fake.faults = Stumbling(rig.fake.clock)
            yield rig


class Stumbling(Faults):
    """Refuses every third call, in one of three ways in turn."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._count = 0

    def take(self, operation: str) -> Fault | None:
        self._count += 1
        if self._count % 3:
            return super().take(operation)
        match self._count // 3 % 3:
            case 0:
                return Fault(429, retry_after_s=7)
            case 1:
                return Fault(429, "ApplicationThrottled")
            case _:
                return Fault(503) if operation.endswith((".get", ".list", ".delta")) else None
