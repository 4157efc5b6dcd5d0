from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.store import search_rows, search_schema
from gateway.store.search_index import AccountIndex, IndexUnavailable, SearchIndex
from gateway.store.search_rows import FEW, IndexEntry, Level, Part

NOTHING = (None, None, None, None, None)
texts = st.text(st.sampled_from('abé" \x1f*\n中'), max_size=12)


def entry(key: int, header: str = "", body: str | None = None, **values: object) -> IndexEntry:
    fields = tuple(values.get(name) for name in search_schema.FIELDS)
    return IndexEntry(key, fields, header, values.get("sent"), body)  # type: ignore[arg-type]


@pytest.fixture
async def index(tmp_path: Path) -> AsyncIterator[SearchIndex]:
    opened = await SearchIndex.open(tmp_path / "x.search")
    yield opened
    await opened.close()


@pytest.fixture
async def account(index: SearchIndex) -> AccountIndex:
    account = index.account(1, "tag")
    await account.load()
    return account


async def reopened(index: SearchIndex, tmp_path: Path, tag: str = "tag") -> tuple[SearchIndex, AccountIndex]:
    await index.close()
    again = await SearchIndex.open(tmp_path / "x.search")
    account = again.account(1, tag)
    return again, account


async def test_texts_are_found_where_they_are(account: AccountIndex) -> None:
    await account.add([entry(1, "subject: the report", "deadline"), entry(2, "subject: other", "the report")])
    assert await account.with_text(Part.HEADER, ["report"], [1, 2]) == {1}
    assert await account.with_text(Part.BODY, ["report"], [1, 2]) == {2}
    assert await account.with_text(Part.HEADER, ["subject: ", "oth"], [1, 2]) == {2}
    assert await account.with_text(Part.BODY, ["d"], [1, 2]) == {1}


async def test_fields_are_told_apart_and_an_absent_one_from_an_empty_one(account: AccountIndex) -> None:
    await account.add([entry(1, subject="report", to=""), entry(2, cc="report")])
    assert await account.with_field("subject", "epo", [1, 2]) == {1}
    assert await account.with_field("cc", "", [1, 2]) == {2}
    assert await account.with_field("to", "", [1, 2]) == {1}
    assert await account.with_field("to", "x", [1, 2]) == set()
    with pytest.raises(ValueError, match="x-odd"):
        await account.with_field("x-odd", "", [1, 2])


async def test_days_are_compared(account: AccountIndex) -> None:
    await account.add([entry(1, sent=10), entry(2, sent=11), entry(3)])
    assert await account.sent(None, 10, [1, 2, 3]) == {1}
    assert await account.sent(11, None, [1, 2, 3]) == {2}
    assert await account.sent(10, 11, [1, 2, 3]) == {1, 2}


@given(st.lists(texts, min_size=1, max_size=6), texts.filter(bool), st.booleans())
def test_words_never_hide_a_text(bodies: list[str], needle: str, is_few: bool) -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    search_schema.create_file(connection)
    search_schema.create_account(connection, 7, "tag")
    search_rows.add(connection, 7, [entry(key, body=body) for key, body in enumerate(bodies)])
    among = None if not is_few else [*range(len(bodies)), *range(100, 100 + FEW)]
    found = search_rows.with_text(connection, 7, Part.BODY, [needle], among)
    assert found == {key for key, body in enumerate(bodies) if needle in body}
    connection.close()


def test_a_long_text_is_asked_for_by_some_of_its_words() -> None:
    question = search_rows.words_of("".join(chr(0x4E00 + number) for number in range(500)))
    assert question.count(" AND ") < search_rows.MAX_WORDS


async def test_more_that_is_known_replaces_less_but_never_the_other_way(account: AccountIndex) -> None:
    await account.add([entry(1, "subject: first")])
    assert list(account.with_header([1, 2])) == [1, 0]
    assert list(account.with_body([1, 2])) == [0, 0]
    await account.add([entry(1, "subject: second", "body")])
    await account.add([entry(1, "subject: third")])
    assert list(account.with_body([1])) == [1]
    assert await account.with_text(Part.HEADER, ["second"], [1]) == {1}
    assert await account.with_text(Part.HEADER, ["first"], [1]) == set()


