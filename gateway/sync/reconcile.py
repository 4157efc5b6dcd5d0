"""What has to change in the store so that it says what the backend says. Pure; one mailbox at a time.

State, not deltas: reconciling with the same states again gives an empty plan.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from connectors.api.types import MessageRef, MessageState
from gateway.store.flags import FlagSet


@dataclass(frozen=True, slots=True)
class Known:
    """A placement as the store has it."""

    uid: int
    message_id: int
    flags: FlagSet


@dataclass(frozen=True, slots=True)
class FlagPolicy:
    """Which flags the backend holds in a mailbox; the rest are ours and survive whatever it says."""

    storable: frozenset[str]
    any_keyword: bool

    def is_storable(self, flag: str) -> bool:
        return flag in self.storable or (self.any_keyword and not flag.startswith("\\"))

    def merge(self, backend: Iterable[str], local: FlagSet) -> FlagSet:
        """Return the backend's flags, spelled as the local ones are, together with those of them it cannot hold."""
        names = local.names()
        kept = (flag for flag in names if not self.is_storable(flag))
        return FlagSet.of((*respelled(backend, names), *kept))

    def split(self, flags: Iterable[str]) -> frozenset[str]:
        """Return those of the flags that the backend can hold."""
        return frozenset(flag for flag in flags if self.is_storable(flag))


def respelled(flags: Iterable[str], known: Iterable[str]) -> frozenset[str]:
    """Return the flags, each in the case in which it is among `known` if it is there.

    Keywords are case-insensitive (RFC 9051 section 2.3.2) and some backends give them back in lower case; to a client
    its own spelling is no news and another one would be.
    """
    spelling = {flag.lower(): flag for flag in known}
    return frozenset(spelling.get(flag.lower(), flag) for flag in flags)


@dataclass(slots=True)
class Plan:
    """What to do to one mailbox.

    `stale` refs were left out and must be read again. `gone` are those said to be gone, known before or not.
    """

    inserts: dict[MessageRef, MessageState] = field(default_factory=dict)
    flag_changes: dict[int, FlagSet] = field(default_factory=dict)
    removals: set[int] = field(default_factory=set)
    details: dict[MessageRef, MessageState] = field(default_factory=dict)
    replaced: dict[MessageRef, Known] = field(default_factory=dict)
    stale: set[MessageRef] = field(default_factory=set)
    gone: set[MessageRef] = field(default_factory=set)

    @property
    def was_stale(self) -> bool:
        return bool(self.stale)

    @property
    def is_empty(self) -> bool:
        return not (self.inserts or self.flag_changes or self.removals or self.replaced)


def reconcile(
    known: Mapping[MessageRef, Known],
    states: Iterable[MessageState],
    policy: FlagPolicy,
    *,
    removed: Iterable[MessageRef] = (),
    present: Collection[MessageRef] | None = None,
    is_stale: Callable[[MessageRef], bool] = lambda ref: False,
    is_younger: Callable[[MessageRef], bool] = lambda ref: False,
) -> Plan:
    """Compare one mailbox's placements with what the backend says of some or all of its messages.

    `states` in the order in which new messages get their UIDs; of two states of one ref the later wins.
    `removed` are refs that are gone; `present`, if given, are all that are there, so any other known one is gone.
    A ref for which `is_stale` holds is left as it is, and one for which `is_younger` holds if `present` lacks it.
    """
    plan = Plan()
    latest: dict[MessageRef, MessageState] = {}
    for state in states:
        latest[state.ref] = state
    for ref, state in latest.items():
        if is_stale(ref):
            plan.stale.add(ref)
        else:
            _reconcile_one(plan, known.get(ref), state, policy)
    gone = {ref for ref in removed if ref not in latest}
    if present is not None:
        for ref in known:
            if ref not in present and ref not in latest:
                (plan.stale if is_younger(ref) else gone).add(ref)
    for ref in gone:
        if is_stale(ref):
            plan.stale.add(ref)
            continue
        plan.gone.add(ref)
        if ref in known:
            plan.removals.add(known[ref].uid)
    return plan


def _reconcile_one(plan: Plan, known: Known | None, state: MessageState, policy: FlagPolicy) -> None:
    if known is None:
        plan.inserts[state.ref] = state
        return
    if state.content_changed or (state.uid is not None and state.uid != known.uid):
        # A UID and its octets are bound for ever (RFC 9051 section 2.3.1.1): changed octets are a new message.
        plan.replaced[state.ref] = known
        plan.removals.add(known.uid)
        plan.inserts[state.ref] = state
        return
    if state.flags is not None:
        merged = policy.merge(state.flags, known.flags)
        if merged != known.flags:
            plan.flag_changes[known.uid] = merged
    if state.size is not None or state.internal_date is not None:
        plan.details[state.ref] = state
