"""The Retry-After header (RFC 9110 section 10.2.3), and the clock by which its dates are meant."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER_S = 3600.0
"""A server may ask for days by mistake; after an hour it does no harm to ask again."""


def parse_retry_after(value: str | None, now: datetime) -> float | None:
    """Return the seconds to wait, 0..MAX_RETRY_AFTER_S; None if the header is missing or says nothing.

    Seconds with a fraction are taken too, which the RFC does not allow and servers send.
    """
    if value is None:
        return None
    text = value.strip()
    if not text.isascii() or len(text) > 100:
        return None
    if text.replace(".", "", 1).isdigit():
        return min(float(text), MAX_RETRY_AFTER_S)
    moment = _date(text)
    return None if moment is None else min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def server_time(headers: Mapping[str, str], now: datetime) -> datetime:
    """Return when a reply was made by the server's own clock, `now` if it does not say (RFC 9110 section 6.6.1).

    A time that the reply names is to be compared with this: the clock here may go wrong.
    """
    return _date(headers.get("date", "")) or now


def _date(text: str) -> datetime | None:
    """Return an HTTP date; None if it is none."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
