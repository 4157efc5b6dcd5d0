from __future__ import annotations

from gateway.imap.settings import ImapSettings
from gateway.imap.switches import Switches


def test_literals_that_do_not_wait_are_small_where_that_is_offered() -> None:
    small = frozenset({"LITERAL-"})
    assert ImapSettings().unasked_literal_limit is None
    assert ImapSettings(switches=Switches(added=small)).unasked_literal_limit == 4096
    assert ImapSettings(switches=Switches(added=small, disabled=small)).unasked_literal_limit is None
