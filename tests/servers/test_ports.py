from __future__ import annotations

import itertools
import socket
from contextlib import closing

from tests.servers.ports import free_port, reserved_ports


def test_a_port_is_given_out_once() -> None:
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert all(10_000 <= port < 30_000 for port in ports)


def test_a_port_in_use_is_passed_over() -> None:
    first = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first + 1 if first < 29_999 else 10_000))
        assert free_port() != taken.getsockname()[1]


def test_nobody_else_is_given_a_port_that_was_given_out() -> None:
    # A lock is held by who opened the file, so that one process is as good as two here.
    with closing(reserved_ports()) as ours, closing(reserved_ports()) as theirs:
        assert set(itertools.islice(ours, 250)).isdisjoint(itertools.islice(theirs, 250))
