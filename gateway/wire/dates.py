"""Dates and date-times (RFC 9051 section 9: `date`, `date-time`)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from functools import lru_cache
from itertools import repeat

_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_MONTH_NUMBERS = {month.lower(): number for number, month in enumerate(_MONTHS, start=1)}

# Laxer than RFC 9051 section 9 `date-day-fixed`: some scripts write a day below 10 as one digit without the space.
_DATE_TIME = re.compile(
    rb" ?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"
)
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")

EARLIEST_SERVED = datetime(1982, 8, 13, tzinfo=UTC)
"""Apple Mail crashed on an INTERNALDATE from before there was RFC 822 mail."""

_EPOCH = date(1970, 1, 1)
_EARLIEST_S = int(EARLIEST_SERVED.timestamp())
# A day less than there is, so that no zone leads beyond the year 9999.
_LATEST_S = int(datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC).timestamp())
_EARLIEST = b'"13-Aug-1982 00:00:00 +0000"'


def parse_date_time(data: bytes) -> datetime:
    """Parse `date-time`, its quotes already undone: `17-Jul-1996 02:44:25 -0700`, zone kept.

    Raises:
        ValueError: wrong syntax, or no such day or time.
    """
    match = _DATE_TIME.fullmatch(data)
    if match is None:
        raise ValueError("not a date-time")
    hours, minutes = int(match[8]), int(match[9])
    if hours > 23 or minutes > 59:
        raise ValueError("no such time zone")
    offset = timedelta(hours=hours, minutes=minutes)
    # A leap second is a valid time that `datetime` cannot hold.
    second = min(int(match[6]), 59) if int(match[6]) == 60 else int(match[6])
    return datetime(
        int(match[3]),
        _month(match[2]),
        int(match[1]),
        int(match[4]),
        int(match[5]),
        second,
        tzinfo=timezone(-offset if match[7] == b"-" else offset),
    )


def format_internal_date(when: datetime) -> bytes:
    """Return `date-time` with its quotes, the day padded with a space; a time without zone is taken for UTC."""
    offset = round((when.utcoffset() or timedelta()).total_seconds() / 60)
    hours, minutes = divmod(abs(offset), 60)
    return b'"%2d-%b-%04d %02d:%02d:%02d %b%02d%02d"' % (
        when.day,
        _MONTHS[when.month - 1],
        when.year,
        when.hour,
        when.minute,
        when.second,
        b"-" if offset < 0 else b"+",
        hours,
        minutes,
    )


def format_internal_dates(seconds: Iterable[int], zones: Iterable[int]) -> list[bytes]:
    """Return `date-time` with its quotes for many moments, in Unix seconds with their zones in minutes east of UTC.

    What cannot be shown to clients, before `EARLIEST_SERVED` or at the end of the year 9999, becomes `EARLIEST_SERVED`.
    """
    dates: list[bytes] = []
    for moment, zone in zip(seconds, zones, strict=True):
        if not _EARLIEST_S <= moment <= _LATEST_S:
            dates.append(_EARLIEST)
            continue
        day, second = divmod(moment + zone * 60, 86400)
        minute, second = divmod(second, 60)
        dates.append(b"%b%b%02d%b" % (_day(day), _minute(minute), second, _zone(zone)))
    return dates


def format_save_dates(seconds: Sequence[int]) -> list[bytes]:
    """Return `date-time` with its quotes, in UTC, for many moments in Unix seconds; NIL for negative ones, which stand
    for what is not known (RFC 8514 section 4.2)."""
    dates = format_internal_dates(seconds, repeat(0, len(seconds)))
    if min(seconds, default=0) >= 0:
        return dates
    return [b"NIL" if moment < 0 else shown for moment, shown in zip(seconds, dates, strict=True)]


@lru_cache(maxsize=20_000)
def _day(number: int) -> bytes:
    when = _EPOCH + timedelta(days=number)
    return b'"%2d-%b-%04d ' % (when.day, _MONTHS[when.month - 1], when.year)


@lru_cache(maxsize=1440)
def _minute(number: int) -> bytes:
    return b"%02d:%02d:" % divmod(number, 60)


@lru_cache(maxsize=256)
def _zone(minutes: int) -> bytes:
    return b' %b%02d%02d"' % (b"-" if minutes < 0 else b"+", *divmod(abs(minutes), 60))


def clamp_for_clients(when: datetime) -> datetime:
    """Return the date a client may be shown: not before `EARLIEST_SERVED`."""
    aware = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return aware if aware >= EARLIEST_SERVED else EARLIEST_SERVED


def parse_date(data: bytes) -> date:
    """Parse `date-text`: `1-Feb-1994`.

    Raises:
        ValueError: wrong syntax, or no such day.
    """
    match = _DATE.fullmatch(data)
    if match is None:
        raise ValueError("not a date")
    return date(int(match[3]), _month(match[2]), int(match[1]))


def format_date(day: date) -> bytes:
    """Return `date-text`, as in `SEARCH SINCE 1-Feb-1994`."""
    return b"%d-%b-%04d" % (day.day, _MONTHS[day.month - 1], day.year)


def _month(name: bytes) -> int:
    try:
        return _MONTH_NUMBERS[name.lower()]
    except KeyError:
        raise ValueError("no such month") from None
