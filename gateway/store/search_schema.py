"""The tables of the search index: each account has its own, so that nobody's search walks through others' mail.

    accounts                      id, tag: whose the tables are
    docs_N                        what is in the index, and the day of the Date field
    subject_N, from_N, to_N,      the values of one field: narrow, so that all of them are looked through in no time
    cc_N, bcc_N
    headers_N, bodies_N           the whole texts
    header_words_N, body_words_N  which three characters in a row they have (FTS5, trigram)

All texts are normalised before they come here, so words are compared as they stand. The words say only which messages
may hold a text (`detail=none` keeps a third of what full detail would); the texts themselves decide.
"""

from __future__ import annotations

import sqlite3

VERSION = 1
"""`PRAGMA user_version` of the file. One of another version is made anew."""

FIELDS = ("subject", "from", "to", "cc", "bcc")

_TABLES = (
    "CREATE TABLE IF NOT EXISTS docs_{n} (id INTEGER PRIMARY KEY, level INTEGER NOT NULL, sent INTEGER)",
    *(f"CREATE TABLE IF NOT EXISTS {name}_{{n}} (id INTEGER PRIMARY KEY, text TEXT NOT NULL)" for name in FIELDS),
    "CREATE TABLE IF NOT EXISTS headers_{n} (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS bodies_{n} (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS header_words_{n} USING fts5(text, content='headers_{n}', content_rowid='id', "
    "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS body_words_{n} USING fts5(text, content='bodies_{n}', content_rowid='id', "
    "tokenize='trigram case_sensitive 1', detail=none, columnsize=0)",
)
_DROPPED = ("header_words", "body_words", "docs", *FIELDS, "headers", "bodies")


def create_file(connection: sqlite3.Connection) -> None:
    """Lay out a new file; does nothing to one of this version.

    Raises:
        sqlite3.Error: this SQLite cannot index trigrams.
    """
    # Fails where SQLite has no such words, before anything relies on them.
    connection.execute("CREATE VIRTUAL TABLE temp.probe USING fts5(text, tokenize='trigram')")
    connection.execute("DROP TABLE temp.probe")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE IF NOT EXISTS accounts (id INTEGER PRIMARY KEY, tag TEXT NOT NULL)")
    connection.execute(f"PRAGMA user_version = {VERSION}")


def account_tags(connection: sqlite3.Connection) -> dict[int, str]:
    """Return the tags of the accounts that have tables, by account."""
    return dict(connection.execute("SELECT id, tag FROM accounts"))


def create_account(connection: sqlite3.Connection, account_id: int, tag: str) -> None:
    """Make the tables of an account, unless it has them; those of one with another tag are dropped first."""
    known = connection.execute("SELECT tag FROM accounts WHERE id = ?", (account_id,)).fetchone()
    if known == (tag,):
        return
    if known is not None:
        drop_account(connection, account_id)
    for statement in _TABLES:
        connection.execute(statement.format(n=account_id))
    connection.execute("INSERT INTO accounts VALUES (?, ?)", (account_id, tag))


def drop_account(connection: sqlite3.Connection, account_id: int) -> None:
    """Drop the tables of an account."""
    for name in _DROPPED:
        connection.execute(f"DROP TABLE IF EXISTS {name}_{account_id}")
    connection.execute("DELETE FROM accounts WHERE id = ?", (account_id,))
