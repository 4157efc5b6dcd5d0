"""The JMAP connector does what every connector must do, at stand-ins of several shapes and at a real Cyrus."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conformance.rig import Ability
from tests.conformance.suite import ConnectorSuite
from tests.connectors.jmap.rig import CyrusRig, FakeRig
from tests.fakes.jmap.options import EventSourceMode, FakeOptions, Quirk, UrlStyle
from tests.fakes.jmap.server import running_fake
from tests.servers.cyrus import Cyrus


class FakeSuite(ConnectorSuite):
    options = FakeOptions()
    lacks: frozenset[Ability] = frozenset()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[FakeRig]:
        async with running_fake(self.options) as fake:
            rig = FakeRig(fake)
            rig.abilities = rig.abilities - self.lacks
            yield rig
            fake.assert_no_violations()


class TestJmap(FakeSuite):
    options = FakeOptions(quota_octets=1_000_000_000)


class TestJmapWithSmallLimits(FakeSuite):
    options = FakeOptions(max_objects_in_get=16, max_objects_in_set=16, max_calls_in_request=6)


class TestJmapWithShortReplies(FakeSuite):
    options = FakeOptions(
        query_clamp=7,
        changes_clamp=3,
        quirks=frozenset({Quirk.NEWEST_FIRST_CHANGES, Quirk.CREATED_AND_DESTROYED, Quirk.NO_UPDATED_PROPERTIES}),
    )


class TestJmapWithOneMailboxPerMessage(FakeSuite):
    options = FakeOptions(max_mailboxes_per_email=1, quirks=frozenset({Quirk.NO_CALCULATE_TOTAL}))


class TestJmapLikeCyrus(FakeSuite):
    lacks = frozenset({Ability.DUPLICATES, Ability.PUSH})
    options = FakeOptions(
        urls=UrlStyle.RELATIVE,
        event_source=EventSourceMode.NONE_204,
        quirks=frozenset(
            {
                Quirk.FORBID_DUPLICATES,
                Quirk.INVALID_ARGUMENTS_FOR_BAD_STATE,
                Quirk.SESSION_STATE_CONSTANT,
                Quirk.CHANGES_BY_LAST_CHANGE,
            }
        ),
    )


class TestJmapAtCyrus(ConnectorSuite):
    @pytest.fixture
    def rig(self, cyrus: Cyrus) -> CyrusRig:
        return CyrusRig(cyrus)
