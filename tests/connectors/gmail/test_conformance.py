"""The Gmail connector does what every connector must do, at stand-ins of several shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from types import MappingProxyType

import pytest

from connectors.api.settings import SettingValue
from tests.conformance.rig import Ability
from tests.conformance.suite import ConnectorSuite
from tests.connectors.gmail.stage import GmailRig, rigged
from tests.fakes.gmail.options import FakeOptions


class FakeSuite(ConnectorSuite):
    settings: Mapping[str, SettingValue] = MappingProxyType({})
    lacks: frozenset[Ability] = frozenset()

    @staticmethod
    def options() -> FakeOptions:
        return FakeOptions()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[GmailRig]:
        async with rigged(self.options(), settings=self.settings) as rig:
            rig.abilities = rig.abilities - self.lacks
            yield rig


class TestGmail(FakeSuite):
    pass
