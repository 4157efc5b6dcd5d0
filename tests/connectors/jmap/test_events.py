"""What push tells is read, and only news of the account is let through."""

from __future__ import annotations

import pytest

from connectors.jmap.events import ANYTHING, Sieve, parse_ping_interval, parse_state_change
from connectors.jmap.structs import StateChange


def test_a_state_change_is_read() -> None:
    text = '{"@type":"StateChange","changed":{"A1":{"Email":"7"}},"pushState":"p","more":1}'
    assert parse_state_change(text) == StateChange(changed={"A1": {"Email": "7"}}, push_state="p")


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"changed":[]}', '{"changed":{"A1":{"Email":7}}}'])
def test_what_is_no_state_change_is_none(text: str) -> None:
    assert parse_state_change(text) is None


@pytest.mark.parametrize(
    ("text", "interval"), [('{"interval":300}', 300), ('{"interval":0}', None), ("{}", None), ("", None)]
)
def test_the_ping_interval_is_read(text: str, interval: float | None) -> None:
    assert parse_ping_interval(text) == interval


def test_only_news_of_the_account_and_of_mail_comes_through() -> None:
    sieve = Sieve("A1")
    assert sieve.sift(StateChange(changed={"A2": {"Email": "1"}})) is None
    assert sieve.sift(StateChange(changed={"A1": {"CalendarEvent": "1"}})) is None
    both = StateChange(changed={"A1": {"Email": "1", "Mailbox": "1", "Thread": "1"}, "A2": {"Email": "9"}})
    assert sieve.sift(both) == StateChange(changed={"A1": {"Email": "1", "Mailbox": "1"}})
    assert sieve.sift(both) is None
    assert sieve.sift(StateChange(changed={"A1": {"Email": "1", "Mailbox": "2"}})) == StateChange(
        changed={"A1": {"Mailbox": "2"}}
    )


def test_a_change_that_names_nothing_may_be_anything() -> None:
    sieve = Sieve("A1")
    assert sieve.sift(StateChange()) is ANYTHING
    assert sieve.sift(StateChange()) is ANYTHING
