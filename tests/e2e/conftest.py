"""Fixtures of the end-to-end tests: servers and a gateway for each test process, an account of its own for each test.

The mail is held by Dovecot, which the gateway reaches by IMAP; tests marked `over_each_backend` are run with Cyrus too,
which it reaches by JMAP, and those marked `over_gmail_too` and so on with stand-ins for Gmail and Microsoft Graph.

`E2E_DIRECT=1` leaves the gateway out: every client talks to the server itself, which shows that a test asks for nothing
that a good server would not do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.backends import Backend
from tests.e2e.endpoint import Stage
from tests.e2e.gateway_process import Account, GatewayFactory, GatewayProcess, Server, new_account
from tests.e2e.gmail_server import GmailServer, new_gmail_account, running_gmail
from tests.e2e.graph_server import GraphServer, new_graph_account, running_graph_server
from tests.e2e.stage_pool import StagePool
from tests.servers.cyrus import cyrus
from tests.servers.dovecot import dovecot

__all__ = ["cyrus", "dovecot"]

StagePools = Callable[[Backend], StagePool]


@pytest.fixture(scope="session")
def is_direct() -> bool:
    return bool(os.environ.get("E2E_DIRECT"))


@pytest.fixture(scope="session")
def gmail(is_direct: bool) -> Iterator[GmailServer]:
    """A stand-in for Gmail; what it is sent is as Google's description says, all the time."""
    if is_direct:
        pytest.skip("is about the gateway itself: Gmail's API is nothing for mail clients")
    with running_gmail() as server:
        yield server


@pytest.fixture(scope="session")
def graph(is_direct: bool) -> Iterator[GraphServer]:
    """A stand-in for Microsoft Graph; what it is sent is as Microsoft's types say, all the time."""
    if is_direct:
        pytest.skip("is about the gateway itself: Graph is nothing for mail clients")
    with running_graph_server() as server:
        yield server


@pytest.fixture(scope="package")
def stage_pools(
    request: pytest.FixtureRequest, is_direct: bool, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StagePools]:
    """Return the stages over a backend, whose server is started when it is first asked for.

    Their gateways end with the tests of this package: they would poll all the while that others run.
    """
    pools: dict[Backend, StagePool] = {}
    with ExitStack() as stack:

        def pool_of(backend: Backend) -> StagePool:
            if backend not in pools:
                server = request.getfixturevalue(backend.value)
                directory = tmp_path_factory.mktemp(f"stages-{backend.value}")
                pools[backend] = StagePool(directory, _maker(server), is_direct=is_direct)
                stack.callback(pools[backend].close)
            return pools[backend]

        yield pool_of


def _maker(server: Server | GmailServer | GraphServer) -> Callable[[str, str], Account]:
    """Return what makes an empty account at a server."""
    match server:
        case GmailServer():
            return partial(new_gmail_account, server)
        case GraphServer():
            return partial(new_graph_account, server)
        case _:
            return partial(new_account, server)


@pytest.fixture
def backend(request: pytest.FixtureRequest) -> Backend:
    """What holds the mail: Dovecot, if the test is not parametrised."""
    return getattr(request, "param", Backend.DOVECOT)


@pytest.fixture
def stages(stage_pools: StagePools, backend: Backend) -> StagePool:
    return stage_pools(backend)


@pytest.fixture
def stage(stages: StagePool, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """An empty mail account, used by this test alone."""
    stage = stages.take()
    server = request.getfixturevalue(stage.backend.value)
    yield stage
    stages.check()
    if isinstance(server, GmailServer | GraphServer):
        server.check()


@pytest.fixture
def gateways(is_direct: bool, tmp_path: Path) -> Iterator[GatewayFactory]:
    """Start gateways for this test alone, which may stop, kill and restart them; they are ended after it."""
    if is_direct:
        pytest.skip("is about the gateway itself, and there is none")
    started: list[GatewayProcess] = []

    def make(accounts: Sequence[Account], *, has_password_files: bool = False) -> GatewayProcess:
        directory = tmp_path / f"gateway{len(started)}"
        gateway = GatewayProcess(directory, accounts, has_password_files=has_password_files)
        started.append(gateway)
        gateway.start()
        return gateway

    yield make
    for gateway in started:
        gateway.stop()
