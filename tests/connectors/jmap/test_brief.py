"""What has to be asked for by name until the changes tell of it."""

from __future__ import annotations

from connectors.api.types import Cursor, MessageRef
from connectors.jmap.brief import Brief, Learned

ONE, TWO = MessageRef("M1"), MessageRef("M2")
BEFORE, AFTER = Cursor("before"), Cursor("after")


def test_all_that_was_learned_is_asked_for_at_every_look_until_its_outcome_is_taken_over() -> None:
    brief = Brief()
    brief.made([ONE])
    brief.listed("s1")
    learned = brief.begin(BEFORE)
    assert learned == Learned((ONE,), ("s1",))
    brief.told(learned, (), AFTER)
    # Who comes with the old cursor again has not taken over what was told.
    assert brief.begin(BEFORE) == learned
    brief.told(learned, (), AFTER)
    assert brief.begin(AFTER) == Learned()


def test_what_is_learned_during_a_look_waits_for_the_next_one() -> None:
    brief = Brief()
    brief.made([ONE])
    learned = brief.begin(BEFORE)
    brief.made([TWO])
    brief.told(learned, (), AFTER)
    assert brief.begin(AFTER) == Learned((TWO,))


def test_what_was_made_before_the_cursor_is_forgotten() -> None:
    brief = Brief()
    brief.made([ONE, TWO])
    brief.forget(Learned((ONE,)))
    assert brief.begin(BEFORE) == Learned((TWO,))


def test_a_listing_without_a_state_is_nothing_to_ask_after() -> None:
    brief = Brief()
    brief.listed(None)
    brief.listed("")
    assert brief.begin(BEFORE) == Learned()


def test_what_was_told_is_asked_for_as_well_until_it_is_taken_over() -> None:
    brief = Brief()
    brief.made([ONE])
    brief.told(brief.begin(BEFORE), [TWO], AFTER)
    learned = brief.begin(BEFORE)
    assert learned == Learned((ONE, TWO))
    brief.told(learned, (), AFTER)
    assert brief.begin(AFTER) == Learned()


def test_a_listing_of_the_whole_account_makes_earlier_ones_obsolete() -> None:
    brief = Brief()
    brief.made([ONE])
    brief.listed("s1")
    brief.start_anew()
    brief.listed("s2")
    assert brief.begin(BEFORE) == Learned((ONE,), ("s2",))
