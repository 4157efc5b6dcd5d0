"""Where a test's client connects to: the server under test and, beside it, the server that holds the mail."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One login at one IMAP server on this machine, without TLS."""

    host: str
    port: int
    login: str
    password: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One mail account seen from both sides.

    `front` is what the client under test connects to, `back` is the Dovecot that holds the mail. When the suite is run
    against Dovecot alone, to prove the tests themselves, both are the same and `is_direct` is true.
    """

    front: Endpoint
    back: Endpoint

    @property
    def is_direct(self) -> bool:
        return self.front.port == self.back.port
