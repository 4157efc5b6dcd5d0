"""The Gmail connector does what every connector must do, at stand-ins of several shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import pytest

from connectors.api.settings import SettingValue
from tests.conformance.suite import ConnectorSuite
from tests.connectors.gmail.stage import NO_SETTINGS, GmailRig, in_process, over_sockets
from tests.fakes.gmail.faults import Fault, Faults
from tests.fakes.gmail.options import Clock, FakeOptions, Quirks


class TestGmail(ConnectorSuite):
    @pytest.fixture
    async def rig(self) -> AsyncIterator[GmailRig]:
        async with over_sockets(FakeOptions(notifications_per_s=0)) as rig:
            yield rig


class InProcessSuite(ConnectorSuite):
    settings: Mapping[str, SettingValue] = NO_SETTINGS

    @staticmethod
    def options() -> FakeOptions:
        return FakeOptions()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[GmailRig]:
        async with in_process(self.options(), self.settings) as rig:
            yield rig


class TestGmailWithLittleQuota(InProcessSuite):
    """The connector spends no more than Google grants, and waits for the rest."""

    settings: Mapping[str, SettingValue] = {"units_per_minute": 3_000.0}

    @staticmethod
    def options() -> FakeOptions:
        return FakeOptions(units_per_minute=6_000)


class TestGmailThatThrottles(InProcessSuite):
    """Every few calls are refused for their number, those of batches one by one, or fail where that does no harm."""

    @pytest.fixture
    async def rig(self) -> AsyncIterator[GmailRig]:
        async with in_process() as rig:
            rig.fake.faults = Stumbling(rig.fake.clock)
            yield rig


class Stumbling(Faults):
    """Refuses every third call, in one of three ways in turn."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._count = 0

    def take(self, method: str) -> Fault | None:
        self._count += 1
        if self._count % 3:
            return super().take(method)
        kind = self._count // 3 % 3
        if kind == 0 and method.rpartition(".")[2] in ("get", "list", "getProfile", "modify", "batchModify"):
            return Fault(503)
        return Fault(429 if kind == 1 else 403, "rateLimitExceeded")


@pytest.mark.long
class TestGmailWithCategories(InProcessSuite):
    settings: Mapping[str, SettingValue] = {"categories": True, "prefix": "Google/Mail", "append": "import"}


class TestGmailThatDeletes(InProcessSuite):
    settings: Mapping[str, SettingValue] = {"expunge": "delete", "batch_size": 3}


@pytest.mark.long
class TestGmailThatTrashes(InProcessSuite):
    settings: Mapping[str, SettingValue] = {"expunge": "trash"}


class TestGmailWithOddHistory(InProcessSuite):
    @staticmethod
    def options() -> FakeOptions:
        return FakeOptions(
            quirks=Quirks(
                absent_label_ids=True,
                unknown_labels=True,
                empty_history_pages=True,
                bare_history_records=True,
                lie_about_sizes=True,
                rename_moves_children=True,
                list_hides_unless_asked=True,
                retry_after_header=True,
            )
        )


class TestGmailWithJoinedHistory(InProcessSuite):
    @staticmethod
    def options() -> FakeOptions:
        quirks = Quirks(joined_history_records=True, label_deletion_in_history=True, exclusive_places=False)
        return FakeOptions(quirks=quirks)
