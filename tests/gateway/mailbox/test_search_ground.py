"""Keys over columns, compared with what is found looking at one message after the other."""

from __future__ import annotations

from array import array
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.mailbox.columns import UNKNOWN, Columns, Entry
from gateway.mailbox.flag_sets import FlagSets
from gateway.mailbox.open_mailbox import OpenMailbox
from gateway.mailbox.search_ground import ColumnKey, Ground, Scope, compare
from gateway.wire import search as k
from gateway.wire.sequence_set import SequenceSet

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
KEYWORDS = ("", "$a", "$a $b", "other")

entries = st.builds(
    Entry,
    uid=st.integers(1, 60),
    message_id=st.integers(1, 10**6),
    flag_set=st.integers(0, 7),
    modseq=st.integers(1, 9),
    size=st.integers(UNKNOWN, 9),
    internal_date=st.one_of(st.just(UNKNOWN), st.integers(0, 4 * 86_400)),
    zone=st.sampled_from([0, 0, 60, -300, 840]),
    save_date=st.one_of(st.just(UNKNOWN), st.integers(0, 4 * 86_400)),
)
comparisons = st.sampled_from(list(k.Comparison))
numbers = st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), min_size=1, max_size=3).map(
    lambda ranges: SequenceSet(tuple(ranges))
)
column_keys: st.SearchStrategy[ColumnKey] = st.one_of(
    st.just(k.All()),
    st.builds(k.HasFlag, st.sampled_from(["\\Seen", "$A", "$b", "none", "\\Recent"]), st.booleans()),
    st.builds(k.LargerThan, st.integers(0, 9)),
    st.builds(k.SmallerThan, st.integers(0, 9)),
    st.builds(k.ModSeqSince, st.integers(1, 9)),
    st.builds(
        k.DateIs,
        st.sampled_from([k.DateOf.INTERNAL, k.DateOf.SAVED]),
        comparisons,
        st.integers(-1, 5).map(lambda days: date(1970, 1, 1) + timedelta(days=days)),
    ),
    st.builds(k.Within, st.integers(1, int(NOW.timestamp()) + 1), st.booleans()),
    st.builds(k.InUids, numbers),
    st.builds(k.InSequence, numbers),
    st.just(k.InUids(SequenceSet((), is_saved_result=True))),
)


def mailbox_of(found: list[Entry], flag_sets: FlagSets) -> OpenMailbox:
    columns = Columns()
    for entry in found:
        columns.put(entry)
    return cast(OpenMailbox, SimpleNamespace(columns=columns, flag_sets=flag_sets))


def flag_sets_of_eight(spare: int = 0) -> FlagSets:
    flag_sets = FlagSets()
    for number in range(8):
        flag_sets.intern(number % 2, KEYWORDS[number // 2])
    for number in range(spare):
        flag_sets.intern(0, f"spare{number}")
    return flag_sets


def fits(key: ColumnKey, entry: Entry, scope: Scope, flag_sets: FlagSets) -> bool:
    known = list(scope.uids)
    match key:
        case k.All():
            return True
        case k.HasFlag("\\Recent", is_set):
            return (entry.uid in scope.recent) is is_set
        case k.HasFlag(flag, is_set):
            return (flag.lower() in [name.lower() for name in flag_sets[entry.flag_set].names()]) is is_set
        case k.LargerThan(octets):
            return entry.size > octets
        case k.SmallerThan(octets):
            return UNKNOWN < entry.size < octets
        case k.ModSeqSince(modseq):
            return entry.modseq >= modseq
        case k.Within(seconds, is_younger):
            age = int(NOW.timestamp()) - entry.internal_date
            return entry.internal_date != UNKNOWN and (age <= seconds if is_younger else age >= seconds)
        case k.DateIs(k.DateOf.SAVED):
            day = date(1970, 1, 1) + timedelta(seconds=entry.save_date)
            return entry.save_date != UNKNOWN and compare(day, key)
        case k.DateIs():
            shown = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=entry.internal_date, minutes=entry.zone)
            return entry.internal_date != UNKNOWN and compare(shown.date(), key)
        case k.InUids(uids):
            return entry.uid in scope.saved if uids.is_saved_result else known.index(entry.uid) in uids.select(known)
        case k.InSequence(found):
            place = known.index(entry.uid) + 1
            return any(low <= place <= high for low, high in found.resolve(len(known)))


@pytest.mark.parametrize("spare", [0, 400], ids=["few flag sets", "many flag sets"])
@given(
    st.lists(entries, max_size=12, unique_by=lambda entry: entry.uid),
    st.sets(st.integers(1, 60), max_size=3),
    st.sets(st.integers(1, 60), max_size=2),
    st.sets(st.integers(1, 60)),
    column_keys,
)
def test_columns_answer_as_each_message_would(
    spare: int, there: list[Entry], gone: set[int], untold: set[int], chosen: set[int], key: ColumnKey
) -> None:
    flag_sets = flag_sets_of_eight(spare)
    present = {entry.uid: entry for entry in there}
    known = sorted((present.keys() | gone) - untold)
    scope = Scope(array("I", known), frozenset(chosen), frozenset(chosen), NOW)
    ground = Ground(mailbox_of(there, flag_sets), scope)
    found = list(ground.among_known(ground.fitting(key)).select(known))
    assert found == [uid for uid in known if uid in present and fits(key, present[uid], scope, flag_sets)]


def test_what_has_gone_since_the_search_began_matches_nothing() -> None:
    there = [Entry(uid, uid, 0, 5, 100, 86_400, 0, 86_400) for uid in (1, 2, 3)]
    mailbox = mailbox_of(there, flag_sets_of_eight())
    ground = Ground(mailbox, Scope([1, 2, 3], (), (), NOW))
    mailbox.columns.remove([2])
    for key in (k.HasFlag("\\Seen", is_set=False), k.LargerThan(1), k.ModSeqSince(1), k.Within(1, is_younger=False)):
        assert list(ground.fitting(key).select(ground.uids)) == [1, 3]
    assert list(ground.message_ids) == [1, 2, 3]


@pytest.mark.parametrize("others", [0, 500], ids=["of few", "of many"])
def test_a_few_are_looked_up_one_by_one(others: int) -> None:
    there = [Entry(uid, uid + 1000, 0, uid, 100, 86_400, 0, 86_400) for uid in (1, 2, 3, *range(10, 10 + others))]
    ground = Ground(mailbox_of(there, flag_sets_of_eight()), Scope([2, 3, 5], (), (), NOW))
    assert list(ground.uids) == [2, 3]
    assert list(ground.message_ids) == [1002, 1003]
    assert list(ground.among_known(ground.fitting(k.ModSeqSince(3))).select(ground.known)) == [3]


def test_unknown_sizes_and_dates_are_told() -> None:
    there = [Entry(1, 1, 0, 1, UNKNOWN, 5, 0, UNKNOWN), Entry(2, 2, 0, 1, 5, UNKNOWN, 0, UNKNOWN)]
    ground = Ground(mailbox_of(there, flag_sets_of_eight()), Scope([1, 2], (), (), NOW))
    assert list(ground.without_size().select(ground.uids)) == [1]
    assert list(ground.without_date().select(ground.uids)) == [2]
