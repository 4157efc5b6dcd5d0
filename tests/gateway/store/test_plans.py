"""How SQLite goes about the statements that run often: by an index, never through a whole table or mailbox."""

from __future__ import annotations

import contextlib
import importlib
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import Executable
from sqlalchemy.dialects import sqlite

from gateway.store.statements import Compiled
from gateway.store.upgrade import upgrade_sqlite

PLANS = {
    "users._BY_LOGIN": ["SEARCH users USING INDEX"],
    "users._APP_LIST": ["SEARCH app_passwords USING INDEX"],
    "accounts._OF_USER": ["SEARCH accounts USING INDEX"],
    "accounts._COUNT": ["SEARCH accounts USING INTEGER PRIMARY KEY"],
    "mailboxes._OF_ACCOUNT": ["SEARCH mailboxes USING INDEX"],
    "mailboxes._BY_ID": ["SEARCH mailboxes USING INTEGER PRIMARY KEY"],
    "counters._OF_THESE": ["SEARCH mailboxes USING INTEGER PRIMARY KEY"],
    "mailboxes._DELETE_SCOPED": ["SEARCH messages USING", "(account_id=? AND scope_mailbox_id=?)"],
    "messages._EXISTING": ["SEARCH messages USING INDEX", "(account_id=? AND scope_mailbox_id=? AND ref=?)"],
    "messages._ROWS": ["SEARCH messages USING INTEGER PRIMARY KEY"],
    "messages._OBJECT_IDS": ["SEARCH messages USING INTEGER PRIMARY KEY"],
    "messages._HOLDERS": ["SEARCH placements USING COVERING INDEX ix_placements_message_id"],
    "messages._BY_HASH": ["SEARCH messages USING INDEX ix_messages_content_hash"],
    "contents._KEPT": ["SEARCH messages USING INTEGER PRIMARY KEY"],
    "contents._HASHES": ["SEARCH messages USING INTEGER PRIMARY KEY"],
    "contents._IN_USE": ["SEARCH messages USING COVERING INDEX ix_messages_kept_id", "ix_intents_account_id"],
    "contents._HOLDERS": ["SEARCH placements USING INDEX ix_placements_message_id (message_id=?)"],
    "placements._RANGE": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid>?)"],
    "placements._CHANGED": ["SEARCH placements USING INDEX ix_placements_modseq (mailbox_id=? AND modseq>?)"],
    "placements._OF_UIDS": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid=?)"],
    "placements._BY_REFS": [
        "SEARCH messages USING COVERING INDEX",
        "(account_id=? AND scope_mailbox_id=? AND ref=?)",
        "SEARCH placements USING INDEX ix_placements_message_id (message_id=? AND mailbox_id=?)",
    ],
    "placements._BY_EMAIL_ID": [
        "SEARCH messages USING COVERING INDEX ix_messages_email_id (account_id=? AND email_id=?)",
        "SEARCH placements USING COVERING INDEX ix_placements_message_id (message_id=? AND mailbox_id=?)",
    ],
    "placements._BY_THREAD_ID": [
        "SEARCH messages USING COVERING INDEX ix_messages_thread_id (account_id=? AND thread_id=?)"
    ],
    "placements._BY_MADE_ID": ["SEARCH messages USING INTEGER PRIMARY KEY"],
    "placements._HOLDERS": ["SEARCH placements USING INDEX ix_placements_message_id (message_id=?)"],
    "placements._STATES": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid=?)"],
    "placements._STATES_OF_RUN": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid>? AND uid<?)"],
    "placements._SET_STATE": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid=?)"],
    "placements._REMOVE": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid=?)"],
    "tombstones._SINCE": ["USING COVERING INDEX ix_tombstones_modseq (mailbox_id=? AND modseq>?)"],
    "tombstones._NTH_NEWEST": ["USING COVERING INDEX ix_tombstones_modseq (mailbox_id=?)"],
    "outlines._ENVELOPES": ["SEARCH envelopes USING INTEGER PRIMARY KEY"],
    "outlines._STRUCTURES": ["SEARCH structures USING INTEGER PRIMARY KEY"],
    "outlines._HEADERS": ["SEARCH headers USING INTEGER PRIMARY KEY"],
    "outlines._HEADER_VALUES": ["SEARCH header_values USING INTEGER PRIMARY KEY"],
    "outlines._WITH_HEADER": ["SEARCH headers USING INTEGER PRIMARY KEY"],
    "outlines._MISSING_NEWEST": ["SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid<?)"],
    **{
        f"outline_runs.{name}": [
            "SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid>? AND uid<?)",
            f"SEARCH {table} USING INTEGER PRIMARY KEY",
        ]
        for name, table in (("_ENVELOPES", "envelopes"), ("_STRUCTURES", "structures"), ("_HEADERS", "headers"))
    },
    "outline_runs._USUAL_HEADERS": [
        "SEARCH placements USING PRIMARY KEY (mailbox_id=? AND uid>? AND uid<?)",
        "SEARCH usual_headers USING INTEGER PRIMARY KEY",
        "SEARCH headers USING INTEGER PRIMARY KEY",
    ],
    "usual_headers._REMOVE": ["SEARCH usual_headers USING INTEGER PRIMARY KEY"],
    "subscribed_names._OF_ACCOUNT": ["SEARCH subscribed_names USING INDEX"],
    "subscribed_names._REMOVE": ["SEARCH subscribed_names USING INDEX", "(account_id=? AND path=?)"],
    "intents._PENDING": ["SEARCH intents USING INDEX ix_intents_account_id"],
}


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "mail.db"
    upgrade_sqlite(str(path))
    return path


@pytest.mark.parametrize("name", PLANS)
def test_an_index_is_used(database: Path, name: str) -> None:
    module, _, constant = name.partition(".")
    statement: Executable = getattr(importlib.import_module(f"gateway.store.{module}"), constant)
    compiled = Compiled(statement, sqlite.dialect(paramstyle="qmark"))
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(f"EXPLAIN QUERY PLAN {compiled.sql}", [None] * compiled.sql.count("?"))
        plan = "\n".join(row[3] for row in rows)
    for step in PLANS[name]:
        assert step in plan, plan
    assert not any(line.startswith("SCAN") and "json_each" not in line for line in plan.splitlines()), plan
