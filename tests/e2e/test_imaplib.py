"""imaplib in front."""

from __future__ import annotations

import pytest

from tests.e2e.backends import over_stand_ins_too
from tests.e2e.client_scenarios import Connect, IdlingClientScenarios
from tests.e2e.clients.imaplib_client import ImaplibClient
from tests.e2e.endpoint import Stage


@over_stand_ins_too
class TestImaplib(IdlingClientScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: ImaplibClient(stage.front)
