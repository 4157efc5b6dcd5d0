from __future__ import annotations

import asyncio
import socket

import pytest

from gateway.imap.peer import is_own_machine, peer_address, tune


class Transport(asyncio.Transport):
    """A transport of one socket, or of none."""

    def __init__(self, sock: socket.socket | None) -> None:
        super().__init__({"socket": sock})


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.1", 4711), "192.0.2.1"),
        (("::ffff:192.0.2.1", 4711, 0, 0), "192.0.2.1"),
        (("2001:db8::1", 4711, 0, 0), "2001:db8::1"),
        ("", "local"),
        (None, "local"),
    ],
)
def test_addresses(peer: object, address: str) -> None:
    assert peer_address(peer) == address


@pytest.mark.parametrize(
    ("address", "is_own"),
    [("127.0.0.1", True), ("::1", True), ("::1%lo", True), ("192.0.2.1", False), ("local", False), ("unknown", False)],
)
def test_the_own_machine(address: str, is_own: bool) -> None:
    assert is_own_machine(address) is is_own


def test_short_answers_leave_at_once_and_vanished_clients_are_noticed() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        tune(Transport(sock))
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        tune(Transport(sock))
        assert not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    tune(Transport(None))
