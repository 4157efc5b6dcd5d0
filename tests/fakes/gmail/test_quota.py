"""Units of a minute."""

from __future__ import annotations

from tests.fakes.gmail.quota import Quota, costs
from tests.manual_clock import ManualClock


def test_a_minute_begins_with_the_first_call_after_the_last_one() -> None:
    clock = ManualClock()
    quota = Quota(clock, 10)
    assert quota.spend("a", 7) is None
    clock.advance(40)
    assert quota.spend("a", 4) == 20.0
    assert quota.left("a") == 3
    assert quota.spend("a", 3) is None
    clock.advance(20)
    assert quota.left("a") == 10
    assert quota.spend("a", 10) is None
    clock.advance(59)
    assert quota.spend("a", 1) == 1.0


def test_without_a_limit_nothing_runs_out() -> None:
    quota = Quota(ManualClock(), None)
    assert quota.spend("a", 10**9) is None
    assert quota.left("a") is None


def test_new_projects_pay_more_for_reading() -> None:
    old, new = costs("2025"), costs("2026")
    dearer = {name.removeprefix("gmail.users.") for name in old if old[name] != new[name]}
    assert dearer == {"messages.get", "messages.trash", "messages.attachments.get", "drafts.get", "threads.get"}
    assert (old["gmail.users.messages.get"], new["gmail.users.messages.get"]) == (5, 20)
    assert new["gmail.users.messages.list"] == 5
