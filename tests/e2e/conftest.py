"""Fixtures of the end-to-end tests: a Dovecot and a gateway for each test process, an account of its own for each test.

`E2E_DIRECT=1` leaves the gateway out: every client talks to Dovecot itself, which shows that a test asks for nothing
that a good server would not do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.e2e.endpoint import Endpoint, Stage
from tests.e2e.gateway_process import Account, GatewayFactory, GatewayProcess
from tests.e2e.stage_pool import StagePool
from tests.servers.dovecot import PASSWORD, Dovecot, dovecot

__all__ = ["dovecot"]


@pytest.fixture(scope="session")
def is_direct() -> bool:
    return bool(os.environ.get("E2E_DIRECT"))


@pytest.fixture(scope="session")
def new_backend(dovecot: Dovecot) -> Callable[[], Endpoint]:
    """Make an empty account at Dovecot."""
    return lambda: Endpoint(dovecot.host, dovecot.port, dovecot.fresh_user(), PASSWORD)


@pytest.fixture(scope="session")
def stages(
    new_backend: Callable[[], Endpoint],
    is_direct: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[StagePool]:
    pool = StagePool(tmp_path_factory.mktemp("stages"), new_backend, is_direct=is_direct)
    yield pool
    pool.close()


@pytest.fixture
def stage(stages: StagePool) -> Iterator[Stage]:
    """An empty mail account, used by this test alone."""
    yield stages.take()
    stages.check()


@pytest.fixture
def gateways(is_direct: bool, tmp_path: Path) -> Iterator[GatewayFactory]:
    """Start gateways for this test alone, which may stop, kill and restart them; they are ended after it."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    started: list[GatewayProcess] = []

    def make(accounts: Sequence[Account]) -> GatewayProcess:
        gateway = GatewayProcess(tmp_path / f"gateway{len(started)}", accounts)
        started.append(gateway)
        gateway.start()
        return gateway

    yield make
    for gateway in started:
        gateway.stop()
