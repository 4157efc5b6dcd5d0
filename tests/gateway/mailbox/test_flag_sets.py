from __future__ import annotations

from gateway.mailbox.flag_sets import FlagSets
from gateway.store.flags import SEEN, FlagSet


def test_equal_sets_share_a_number_and_are_rendered_as_fetch_shows_them() -> None:
    sets = FlagSets()
    number = sets.intern(SEEN, "$a $b")
    assert sets.intern(SEEN, "$a $b") == number != sets.intern(SEEN, "")
    assert sets[number] == FlagSet(SEEN, "$a $b")
    assert sets.rendered(number, is_recent=False) == b"(\\Seen $a $b)"
    assert sets.rendered(number, is_recent=True) == b"(\\Seen $a $b \\Recent)"
