"""How failed logins are slowed down."""

from __future__ import annotations

import pytest

from gateway.auth.throttle import Throttle, ThrottleLimits, address_key
from tests.manual_clock import ManualClock

LIMITS = ThrottleLimits(address_free=4, login_free=2, first_wait_s=1, max_wait_s=8, forget_s=100, max_entries=3)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def throttle(clock: ManualClock) -> Throttle:
    return Throttle(clock, LIMITS)


def test_the_first_failures_are_free(throttle: Throttle) -> None:
    throttle.failed("192.0.2.1", "anna")
    throttle.failed("192.0.2.1", "anna")
    assert throttle.wait_s("192.0.2.1", "anna") == 0


def test_waits_double_up_to_the_limit(throttle: Throttle, clock: ManualClock) -> None:
    for address in ("192.0.2.1", "192.0.2.2"):
        throttle.failed(address, "anna")
    waits = []
    for n in range(6):
        throttle.failed(f"192.0.2.{n + 10}", "anna")
        waits.append(throttle.wait_s("198.51.100.1", "anna"))
        clock.advance(waits[-1])
        assert throttle.wait_s("198.51.100.1", "anna") == 0
    assert waits == [1, 2, 4, 8, 8, 8]


def test_an_address_is_slowed_down_whatever_login_it_tries(throttle: Throttle) -> None:
    for n in range(5):
        throttle.failed("192.0.2.1", f"login{n}")
    assert throttle.wait_s("192.0.2.1", "somebody else") == 1
    assert throttle.wait_s("192.0.2.2", "somebody else") == 0


def test_the_owner_is_not_locked_out_by_others_guessing(throttle: Throttle) -> None:
    throttle.succeeded("192.0.2.1", "anna")
    for n in range(6):
        throttle.failed(f"198.51.100.{n}", "anna")
    assert throttle.wait_s("192.0.2.1", "anna") == 0
    assert throttle.wait_s("203.0.113.1", "anna") == 8


def test_a_success_does_not_clear_an_address(throttle: Throttle) -> None:
    for n in range(5):
        throttle.failed("192.0.2.1", f"login{n}")
    throttle.succeeded("192.0.2.1", "mallory")
    assert throttle.wait_s("192.0.2.1", "mallory") == 1


def test_failures_are_forgotten_after_a_quiet_time(throttle: Throttle, clock: ManualClock) -> None:
    for _ in range(3):
        throttle.failed("192.0.2.1", "anna")
    assert throttle.wait_s("192.0.2.1", "anna") == 1
    clock.advance(LIMITS.forget_s + 1)
    throttle.failed("192.0.2.1", "anna")
    assert throttle.wait_s("192.0.2.1", "anna") == 0


def test_thousands_of_failures_wait_no_longer_than_the_limit(throttle: Throttle) -> None:
    for _ in range(3000):
        throttle.failed("192.0.2.1", "anna")
    assert throttle.wait_s("192.0.2.1", "anna") == LIMITS.max_wait_s


def test_tables_are_bounded_and_drop_the_oldest(throttle: Throttle) -> None:
    for _ in range(5):
        throttle.failed("192.0.2.1", "anna")
    for n in range(3):
        throttle.failed(f"198.51.100.{n}", f"login{n}")
    assert throttle.wait_s("192.0.2.1", "anna") == 0


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_an_ipv6_client_is_its_network(address: str, key: str) -> None:
    assert address_key(address) == key
