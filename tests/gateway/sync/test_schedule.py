from __future__ import annotations

import random

import pytest

from gateway.sync.schedule import Backoff, Pace, Queue, Urgency


def drain(queue: Queue) -> list[int]:
    taken = []
    while (asked := queue.pop()) is not None:
        taken.append(asked[0])
    return taken


def test_the_more_urgent_goes_first_and_equals_in_the_order_they_came() -> None:
    queue = Queue()
    queue.add(1, Urgency.POLLED)
    queue.add(2, Urgency.OPEN)
    queue.add(3, Urgency.POLLED)
    queue.add(4, Urgency.WAITED_FOR)
    assert drain(queue) == [4, 2, 1, 3]


def test_a_mailbox_waits_only_once_and_is_moved_up_never_down() -> None:
    queue = Queue()
    queue.add(1, Urgency.POLLED)
    queue.add(2, Urgency.PUSHED)
    queue.add(1, Urgency.WAITED_FOR)
    queue.add(1, Urgency.POLLED)
    assert len(queue) == 2
    assert drain(queue) == [1, 2]


def test_a_discarded_mailbox_is_not_returned() -> None:
    queue = Queue()
    queue.add(1, Urgency.OPEN)
    queue.discard(1)
    assert drain(queue) == []


def test_a_mailbox_taken_can_wait_again() -> None:
    queue = Queue()
    queue.add(1, Urgency.OPEN)
    assert queue.pop() == (1, Urgency.OPEN)
    queue.add(1, Urgency.POLLED)
    assert queue.pop() == (1, Urgency.POLLED)


def test_pauses_double_up_to_the_most_with_jitter_of_a_quarter() -> None:
    backoff = Backoff(first_s=1, most_s=8, chance=random.Random(7).random)
    pauses = [backoff.failed() for _ in range(6)]
    for pause, nominal in zip(pauses, [1, 2, 4, 8, 8, 8], strict=True):
        assert nominal * 0.75 <= pause <= nominal * 1.25


def test_a_success_begins_anew_and_the_backend_s_wish_is_obeyed() -> None:
    backoff = Backoff(first_s=1, most_s=300)
    for _ in range(10):
        backoff.failed()
    backoff.succeeded()
    assert backoff.failed() <= 1.25
    assert backoff.failed(at_least_s=500) == pytest.approx(500)


def test_the_first_look_is_anywhere_within_the_interval_and_the_others_follow_it() -> None:
    chances = iter([0.25, 0.0, 0.5, 1.0])
    pace = Pace(60.0, lambda: next(chances))
    assert [round(pace.next_s(), 6) for _ in range(4)] == [15.0, 54.0, 60.0, 66.0]
