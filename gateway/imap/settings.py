"""What the operator can set about the IMAP door."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.imap.switches import Switches

MEBIBYTE = 1 << 20

UNASKED_LITERAL_OCTETS = 4096
"""What clients may send at a time without waiting where LITERAL- is offered (RFC 7888 section 5)."""


@dataclass(frozen=True, slots=True)
class ImapSettings:
    """Limits and time-outs of the IMAP door. Times are in seconds, sizes in octets; the defaults suit a household.

    `connections_per_user` counts the sessions of one login: clients open 5 to 10 each, and people own three devices.
    `connections_per_address` is larger, because a webmail server or a NAT gateway brings many users from one address.
    `login_grace_s` is the time a client has to log in; `autologout_s` how long it may be silent afterwards, at least 30
    minutes by RFC 9051 section 5.4. An IDLE that heartbeats can reach is never logged out.
    `send_timeout_s`: a client that takes nothing for so long while output waits is dropped.
    `allow_plaintext_login` permits passwords without TLS from anywhere; from the same machine they always are.
    `messages_per_command` is how many messages a command may be about (RFC 9738), 0: any number.
    """

    append_limit: int = 50 * MEBIBYTE
    line_limit: int = 65_536
    literal_limit: int = 65_536
    spool_memory: int = 65_536
    spool_directory: str | None = None
    input_high_water: int = 262_144
    output_high_water: int = 262_144
    connections_total: int = 10_000
    connections_per_address: int = 100
    connections_per_user: int = 20
    login_grace_s: float = 120.0
    autologout_s: float = 1800.0
    send_timeout_s: float = 300.0
    tls_handshake_timeout_s: float = 30.0
    idle_heartbeat_s: float = 120.0
    progress_interval_s: float = 30.0
    login_failures_per_connection: int = 5
    bad_commands_before_login: int = 50
    bad_commands_after_login: int = 1000
    allow_plaintext_login: bool = False
    messages_per_command: int = 0
    switches: Switches = field(default_factory=Switches)

    @property
    def unasked_literal_limit(self) -> int | None:
        """The largest literal that is taken without `+` from us; None: as large as any other (RFC 7888 section 5)."""
        return UNASKED_LITERAL_OCTETS if "LITERAL-" in self.switches.added - self.switches.disabled else None
