"""What an operator or a connector can set about the HTTP connections of an account."""

from __future__ import annotations

import functools
import os
import ssl
from dataclasses import dataclass

from connectors.api.spec import SettingError


@dataclass(frozen=True, slots=True)
class TransportOptions:
    """Durations are float seconds, > 0.

    `timeout_s`: longest silence, while sending as while receiving. `reply_timeout_s`: longest time that the body of a
    reply read whole may take. `connect_timeout_s`: for the TCP connection and again for the TLS handshake.
    `max_wait_s`: longest that one call waits in all for its turn, for its quota and for what the server asks to wait;
    beyond that it ends with `RateLimited`.
    `max_concurrent`: requests under way at a time, at least 1; long-lived streams do not count.
    `attempts`: how often a request is sent at most, at least 1.
    `ca_file`: PEM file of further authorities to trust; None for the system's alone.
    `proxy`: URL of an HTTP proxy through which everything goes; None for direct connections.
    """

    timeout_s: float = 60.0
    reply_timeout_s: float = 300.0
    connect_timeout_s: float = 15.0
    max_wait_s: float = 60.0
    max_concurrent: int = 4
    attempts: int = 4
    ca_file: str | None = None
    verify: bool = True
    proxy: str | None = None
    user_agent: str = "imap-gateway"

    def lane_context(self, *, http2: bool) -> ssl.SSLContext:
        """Return the TLS context of connections that offer HTTP/2, or of those that do not, for all accounts together.

        To read the system's authorities takes some 25 ms, for each account and lane. They are read again for whoever
        asks after a file has changed.

        Raises:
            SettingError: `ca_file` cannot be read.
        """
        system = ssl.get_default_verify_paths()
        stamps = tuple(_stamp(path) for path in (system.cafile, system.capath, self.ca_file))
        return _kept_context(self.ca_file, self.verify, http2, stamps)

    def ssl_context(self) -> ssl.SSLContext:
        """Build the TLS context.

        Raises:
            SettingError: `ca_file` cannot be read.
        """
        try:
            context = ssl.create_default_context()
            if self.ca_file is not None:
                context.load_verify_locations(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise SettingError("ca_file", f"cannot be read: {exc}") from exc
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


_Stamp = tuple[int, int, int] | None


def _stamp(path: str | None) -> _Stamp:
    """Return what changes with the content of a file or folder; None if there is none."""
    try:
        found = os.stat(path) if path is not None else None
    except OSError:
        return None
    return None if found is None else (found.st_ino, found.st_size, found.st_mtime_ns)


# The lane is part of the key, as httpcore writes into a context what it offers in the handshake.
@functools.lru_cache(maxsize=16)
def _kept_context(ca_file: str | None, verify: bool, http2: bool, stamps: tuple[_Stamp, ...]) -> ssl.SSLContext:
    return TransportOptions(ca_file=ca_file, verify=verify).ssl_context()
