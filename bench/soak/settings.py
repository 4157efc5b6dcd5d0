"""How long and how hard a soak is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """`rate` is in commands a second, of all clients. Restarts and kills come in the middle of their intervals."""

    minutes: float = 60.0
    clients: int = 200
    accounts: int = 8
    has_maildir: bool = True
    rate: float = 75.0
    restart_every_minutes: float = 5.0
    down_s: float = 5.0
    kill_every_minutes: float = 10.0
    seed: int = 1
