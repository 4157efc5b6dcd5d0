"""When folders are looked at."""

from __future__ import annotations

import pytest

from connectors.api.priority import Priority, prioritised
from connectors.api.types import Cursor, MailboxInfo, MailboxRef, Role
from connectors.graph.cursors import Mark
from connectors.graph.folders import Folder, Tree
from connectors.graph.looks import FRESH_S, PRIME_TTL_S, SEARCH_INTERVAL_S, Looks, Prime
from tests.connectors.transport.jumping_clock import JumpingClock

A = MailboxRef("a")


def folder(
    ref: MailboxRef = A, *, count: int = 5, unread: int = 1, role: Role | None = None, is_search: bool = False
) -> Folder:
    return Folder(MailboxInfo(ref, (ref,), role), None, count, unread, is_search, 0)


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def looks(clock: JumpingClock) -> Looks:
    return Looks(clock, 60.0)


def waits(looks: Looks, each: Folder, among: int, priority: Priority = Priority.BACKGROUND) -> bool:
    with prioritised(priority):
        return looks.may_wait(each, among)


async def test_few_folders_are_looked_at_at_every_poll(looks: Looks, clock: JumpingClock) -> None:
    looks.looked(folder())
    await clock.sleep(1.0)

    assert not waits(looks, folder(), 60)


async def test_of_many_folders_each_is_looked_at_now_and_then(looks: Looks, clock: JumpingClock) -> None:
    assert not waits(looks, folder(), 200)
    looks.looked(folder())

    looked = []
    for _ in range(8):
        await clock.sleep(60.0)
        looked.append(not waits(looks, folder(), 200))
        if looked[-1]:
            looks.looked(folder())

    # 200 folders at 60 in a minute: every fourth time.
    assert looked == [False, False, False, True, False, False, False, True]


async def test_who_waits_or_has_it_open_or_sees_other_numbers_is_never_put_off(looks: Looks) -> None:
    looks.looked(folder())

    assert waits(looks, folder(), 500)
    assert not waits(looks, folder(), 500, Priority.INTERACTIVE)
    assert not waits(looks, folder(count=6), 500)
    assert not waits(looks, folder(unread=2), 500)
    assert not waits(looks, folder(role=Role.INBOX), 500)
    looks.interest = frozenset({A})
    assert not waits(looks, folder(), 500)


async def test_a_search_folder_is_compared_more_seldom(looks: Looks, clock: JumpingClock) -> None:
    search = folder(is_search=True)
    looks.looked(search)
    await clock.sleep(SEARCH_INTERVAL_S - 1)
    assert waits(looks, search, 1)
    await clock.sleep(2)
    assert not waits(looks, search, 1)


async def test_right_after_a_listing_there_is_nothing_to_see(looks: Looks, clock: JumpingClock) -> None:
    inbox = folder(role=Role.INBOX)
    looks.looked(inbox, is_listing=True)

    assert waits(looks, inbox, 1)
    assert not waits(looks, inbox, 1, Priority.INTERACTIVE)
    await clock.sleep(FRESH_S + 0.1)
    assert not waits(looks, inbox, 1)


async def test_a_listing_builds_on_a_position_once_and_not_long_after(looks: Looks, clock: JumpingClock) -> None:
    prime = Prime("link", 0, (), None, clock.monotonic())
    looks.keep_prime(A, prime)
    assert looks.take_prime(A) is prime
    assert looks.take_prime(A) is None

    looks.keep_prime(A, prime)
    await clock.sleep(PRIME_TTL_S + 1)
    assert looks.take_prime(A) is None


def test_a_later_position_is_good_for_the_same_cursor_only(looks: Looks) -> None:
    mark = Mark("root", "later")
    looks.keep_mark(A, Cursor("one"), mark)

    assert looks.latest_mark(A, Cursor("one")) == mark
    assert looks.latest_mark(A, Cursor("two")) is None
    assert looks.latest_mark(MailboxRef("b"), Cursor("one")) is None


def test_a_number_is_fresh_once(looks: Looks) -> None:
    def tree(number: int) -> Tree:
        return Tree({A: folder(count=number * 10)}, {}, number)

    assert looks.fresh_count(A, tree(1)) == 10
    assert looks.fresh_count(A, tree(1)) is None
    assert looks.fresh_count(A, tree(2)) == 20
    looks.begin(A, tree(3))
    assert looks.fresh_count(A, tree(3)) is None
    assert looks.fresh_count(MailboxRef("gone"), tree(4)) is None


def test_doubts_are_counted_in_a_row(looks: Looks) -> None:
    assert not looks.doubt(A)
    looks.trust(A)
    assert not looks.doubt(A)
    assert looks.doubt(A)


async def test_a_number_that_stays_wrong_is_doubted_ever_more_seldom(looks: Looks, clock: JumpingClock) -> None:
    read_at = []
    for minute in range(60):
        if looks.doubt(A):
            read_at.append(minute)
            looks.begin(A, Tree({}, {}))
        await clock.sleep(60.0)

    assert read_at == [1, 6, 16, 36]
    looks.trust(A)
    assert [looks.doubt(A) for _ in range(2)] == [False, True]


def test_nothing_is_kept_of_a_folder_that_is_gone(looks: Looks, clock: JumpingClock) -> None:
    looks.looked(folder())
    looks.keep_mark(A, Cursor("one"), Mark("root"))
    looks.keep_prime(A, Prime("link", 0, (), None, clock.monotonic()))
    looks.doubt(A)
    looks.be_unsure(A)
    looks.forget(A)

    assert not waits(looks, folder(), 500)
    assert looks.latest_mark(A, Cursor("one")) is None
    assert looks.take_prime(A) is None
    assert not looks.doubt(A)
    assert not looks.is_unsure(A)
