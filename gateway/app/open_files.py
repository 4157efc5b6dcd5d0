"""How many files and sockets the process may have open, and how many of them clients may take."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

MOST_FILES = 1 << 20
"""More than this is not asked for where there is no limit."""

RESERVED_AT_LEAST = 64
"""Descriptors kept from clients, or a quarter of all if that is more: for the store, cached messages and backends."""


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            # Some systems have a lower limit of their own, which they do not tell.
            return soft
        return wanted
    return soft if soft != resource.RLIM_INFINITY else wanted


def connections_within(files: int, wanted: int) -> int:
    """Return how many connections there may be where so many files can be open; at least one, at most `wanted`.

    A process that has run out of descriptors can neither read its store nor reach a backend, so clients are refused
    before that happens.
    """
    most = max(files - max(RESERVED_AT_LEAST, files // 4), 1)
    if most < wanted:
        log.warning(
            "limits.connections is %d, but this process may open %d files, so %d connections are admitted; "
            "raise its limit (LimitNOFILE of systemd, ulimit -n)",
            wanted,
            files,
            most,
        )
    return min(most, wanted)
