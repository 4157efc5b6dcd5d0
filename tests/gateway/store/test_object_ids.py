"""Object ids: legal, permanent, and never the same for different things, however many accounts there are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import accounts, messages, object_ids, placements, users
from gateway.store.database import Store, Transaction
from gateway.store.messages import MessageValues, ObjectIds
from gateway.store.object_ids import Kind, Naming, naming_of
from tests.gateway.store.conftest import Place

PLAIN = Naming("0f3a61b2c4", is_plain=True)
TAGGED = Naming("0f3a61b2c4", is_plain=False)
OTHER = Naming("99999aaaaa", is_plain=False)
IDS = st.text("abcTMFN0123456789-_", min_size=1, max_size=255)


@pytest.mark.parametrize(
    ("kind", "backend_id", "told"),
    [
        (Kind.EMAIL, "M6d99ac3275bb4e", "M6d99ac3275bb4e"),
        (Kind.EMAIL, "eaaaaab", "eaaaaab"),
        (Kind.THREAD, "T64b478a75b7ea9", "T64b478a75b7ea9"),
        (Kind.MAILBOX, "Tb", "Tb"),
        (Kind.MAILBOX, "a", "a"),
        (Kind.MAILBOX, "1pz5uwsb7wmim9jew516hzbr", "1pz5uwsb7wmim9jew516hzbr"),
        # These could be equal to one of the other kind.
        (Kind.EMAIL, "Tb", "M0f3a61b2c4-Tb"),
        (Kind.THREAD, "b", "T0f3a61b2c4-b"),
        # These are unwise.
        (Kind.EMAIL, "17", "M0f3a61b2c4-17"),
        (Kind.EMAIL, "-a", "M0f3a61b2c4--a"),
        (Kind.MAILBOX, "Nil", "F0f3a61b2c4-Nil"),
        (Kind.EMAIL, "nilly", "nilly"),
        # These look like ours.
        (Kind.EMAIL, "M99999aaaaa-x", "M0f3a61b2c4-M99999aaaaa-x"),
        (Kind.EMAIL, "M0f3a61b2c4_7", "M0f3a61b2c4-M0f3a61b2c4_7"),
        # These are none (RFC 8474 section 7), or leave no room.
        (Kind.EMAIL, "", None),
        (Kind.EMAIL, "AAMk=", None),
        (Kind.EMAIL, "é", None),
        (Kind.EMAIL, "a\n", None),
        (Kind.EMAIL, "x" * 256, None),
        (Kind.EMAIL, "x" * 255, "x" * 255),
        (Kind.EMAIL, "1" * 244, None),
        (Kind.EMAIL, None, None),
    ],
)
def test_an_id_of_the_first_account_is_told_as_it_is_where_it_can_be(
    kind: Kind, backend_id: str | None, told: str | None
) -> None:
    assert PLAIN.told(kind, backend_id) == told


@given(IDS, IDS, st.sampled_from(Kind), st.sampled_from(Kind), st.booleans(), st.booleans())
def test_no_two_things_share_an_id(
    one: str, two: str, kind: Kind, other_kind: Kind, is_plain: bool, is_other_account: bool
) -> None:
    mine = Naming("0f3a61b2c4", is_plain)
    first, second = mine.told(kind, one), (OTHER if is_other_account else mine).told(other_kind, two)
    for told in (first, second):
        assert told is None or re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,254}", told)
    is_comparable = Kind.MAILBOX not in (kind, other_kind) or kind is other_kind
    if is_comparable and first is not None and first == second:
        assert (one, kind, is_other_account) == (two, other_kind, False)


@given(IDS, st.integers(1, 2**62), st.booleans())
def test_a_made_id_is_no_id_of_a_backend(backend_id: str, message_id: int, is_plain: bool) -> None:
    naming = Naming("0f3a61b2c4", is_plain)
    made = naming.made_email_id(message_id)
    assert object_ids.parse_made_email_id(made) == ("0f3a61b2c4", message_id)
    assert naming.told(Kind.EMAIL, backend_id) != made
    assert naming.told(Kind.EMAIL, made) != made
    assert naming.made_email_id(message_id + 1) != made


@pytest.mark.parametrize("text", ["", "M1", "M0f3a61b2c4-7", "M0f3a61b2c4_07", "T0f3a61b2c4_7", "M0f3a61b2c4_x"])
def test_other_ids_are_not_taken_for_made_ones(text: str) -> None:
    assert object_ids.parse_made_email_id(text) is None


async def test_only_the_first_account_ever_of_a_user_tells_plain_ids(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        assert (await naming_of(tx, place.account_id)).is_plain
        work = await accounts.add_account(tx, place.user_id, "Work", "memory", {}, is_primary=True)
        await accounts.remove_account(tx, place.account_id)
        again = await accounts.add_account(tx, place.user_id, "Home", "memory", {})
        namings = [await naming_of(tx, row.id) for row in (work, again)]
        assert [naming.is_plain for naming in namings] == [False, False]
        bert = await users.add_user(tx, "bert")
        first = await accounts.add_account(tx, bert.id, "Home", "memory", {})
        namings.append(await naming_of(tx, first.id))
        assert namings[2].is_plain
        assert len({naming.tag for naming in namings}) == 3
        with pytest.raises(LookupError):
            await naming_of(tx, 12345)

    await store.write(body)


async def put(tx: Transaction, account_id: int, *values: MessageValues, scope: int = 0) -> list[int]:
    ids = await messages.upsert_messages(tx, account_id, scope, values)
    return [ids[value.ref] for value in values]


async def test_a_message_keeps_the_ids_it_was_first_told_with(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        naming = await naming_of(tx, place.account_id)
        known, unknown = await put(
            tx, place.account_id, MessageValues("a", email_id="Ma", thread_id="Ta"), MessageValues("b")
        )
        told = {
            known: ObjectIds("Ma", "Ta"),
            unknown: ObjectIds(f"M{naming.tag}_{unknown}", None),
        }
        assert await messages.object_ids(tx, [known, unknown, 999]) == told
        await put(
            tx,
            place.account_id,
            MessageValues("a", email_id="Mz", thread_id="Tz"),
            MessageValues("b", email_id="Mb", thread_id="Tb"),
        )
        told[unknown] = told[unknown]._replace(thread_id="Tb")
        assert await messages.object_ids(tx, [known, unknown]) == told

    await store.write(body)


async def test_a_second_account_does_not_share_ids(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        work = await accounts.add_account(tx, place.user_id, "Work", "memory", {})
        values = MessageValues("a", email_id="b", thread_id="b")
        (mine,), (theirs,) = await put(tx, place.account_id, values), await put(tx, work.id, values)
        told = await messages.object_ids(tx, [mine, theirs])
        tags = [(await naming_of(tx, account_id)).tag for account_id in (place.account_id, work.id)]
        assert told == {mine: ObjectIds("b", f"T{tags[0]}-b"), theirs: ObjectIds(f"M{tags[1]}-b", f"T{tags[1]}-b")}

    await store.write(body)


async def test_a_copy_takes_over_the_ids_of_its_original(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        naming = await naming_of(tx, place.account_id)
        named, made = await put(
            tx,
            place.account_id,
            MessageValues("1", email_id="M1", thread_id="T1"),
            MessageValues("2"),
            scope=place.inbox,
        )
        copies = await put(
            tx,
            place.account_id,
            MessageValues("1"),
            MessageValues("2"),
            MessageValues("3", email_id="M3"),
            scope=place.other,
        )
        await messages.share_object_ids(tx, [(named, copies[0]), (made, copies[1]), (made, copies[2]), (made, made)])
        await messages.share_object_ids(tx, [(999, copies[1])])
        second = (await put(tx, place.account_id, MessageValues("4"), scope=place.other))[0]
        await messages.share_object_ids(tx, [(copies[1], second)])
        told = await messages.object_ids(tx, [made, *copies, second])
        assert [told[message_id].email_id for message_id in (made, *copies, second)] == [
            naming.made_email_id(made),
            "M1",
            naming.made_email_id(made),
            "M3",
            naming.made_email_id(made),
        ]
        assert told[copies[0]].thread_id == "T1"
        await messages.share_object_ids(tx, [(named, copies[2])], are_untold=True)
        assert await messages.object_ids(tx, [copies[2]]) == {copies[2]: ObjectIds("M1", "T1")}

    await store.write(body)


async def test_messages_are_found_by_their_ids(store: Store, place: Place) -> None:
    async def body(tx: Transaction) -> None:
        naming = await naming_of(tx, place.account_id)
        ids = await put(
            tx,
            place.account_id,
            MessageValues("a", email_id="Ma", thread_id="T1"),
            MessageValues("b", email_id="Mb", thread_id="T1"),
            MessageValues("c"),
        )
        for mailbox in (place.inbox, place.other):
            await placements.insert_placements(tx, mailbox, [(key, 0, "", None, None) for key in ids])
        await placements.remove_placements(tx, place.other, [1])
        assert await placements.by_email_id(tx, place.inbox, "Ma") == [1]
        assert await placements.by_email_id(tx, place.other, "Ma") == []
        assert await placements.by_email_id(tx, place.inbox, "ma") == []
        assert await placements.by_email_id(tx, place.inbox, "T1") == []
        assert await placements.by_email_id(tx, place.inbox, naming.made_email_id(ids[2])) == [3]
        assert await placements.by_email_id(tx, place.inbox, naming.made_email_id(ids[0])) == []
        assert await placements.by_email_id(tx, place.inbox, OTHER.made_email_id(ids[2])) == []
        assert sorted(await placements.by_thread_id(tx, place.inbox, "T1")) == [1, 2]
        assert await placements.by_thread_id(tx, place.inbox, "Ma") == []

    await store.write(body)
