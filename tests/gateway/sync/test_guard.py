from __future__ import annotations

from gateway.sync.guard import MANY, WriteGuard


def test_a_write_finished_during_a_read_makes_what_was_read_stale() -> None:
    guard = WriteGuard()
    with guard.reading() as mark:
        with guard.writing(["a"]):
            pass
        assert guard.is_stale(mark, "a")
        assert not guard.is_stale(mark, "b")


def test_a_write_in_flight_makes_even_a_later_read_stale() -> None:
    guard = WriteGuard()
    with guard.writing(["a"]), guard.reading() as mark:
        assert guard.is_stale(mark, "a")


def test_a_read_that_begins_after_the_write_is_fresh() -> None:
    guard = WriteGuard()
    with guard.reading():
        with guard.writing(["a"]):
            pass
        with guard.reading() as later:
            assert not guard.is_stale(later, "a")


def test_two_writes_of_one_message_are_both_waited_for() -> None:
    guard = WriteGuard()
    first, second = guard.writing(["a"]), guard.writing(["a"])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with guard.reading() as mark:
        assert guard.is_stale(mark, "a")
        second.__exit__(None, None, None)
        assert guard.is_stale(mark, "a")
    with guard.reading() as mark:
        assert not guard.is_stale(mark, "a")


def test_a_message_just_made_is_not_gone_because_an_older_reading_lacks_it() -> None:
    guard = WriteGuard()
    with guard.reading() as mark:
        guard.made(["new"])
        assert guard.is_younger(mark, "new")
        assert not guard.is_stale(mark, "new")
        with guard.reading() as later:
            assert not guard.is_younger(later, "new")


def test_whoever_has_to_read_again_waits_for_the_next_write_to_end() -> None:
    guard = WriteGuard()
    called: list[str] = []
    guard.when_written(lambda: called.append("at once"))
    with guard.writing(["a"]):
        guard.when_written(lambda: called.append("afterwards"))
        assert called == ["at once"]
    assert called == ["at once", "afterwards"]


def test_what_came_and_went_during_a_write_is_known_to_be_gone() -> None:
    guard = WriteGuard()
    with guard.receiving():
        guard.told_gone(1, ["a"])
        guard.told_holders("b", {2})
        assert [guard.is_gone(mailbox_id, ref) for mailbox_id in (1, 2) for ref in "abc"] == [
            *(True, True, False),
            *(False, False, False),
        ]
    assert not guard.is_gone(1, "a")
    guard.told_gone(1, ["a"])
    assert not guard.is_gone(1, "a")


def test_nothing_is_remembered_when_nobody_reads() -> None:
    guard = WriteGuard()
    for number in range(1000):
        with guard.writing([number]):
            pass
    assert not guard._last_write


def test_a_message_that_two_write_at_once_is_contested_for_both() -> None:
    guard = WriteGuard()
    with guard.reading() as first_mark, guard.reading() as second_mark:
        first, second = guard.writing(["a", "b"]), guard.writing(["a"])
        first.__enter__()
        assert not guard.is_contested(first_mark, "a")
        second.__enter__()
        assert guard.is_contested(first_mark, "a")
        assert not guard.is_contested(first_mark, "b")
        first.__exit__(None, None, None)
        assert guard.is_contested(second_mark, "a")
        second.__exit__(None, None, None)


def test_a_message_written_before_is_not_contested() -> None:
    guard = WriteGuard()
    with guard.reading():
        with guard.writing(["a"]):
            pass
        with guard.reading() as mark, guard.writing(["a"]):
            assert not guard.is_contested(mark, "a")


def test_it_is_quiet_while_nothing_was_written_since_the_read_began() -> None:
    guard = WriteGuard()
    with guard.writing(["a"]), guard.reading() as mark:
        assert not guard.is_quiet(mark)
    with guard.reading() as mark:
        assert guard.is_quiet(mark)
        with guard.writing({f"m{number}" for number in range(1000)}):
            assert not guard.is_quiet(mark)
        assert not guard.is_quiet(mark)
    with guard.reading() as mark:
        assert guard.is_quiet(mark)
        guard.made(["b"])
        assert not guard.is_quiet(mark)


def test_a_large_write_is_like_a_small_one() -> None:
    guard = WriteGuard()
    keys, called = frozenset(range(MANY)), list[str]()
    with guard.reading() as mark:
        with guard.writing(keys):
            assert guard.is_stale(mark, 1)
            assert not guard.is_stale(mark, MANY)
            assert not guard.is_contested(mark, 1)
            guard.when_written(lambda: called.append("written"))
            with guard.writing([1]):
                assert guard.is_contested(mark, 1)
            assert guard.is_contested(mark, 1)
            assert not guard.is_contested(mark, 2)
        assert guard.is_stale(mark, 2)
        assert called == ["written"]
        with guard.reading() as later:
            assert not guard.is_any_stale(later, keys)
        assert guard.is_any_stale(mark, keys)
        assert not guard.is_any_stale(mark, [MANY])
    assert not guard._large_finished
    assert not guard._large


def test_two_large_writes_of_the_same_messages_are_both_waited_for() -> None:
    guard = WriteGuard()
    first, second = guard.writing(set(range(MANY))), guard.writing(set(range(MANY)))
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with guard.reading() as mark:
        assert guard.is_stale(mark, 1)
        second.__exit__(None, None, None)
    with guard.reading() as mark:
        assert not guard.is_stale(mark, 1)


def test_what_was_gone_before_a_write_began_says_nothing_of_it() -> None:
    guard = WriteGuard()
    with guard.receiving():
        guard.told_gone(1, ["a"])
        guard.told_holders("b", {2})
        with guard.receiving() as since:
            assert not guard.is_gone(1, "a", since)
            assert not guard.is_gone(1, "b", since)
            assert not guard.is_told("b", since)
            guard.told_gone(1, ["a"])
            guard.told_holders("b", {2})
            assert guard.is_gone(1, "a", since)
            assert guard.is_gone(1, "b", since)
            assert not guard.is_gone(2, "b", since)
            assert guard.is_told("b", since)
