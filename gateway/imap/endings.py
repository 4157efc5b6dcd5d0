"""How waiting for a client ends otherwise than with what was waited for."""

from __future__ import annotations


class ConnectionLost(Exception):
    """The client is gone, or was dropped because it took nothing for too long."""


class InputTimeout(Exception):
    """The client sent nothing in the time given."""


class FarewellSaid(Exception):
    """The session has said BYE while it waited for its client."""


class ShuttingDown(Exception):
    """The server is stopping, and no input is waiting."""
