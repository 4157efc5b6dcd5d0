from __future__ import annotations

from connectors.graph.crowding import Crowding


def test_each_refusal_takes_one_down_to_one() -> None:
    crowding = Crowding(3)
    limits = []
    for _ in range(4):
        crowding.refused()
        limits.append(crowding.limit)
    assert limits == [2, 1, 1, 1]


def test_it_grows_again_slowly_and_not_beyond_the_setting() -> None:
    crowding = Crowding(2)
    crowding.refused()
    assert sum(crowding.passed() for _ in range(50)) == 1
    assert crowding.limit == 2
    assert not any(crowding.passed() for _ in range(200))
    assert crowding.limit == 2


def test_a_refusal_begins_the_wait_anew() -> None:
    crowding = Crowding(4)
    crowding.refused()
    assert not any(crowding.passed() for _ in range(49))
    crowding.refused()
    assert not any(crowding.passed() for _ in range(49))
    assert crowding.limit == 2