async def test_what_is_removed_is_found_no_more(account: AccountIndex) -> None:
    await account.add([entry(1, "one", "text"), entry(2, "two", "text")])
    await account.remove({1, 99})
    assert list(account.with_header([1, 2, 99])) == [0, 1, 0]
    assert await account.with_text(Part.BODY, ["text"], [1, 2]) == {2}
    assert await account.ids_after(0) == [2]


async def test_the_index_outlives_the_process(index: SearchIndex, account: AccountIndex, tmp_path: Path) -> None:
    await account.add([entry(1, "one", "text")])
    again, account = await reopened(index, tmp_path)
    await account.load()
    assert account.levels_of([1, 2]) == bytes([Level.WHOLE, Level.NOTHING])
    assert await account.with_text(Part.BODY, ["text"], [1]) == {1}
    await again.close()


async def test_an_account_of_another_database_starts_empty(
    index: SearchIndex, account: AccountIndex, tmp_path: Path
) -> None:
    await account.add([entry(1, "one", "text")])
    again, other = await reopened(index, tmp_path, tag="another")
    await other.load()
    assert other.levels_of([1]) == bytes([Level.NOTHING])
    await again.close()


async def test_accounts_that_are_gone_and_ids_that_will_be_given_anew_are_dropped(
    index: SearchIndex, account: AccountIndex, tmp_path: Path
) -> None:
    gone = index.account(2, "gone")
    await gone.load()
    await gone.add([entry(3, "three")])
    await account.add([entry(1, "one", "text"), entry(5, "five", "text")])
    again, account = await reopened(index, tmp_path)
    await again.keep_accounts({1: "tag"}, last_message_id=4)
    await account.load()
    assert account.levels_of([1, 3, 5]) == bytes([Level.WHOLE, Level.NOTHING, Level.NOTHING])
    assert await account.with_text(Part.BODY, ["text"], [1, 5]) == {1}
    assert await again.read(search_schema.account_tags) == {1: "tag"}
    await again.close()


async def test_accounts_do_not_see_each_other(index: SearchIndex, account: AccountIndex) -> None:
    other = index.account(2, "other")
    await other.load()
    await account.add([entry(1, "one", "text")])
    assert await other.with_text(Part.BODY, ["text"], [1]) == set()


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to be one" * 100, b""])
async def test_a_file_that_is_none_of_ours_is_made_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.search").write_bytes(content)
    index = await SearchIndex.open(tmp_path / "x.search")
    account = index.account(1, "tag")
    await account.load()
    assert await account.with_text(Part.BODY, ["text"], [1]) == set()
    await index.close()


async def test_a_file_of_another_version_is_made_anew(
    index: SearchIndex, account: AccountIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await account.add([entry(1, "one", "text")])
    monkeypatch.setattr(search_schema, "VERSION", search_schema.VERSION + 1)
    again, account = await reopened(index, tmp_path)
    await account.load()
    assert account.levels_of([1]) == bytes([Level.NOTHING])
    await again.close()


async def test_a_file_that_turns_out_to_be_damaged_is_made_anew(
    index: SearchIndex, account: AccountIndex, tmp_path: Path
) -> None:
    await account.add([entry(key, f"header {key}", "text " * 500) for key in range(1, 40)])
    again, account = await reopened(index, tmp_path)
    await account.load()
    path = tmp_path / "x.search"
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * (size - 8192))
    generation = account.generation
    with pytest.raises(IndexUnavailable):
        await account.with_text(Part.BODY, ["text"], range(1, 40))
    assert account.generation != generation
    await account.load()
    assert set(account.levels_of(range(1, 40))) == {Level.NOTHING}
    await account.add([entry(1, "one", "text")])
    assert await account.with_text(Part.BODY, ["text"], [1]) == {1}
    await again.close()


async def test_an_index_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(IndexUnavailable):
        await SearchIndex.open(tmp_path / "file" / "x.search")


async def test_a_closed_index_says_so(index: SearchIndex, account: AccountIndex) -> None:
    await index.close()
    with pytest.raises(IndexUnavailable):
        await account.with_text(Part.BODY, ["text"], [1])


async def test_nobody_else_may_read_the_file(index: SearchIndex, tmp_path: Path) -> None:
    assert (tmp_path / "x.search").stat().st_mode & 0o777 == 0o600
