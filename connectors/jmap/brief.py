"""Messages that came and went between two looks at the changes.

A message that was made after a state and destroyed before the next need not be named by the changes in between (RFC
8620 section 5.2). Who has learned of it on another way, by storing it or by a listing, would keep it for ever. So what
was learned so is remembered until a look at the changes has gone beyond it, and that look asks for it by name (see
`connectors.jmap.gone`). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.api.types import Cursor, MessageRef


@dataclass(frozen=True, slots=True)
class Learned:
    """Messages that we made or were told of, and states in which messages were listed."""

    made: tuple[MessageRef, ...] = ()
    states: tuple[str, ...] = ()


class Brief:
    """What was learned of messages since the changes were last looked at."""

    def __init__(self) -> None:
        self._made: dict[MessageRef, None] = {}
        self._states: dict[str, None] = {}
        self._told: tuple[Cursor, Learned] | None = None

    def made(self, refs: Iterable[MessageRef]) -> None:
        """Take note of messages that we made."""
        self._made.update(dict.fromkeys(refs))

    def listed(self, state: str | None) -> None:
        """Take note that messages were listed as they were in a state."""
        if state:
            self._states[state] = None

    def start_anew(self) -> None:
        """Forget earlier listings: one of the whole account begins, and what that does not name is asked for anyway."""
        self._states.clear()

    def begin(self, cursor: Cursor) -> Learned:
        """Return what a look at the changes after `cursor` has to ask for, which it must not have begun yet."""
        if self._told is not None and self._told[0] == cursor:
            # Who has come to that cursor has taken over what was found.
            self.forget(self._told[1])
        self._told = None
        return Learned(tuple(self._made), tuple(self._states))

    def told(self, learned: Learned, refs: Iterable[MessageRef], cursor: Cursor) -> None:
        """Take note that all of it has been asked for by a look that goes as far as `cursor`, and told of `refs`.

        Part of that may be taken over and the cursor not, so that the next look begins where this one began.
        """
        known = dict.fromkeys((*learned.made, *refs))
        self._made.update(known)
        self._told = cursor, Learned(tuple(known), learned.states)

    def forget(self, learned: Learned) -> None:
        """The changes tell of all of it from now on."""
        for ref in learned.made:
            self._made.pop(ref, None)
        for state in learned.states:
            self._states.pop(state, None)
