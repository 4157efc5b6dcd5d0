from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.wire import dates

PACIFIC = timezone(timedelta(hours=-7))


def test_internal_date_is_the_example_of_the_rfc() -> None:
    when = datetime(1996, 7, 17, 2, 44, 25, tzinfo=PACIFIC)
    assert dates.format_internal_date(when) == b'"17-Jul-1996 02:44:25 -0700"'
    assert dates.parse_date_time(b"17-Jul-1996 02:44:25 -0700") == when


def test_day_is_padded_with_a_space() -> None:
    assert dates.format_internal_date(datetime(2024, 2, 3, tzinfo=UTC)) == b'" 3-Feb-2024 00:00:00 +0000"'
    assert dates.format_internal_date(datetime(2024, 2, 3)) == b'" 3-Feb-2024 00:00:00 +0000"'


@pytest.mark.parametrize(
    ("text", "when"),
    [
        (b" 3-feb-2024 00:00:00 +0530", datetime(2024, 2, 3, tzinfo=timezone(timedelta(hours=5, minutes=30)))),
        (b"3-FEB-2024 00:00:00 +0000", datetime(2024, 2, 3, tzinfo=UTC)),
        (b"31-Dec-2016 23:59:60 +0000", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
    ],
)
def test_date_times_are_parsed(text: bytes, when: datetime) -> None:
    parsed = dates.parse_date_time(text)
    assert parsed == when
    assert parsed.utcoffset() == when.utcoffset()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"31-Feb-2024 00:00:00 +0000",
        b"17-Jul-1996 24:00:00 +0000",
        b"17-Jul-1996 02:44:25",
        b"17-Jul-1996 02:44:25 PST",
        b"17-Jul-1996 02:44:25 +2500",
        b"17-Jul-1996 02:44:25 +0060",
        b"17-Juli-1996 02:44:25 +0000",
        b"17-Xxx-1996 02:44:25 +0000",
        b"17-Jul-0000 02:44:25 +0000",
        b"17-Jul-1996 02:44:61 +0000",
    ],
)
def test_wrong_date_times_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- every kind of ValueError is the contract
        dates.parse_date_time(text)


@given(
    st.datetimes(
        timezones=st.integers(-1439, 1439).map(lambda m: st.just(timezone(timedelta(minutes=m)))).flatmap(lambda s: s)
    )
)
def test_every_date_time_survives(when: datetime) -> None:
    wire = dates.format_internal_date(when)
    assert len(wire) == 28
    assert dates.parse_date_time(wire[1:-1]) == when.replace(microsecond=0)


def test_save_dates_are_nil_where_they_are_not_known() -> None:
    assert dates.format_save_dates([]) == []
    assert dates.format_save_dates([1420138253]) == [b'" 1-Jan-2015 18:50:53 +0000"']
    assert dates.format_save_dates([-1, 1420138253]) == [b"NIL", b'" 1-Jan-2015 18:50:53 +0000"']


def test_dates_both_ways() -> None:
    assert dates.parse_date(b"1-Feb-1994") == date(1994, 2, 1)
    assert dates.parse_date(b"01-FEB-1994") == date(1994, 2, 1)
    assert dates.format_date(date(1994, 2, 1)) == b"1-Feb-1994"


@pytest.mark.parametrize("text", [b"", b"1-2-1994", b"30-Feb-1994", b"1-Feb-94", b" 1-Feb-1994", b"1-Feb-1994 "])
def test_wrong_dates_are_refused(text: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- every kind of ValueError is the contract
        dates.parse_date(text)


def test_dates_older_than_mail_are_not_shown() -> None:
    assert dates.clamp_for_clients(datetime(1970, 1, 1, tzinfo=UTC)) == dates.EARLIEST_SERVED
    assert dates.clamp_for_clients(datetime(1, 1, 1)) == dates.EARLIEST_SERVED
    when = datetime(2020, 1, 1, tzinfo=PACIFIC)
    assert dates.clamp_for_clients(when) is when


_MOMENTS = st.tuples(st.integers(-(2**40), 2**43), st.integers(-24 * 60 + 1, 24 * 60 - 1))
_LAST_SHOWN = datetime(9999, 12, 30, 23, 59, 59, tzinfo=UTC)


@given(st.lists(st.one_of(_MOMENTS, _MOMENTS.map(lambda pair: (pair[0] % 2**32, pair[1]))), max_size=20))
def test_many_dates_are_written_as_each_alone(moments: list[tuple[int, int]]) -> None:
    def alone(moment: int, zone: int) -> bytes:
        try:
            when = datetime.fromtimestamp(moment, timezone(timedelta(minutes=zone)))
        except (OverflowError, ValueError):
            return dates.format_internal_date(dates.EARLIEST_SERVED)
        if when > _LAST_SHOWN:
            return dates.format_internal_date(dates.EARLIEST_SERVED)
        return dates.format_internal_date(dates.clamp_for_clients(when) if when < dates.EARLIEST_SERVED else when)

    written = dates.format_internal_dates([moment for moment, _ in moments], [zone for _, zone in moments])
    assert written == [alone(moment, zone) for moment, zone in moments]
