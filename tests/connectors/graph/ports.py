"""Free ports of the own machine."""

from __future__ import annotations

import socket

from connectors.graph.settings import ListenAddress


def free_address() -> ListenAddress:
    """Return an address at which nobody listened a moment ago."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return ListenAddress("127.0.0.1", listening.getsockname()[1])
