"""The Retry-After header (RFC 9110 section 10.2.3)."""

from __future__ import annotations

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
    try:
        moment = parsedate_to_datetime(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
