"""Putting messages into the tables of the search index, taking them out, and asking them. Everything here blocks."""

# ruff: noqa: S608 - what is put into the statements is the number of an account and names of this module.

from __future__ import annotations

import enum
import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from gateway.store.search_schema import FIELDS

MAX_WORDS = 40
"""Words of three characters that are asked for; more of a long text make its candidates hardly fewer."""

FEW = 200
"""Among so few messages their texts are looked at without asking first which may hold the text."""

_WORD = 3


class Level(enum.IntEnum):
    """What the index has of a message."""

    NOTHING = 0
    HEADER = 1
    WHOLE = 2


class Part(enum.Enum):
    """Where a text is looked for; the values are (texts, words) tables."""

    HEADER = ("headers", "header_words")
    BODY = ("bodies", "body_words")


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """The texts of a message, normalised and fit for SQLite (see `gateway.message.text_index`).

    `fields` are in the order of `FIELDS`; `body` is None where only the header is known.
    """

    message_id: int
    fields: tuple[str | None, ...]
    header: str
    sent_day: int | None
    body: str | None = None

    @property
    def level(self) -> Level:
        return Level.HEADER if self.body is None else Level.WHOLE


# -- changing ----------------------------------------------------------------------------------------------------------


def add(connection: sqlite3.Connection, account_id: int, entries: Iterable[IndexEntry]) -> dict[int, Level]:
    """Put messages in; return the new levels. What is known already of a message is replaced, but never made less."""
    n, levels = account_id, dict[int, Level]()
    for entry in entries:
        key = entry.message_id
        known = connection.execute(f"SELECT level FROM docs_{n} WHERE id = ?", (key,)).fetchone()
        if known is not None:
            if known[0] >= entry.level:
                continue
            _take_out(connection, n, key)
        connection.execute(f"INSERT INTO docs_{n} VALUES (?, ?, ?)", (key, int(entry.level), entry.sent_day))
        for name, value in zip(FIELDS, entry.fields, strict=True):
            if value is not None:
                connection.execute(f"INSERT INTO {name}_{n} VALUES (?, ?)", (key, value))
        _put_text(connection, n, Part.HEADER, key, entry.header)
        if entry.body is not None:
            _put_text(connection, n, Part.BODY, key, entry.body)
        levels[key] = entry.level
    return levels


def remove(connection: sqlite3.Connection, account_id: int, message_ids: Iterable[int]) -> None:
    """Take messages out; those that are not in it are passed over."""
    for key in message_ids:
        _take_out(connection, account_id, key)


def remove_above(connection: sqlite3.Connection, account_id: int, message_id: int) -> None:
    """Take out all messages with a higher id."""
    rows = connection.execute(f"SELECT id FROM docs_{account_id} WHERE id > ?", (message_id,)).fetchall()
    remove(connection, account_id, [key for (key,) in rows])


def _put_text(connection: sqlite3.Connection, n: int, part: Part, key: int, text: str) -> None:
    texts, words = part.value
    connection.execute(f"INSERT INTO {texts}_{n} VALUES (?, ?)", (key, text))
    connection.execute(f"INSERT INTO {words}_{n} (rowid, text) VALUES (?, ?)", (key, text))


def _take_out(connection: sqlite3.Connection, n: int, key: int) -> None:
    for part in Part:
        texts, words = part.value
        row = connection.execute(f"SELECT text FROM {texts}_{n} WHERE id = ?", (key,)).fetchone()
        if row is not None:
            # FTS5 keeps no texts; what is not told exactly as it came in stays among its words.
            connection.execute(
                f"INSERT INTO {words}_{n} ({words}_{n}, rowid, text) VALUES ('delete', ?, ?)", (key, *row)
            )
            connection.execute(f"DELETE FROM {texts}_{n} WHERE id = ?", (key,))
    for table in ("docs", *FIELDS):
        connection.execute(f"DELETE FROM {table}_{n} WHERE id = ?", (key,))


# -- asking ------------------------------------------------------------------------------------------------------------


def with_field(
    connection: sqlite3.Connection, account_id: int, field: str, needle: str, among: Collection[int] | None
) -> set[int]:
    """Return the messages with the needle in a field of `FIELDS`, with any such field if the needle is empty."""
    if field not in FIELDS:
        raise ValueError(f"the index keeps no field {field!r} apart")
    conditions, values = (["instr(text, ?) > 0"], [needle]) if needle else ([], [])
    return _ids(connection, f"{field}_{account_id}", conditions, values, among)


def with_text(
    connection: sqlite3.Connection, account_id: int, part: Part, needles: Sequence[str], among: Collection[int] | None
) -> set[int]:
    """Return the messages with all of the needles in their header or their body."""
    texts, words = part.value
    conditions = ["instr(text, ?) > 0"] * len(needles)
    values: list[object] = list(needles)
    longest = max(needles, key=len, default="")
    if len(longest) >= _WORD and (among is None or len(among) > FEW):
        conditions.insert(0, f"id IN (SELECT rowid FROM {words}_{account_id} WHERE {words}_{account_id} MATCH ?)")
        values.insert(0, words_of(longest))
    return _ids(connection, f"{texts}_{account_id}", conditions, values, among)


def sent(
    connection: sqlite3.Connection,
    account_id: int,
    first_day: int | None,
    last_day: int | None,
    among: Collection[int] | None,
) -> set[int]:
    """Return the messages whose Date field names a day from the first to the last, both included; None is no limit."""
    conditions, values = ["sent IS NOT NULL"], list[object]()
    for day, comparison in ((first_day, "sent >= ?"), (last_day, "sent <= ?")):
        if day is not None:
            conditions.append(comparison)
            values.append(day)
    return _ids(connection, f"docs_{account_id}", conditions, values, among)


def levels(connection: sqlite3.Connection, account_id: int, after_id: int, limit: int) -> list[tuple[int, int]]:
    """Return (message id, level) of the lowest messages above an id."""
    statement = f"SELECT id, level FROM docs_{account_id} WHERE id > ? ORDER BY id LIMIT ?"
    return connection.execute(statement, (after_id, limit)).fetchall()


def words_of(needle: str) -> str:
    """Return the question to FTS5 for the texts that may hold a needle of at least three characters."""
    words = dict.fromkeys(needle[start : start + _WORD] for start in range(len(needle) - _WORD + 1))
    chosen = list(words)
    if len(chosen) > MAX_WORDS:
        step = len(chosen) // MAX_WORDS + 1
        chosen = chosen[::step]
    return " AND ".join('"' + word.replace('"', '""') + '"' for word in chosen)


def _ids(
    connection: sqlite3.Connection,
    table: str,
    conditions: Sequence[str],
    values: Sequence[object],
    among: Collection[int] | None,
) -> set[int]:
    all_conditions, all_values = list(conditions), list(values)
    if among is not None:
        all_conditions.insert(0, "id IN (SELECT value FROM json_each(?))")
        all_values.insert(0, json.dumps(list(among)))
    # One row for all: each row that is fetched is a turn at the interpreter's lock.
    where = f" WHERE {' AND '.join(all_conditions)}" if all_conditions else ""
    statement = f"SELECT group_concat(id) FROM {table}{where}"
    (found,) = connection.execute(statement, all_values).fetchone()
    return set(map(int, found.split(","))) if found else set()
