from __future__ import annotations

from gateway.imap.limits import ConnectionLimits


def test_connections_are_counted_for_each_address() -> None:
    limits = ConnectionLimits(total=10, per_address=2, per_user=1)
    assert limits.admit("192.0.2.1")
    assert limits.admit("192.0.2.1")
    assert not limits.admit("192.0.2.1")
    assert limits.admit("192.0.2.2")
    limits.release("192.0.2.1")
    assert limits.admit("192.0.2.1")


def test_addresses_that_one_host_may_choose_from_are_one() -> None:
    limits = ConnectionLimits(total=10, per_address=1, per_user=1)
    assert limits.admit("2001:db8:1:2::1")
    assert not limits.admit("2001:db8:1:2:ffff::9")
    assert limits.admit("2001:db8:1:3::1")
    limits.release("2001:db8:1:2::1")
    assert limits.admit("2001:db8:1:2:ffff::9")
    assert limits.connections == 2


def test_who_was_refused_is_not_remembered() -> None:
    limits = ConnectionLimits(total=1, per_address=1, per_user=1)
    assert limits.admit("192.0.2.0")
    assert not any(limits.admit(f"192.0.2.{number}") for number in range(1, 200))
    assert len(limits._addresses) == 1


def test_connections_are_counted_in_all() -> None:
    limits = ConnectionLimits(total=2, per_address=2, per_user=1)
    assert limits.admit("192.0.2.1")
    assert limits.admit("192.0.2.2")
    assert not limits.admit("192.0.2.3")
    assert limits.connections == 2
    limits.release("192.0.2.1")
    limits.release("192.0.2.2")
    assert limits.connections == 0


def test_sessions_of_a_user_are_counted_without_regard_to_case() -> None:
    limits = ConnectionLimits(total=10, per_address=10, per_user=2)
    assert limits.admit_user("alex@example.org")
    assert limits.admit_user("Alex@Example.org")
    assert not limits.admit_user("alex@example.org")
    assert limits.admit_user("blake@example.org")
    limits.release_user("ALEX@EXAMPLE.ORG")
    assert limits.admit_user("alex@example.org")
