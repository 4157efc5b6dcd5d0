"""imapclient in front."""

from __future__ import annotations

import pytest

from tests.e2e.client_scenarios import Connect, IdlingClientScenarios
from tests.e2e.clients.imapclient_client import ImapclientClient
from tests.e2e.endpoint import Stage


class TestImapclient(IdlingClientScenarios):
    @pytest.fixture
    def connect(self, stage: Stage) -> Connect:
        return lambda: ImapclientClient(stage.front)
